//! Idempotency-Keys: the first answer to a write, kept in the write's own transaction.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::model::{Timestamp, UserId};
use crate::schema::idempotency_keys::dsl::{
    answer, body_hash, created_at, idempotency_keys, key, method, path, user_id,
};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// How long a key is kept, over restarts too.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a write may run only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// The call has no key: each call is a write of its own.
    Unkeyed,
    /// The same key returns the first answer again, without a second row or event; with another
    /// body it is refused.
    Key(Claim),
}

/// An Idempotency-Key: who used it, for which request, with which body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub user: UserId,
    pub method: String,
    pub path: String,
    pub key: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// The outcome of a claim.
pub(super) enum Claimed {
    /// The key is new, and belongs to this transaction until its end.
    First,
    /// The key was used with this body; this is the answer, as JSON.
    Repeated(String),
    /// The key was used with another body.
    OtherBody,
}

/// Claims the key, or finds what it was used for. On PostgreSQL this waits for a transaction that
/// holds the same key.
pub(super) async fn claim(tx: &mut Tx, claim: &Claim) -> QueryResult<Claimed> {
    let row = (
        user_id.eq(claim.user),
        method.eq(claim.method.as_str()),
        path.eq(claim.path.as_str()),
        key.eq(claim.key.as_str()),
        body_hash.eq(claim.body_hash.as_slice()),
        answer.eq(""),
        created_at.eq(Timestamp::now()),
    );
    let inserted = query!(tx.conn(), |c| diesel::insert_into(idempotency_keys)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 1 {
        return Ok(Claimed::First);
    }
    let id = (claim.user, claim.method.as_str(), claim.path.as_str(), claim.key.as_str());
    let (hash, first): (Vec<u8>, String) =
        query!(tx.conn(), |c| idempotency_keys.find(id).select((body_hash, answer)).first(c))?;
    Ok(if hash == claim.body_hash { Claimed::Repeated(first) } else { Claimed::OtherBody })
}

/// Keeps the answer, JSON text, under a claimed key. May also replace it later, once the final
/// answer is known.
pub async fn keep_answer(tx: &mut Tx, claim: &Claim, json: &str) -> QueryResult<()> {
    let id = (claim.user, claim.method.as_str(), claim.path.as_str(), claim.key.as_str());
    query!(tx.conn(), |c| diesel::update(idempotency_keys.find(id)).set(answer.eq(json)).execute(c))
        .map(|_| ())
}

/// The answer kept under the key, JSON text.
pub async fn kept(conn: &mut Conn, claim: &Claim) -> QueryResult<Option<String>> {
    let id = (claim.user, claim.method.as_str(), claim.path.as_str(), claim.key.as_str());
    query!(conn, |c| idempotency_keys.find(id).select(answer).first(c)).optional()
}

/// Removes at most `most` expired keys. Returns their number.
pub async fn purge(tx: &mut Tx, most: i64) -> QueryResult<usize> {
    let oldest = Timestamp::now().before(KEPT);
    let old: Vec<Timestamp> = query!(tx.conn(), |c| {
        idempotency_keys
            .filter(created_at.lt(oldest))
            .order(created_at)
            .select(created_at)
            .limit(most)
            .load(c)
    })?;
    let Some(last) = old.last() else { return Ok(0) };
    query!(tx.conn(), |c| diesel::delete(idempotency_keys.filter(created_at.le(last))).execute(c))
}

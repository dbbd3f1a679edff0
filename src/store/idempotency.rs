//! Idempotency-Keys: the first answer to a write, kept in the write's own transaction.

mod kept_answer;

use std::sync::Arc;
use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::error::Error;
use crate::model::{Timestamp, UserId};
use crate::schema::idempotency_keys::dsl::{
    answer, body_hash, created_at, idempotency_keys, key, method, path, user_id,
};
use crate::store::conn::{LocalFuture, query};
use crate::store::{Conn, Tx, usage};

/// How long a key is kept, over restarts too.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a write may run only once.
pub enum Once {
    /// The call has no key: each call is a write of its own.
    Unkeyed,
    /// The same key returns the first answer again, without a second row or event; with another
    /// body it is refused.
    Key(Claim),
    /// Like `Key`, for a write that checks a permission in its transaction: the check runs before
    /// the first answer is returned again, since the caller may have lost the right meanwhile.
    Checked(Claim, Recheck),
}

/// A check before a kept answer is returned. It only reads.
pub type Recheck =
    Box<dyn for<'a> FnOnce(&'a mut Conn) -> LocalFuture<'a, Result<(), Error>> + Send>;

impl Once {
    /// Returns the same, with a check before a kept answer is returned.
    #[must_use]
    pub fn checked<F>(self, check: F) -> Self
    where
        F: AsyncFnOnce(&mut Conn) -> Result<(), Error> + Send + 'static,
    {
        fn boxed<F>(check: F) -> Recheck
        where
            F: for<'a> FnOnce(&'a mut Conn) -> LocalFuture<'a, Result<(), Error>> + Send + 'static,
        {
            Box::new(check)
        }
        match self {
            Self::Key(claim) | Self::Checked(claim, _) => {
                Self::Checked(claim, boxed(|conn| Box::pin(async move { check(conn).await })))
            }
            Self::Unkeyed => Self::Unkeyed,
        }
    }

    /// The key, if there is one.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Key(claim) | Self::Checked(claim, _) => Some(claim),
            Self::Unkeyed => None,
        }
    }
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
    /// The body. Its long texts are not kept once more in the answer.
    pub body: Arc<[u8]>,
    /// The most keys of this user that are kept. The oldest go first.
    pub most: Option<i64>,
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
        if let Some(most) = claim.most {
            make_room(tx, claim.user, most).await?;
        }
        return Ok(Claimed::First);
    }
    let id = (claim.user, claim.method.as_str(), claim.path.as_str(), claim.key.as_str());
    let (hash, first): (Vec<u8>, String) =
        query!(tx.conn(), |c| idempotency_keys.find(id).select((body_hash, answer)).first(c))?;
    if hash != claim.body_hash {
        return Ok(Claimed::OtherBody);
    }
    // An answer that cannot be read is reported by the caller.
    Ok(Claimed::Repeated(kept_answer::whole(first, &claim.body).unwrap_or_default()))
}

/// Removes the oldest keys of a user that has more than `most`: two for each new one, so that they
/// become fewer, and no write takes long.
async fn make_room(tx: &mut Tx, user: UserId, most: i64) -> QueryResult<()> {
    let usage = usage::of(tx.conn(), &[user]).await?;
    if usage.get(&user).is_none_or(|usage| usage.kept_answers <= most.max(1)) {
        return Ok(());
    }
    let oldest: Vec<(String, String, String)> = query!(tx.conn(), |c| idempotency_keys
        .filter(user_id.eq(user))
        .order(created_at)
        .limit(2)
        .select((method, path, key))
        .load(c))?;
    for (a, b, c) in oldest {
        let id = (user, a.as_str(), b.as_str(), c.as_str());
        query!(tx.conn(), |c| diesel::delete(idempotency_keys.find(id)).execute(c))?;
    }
    Ok(())
}

/// Keeps the answer, JSON text, under a claimed key. May also replace it later, once the final
/// answer is known.
pub async fn keep_answer(tx: &mut Tx, claim: &Claim, json: String) -> QueryResult<()> {
    let json = kept_answer::shortened(json, &claim.body);
    let id = (claim.user, claim.method.as_str(), claim.path.as_str(), claim.key.as_str());
    query!(tx.conn(), |c| diesel::update(idempotency_keys.find(id)).set(answer.eq(json)).execute(c))
        .map(|_| ())
}

/// The answer kept under the key, JSON text.
pub async fn kept(conn: &mut Conn, claim: &Claim) -> QueryResult<Option<String>> {
    let id = (claim.user, claim.method.as_str(), claim.path.as_str(), claim.key.as_str());
    let kept: Option<String> =
        query!(conn, |c| idempotency_keys.find(id).select(answer).first(c)).optional()?;
    Ok(kept.and_then(|kept| kept_answer::whole(kept, &claim.body)))
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

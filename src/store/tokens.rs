//! Tokens that ended before they expire: one by its digest, or all of a user's by their generation.

use std::time::Duration;

use diesel::dsl::exists;
use diesel::{
    ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
    SelectableHelper,
};

use crate::auth::{EndedTokens, TokenHolder, TokenId};
use crate::model::{Role, Timestamp, User, UserId};
use crate::schema::{identities, identity_ends, token_ends, users};
use crate::store::conn::query;
use crate::store::identities::Given;
use crate::store::users::Account;
use crate::store::{Conn, Tx};

/// How long an end is kept after it stops mattering to a token: every server has seen it by then.
const KEPT_AFTER: Duration = Duration::from_secs(60 * 60);
/// The most ends that are read at once; they are the latest ones.
const MAX_ENDS: i64 = 10_000;

/// The state of a user's tokens.
pub struct TokenStatus {
    pub user: UserId,
    /// The role of the account.
    pub role: Role,
    /// What an earlier token of the same identity gave to the account.
    pub given: Given,
    /// The generation of tokens made now.
    pub generation: i64,
    /// The time at which all of them ended last, or, if an identity belonged to another user
    /// before, at which that user's ended.
    pub ended_at: Option<Timestamp>,
    /// The token in question has ended by itself.
    pub has_ended: bool,
}

/// The user, its role, its generation, the last end of all of its tokens, and whether the one in
/// question has ended.
type Row = (UserId, Role, i64, Option<Timestamp>, bool);

/// The state of the holder's tokens, and of this one. `None` if there is no such user.
pub async fn token_status(
    conn: &mut Conn,
    holder: &TokenHolder,
    token: &TokenId,
) -> QueryResult<Option<TokenStatus>> {
    let ended = exists(token_ends::table.filter(token_ends::digest.eq(token.0.as_slice())));
    let columns = (users::id, users::role, users::token_generation, users::tokens_ended_at, ended);
    let found: Option<(Row, Option<Timestamp>, Given)> = match holder {
        TokenHolder::User(user) => {
            let row = query!(conn, |c| users::table.find(user).select(columns).first(c));
            row.optional()?.map(|row| (row, None, Given::NOTHING))
        }
        TokenHolder::Outside(outsider) => {
            let name = (outsider.id.issuer(), outsider.id.subject());
            query!(conn, |c| {
                let before = identity_ends::table
                    .find(name)
                    .select(identity_ends::ended_at.nullable())
                    .single_value();
                identities::table
                    .find(name)
                    .inner_join(users::table)
                    .select((columns, before, Given::as_select()))
                    .first(c)
            })
            .optional()?
        }
    };
    let status = |(row, before, given): (Row, Option<Timestamp>, Given)| {
        let (user, role, generation, ended_at, has_ended) = row;
        let ended_at = ended_at.max(before);
        TokenStatus { user, role, given, generation, ended_at, has_ended }
    };
    Ok(found.map(status))
}

/// The user that a token is made for, and its generation, in one read: an end between two reads
/// would pair an old role with a new generation.
pub async fn holder(conn: &mut Conn, user: UserId) -> QueryResult<Option<(User, i64)>> {
    query!(conn, |c| users::table
        .find(user)
        .select((User::as_select(), users::token_generation))
        .first(c))
    .optional()
}

/// The generation of a user's tokens made now.
pub async fn generation(conn: &mut Conn, user: UserId) -> QueryResult<Option<i64>> {
    query!(conn, |c| users::table.find(user).select(users::token_generation).first(c)).optional()
}

/// Ends one token, which expires at `until` by the clock of the server that checks it. A second
/// call changes nothing.
pub async fn end(tx: &mut Tx, user: UserId, token: &TokenId, until: Timestamp) -> QueryResult<()> {
    let row = (
        token_ends::user_id.eq(user),
        token_ends::digest.eq(token.0.as_slice()),
        token_ends::ended_at.eq(Timestamp::now()),
        token_ends::keep_until.eq(until.after(KEPT_AFTER)),
    );
    query!(tx.conn(), |c| diesel::insert_into(token_ends::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))
    .map(|_| ())
}

/// Ends all tokens of a user. `None` if there is no such user.
pub async fn end_all(tx: &mut Tx, account: &Account) -> QueryResult<Option<(User, EndedTokens)>> {
    let Some(user) = super::users::find(tx.conn(), account).await? else { return Ok(None) };
    let now = Timestamp::now();
    let raised: Option<i64> = query!(tx.conn(), |c| {
        let raise = (
            users::token_generation.eq(users::token_generation + 1),
            users::tokens_ended_at.eq(now),
        );
        diesel::update(users::table.find(user.id))
            .set(raise)
            .returning(users::token_generation)
            .get_result(c)
    })
    .optional()?;
    let Some(generation) = raised else { return Ok(None) };
    insert_end(tx, user.id, Some(generation), now).await?;
    Ok(Some((user, EndedTokens::Before { generation, at: now })))
}

/// Ends all tokens of a removed user.
pub async fn end_removed(tx: &mut Tx, user: UserId) -> QueryResult<()> {
    insert_end(tx, user, None, Timestamp::now()).await
}

async fn insert_end(
    tx: &mut Tx,
    user: UserId,
    generation: Option<i64>,
    now: Timestamp,
) -> QueryResult<()> {
    let row = (
        token_ends::user_id.eq(user),
        token_ends::generation.eq(generation),
        token_ends::ended_at.eq(now),
        token_ends::keep_until.eq(now.after(KEPT_AFTER)),
    );
    query!(tx.conn(), |c| diesel::insert_into(token_ends::table).values(row).execute(c)).map(|_| ())
}

/// The ends since that moment.
pub async fn since(conn: &mut Conn, moment: Timestamp) -> QueryResult<Vec<(UserId, EndedTokens)>> {
    type Row = (UserId, Option<Vec<u8>>, Option<i64>, Timestamp);
    let rows: Vec<Row> = query!(conn, |c| {
        let columns =
            (token_ends::user_id, token_ends::digest, token_ends::generation, token_ends::ended_at);
        token_ends::table
            .filter(token_ends::ended_at.gt(moment))
            .order(token_ends::ended_at.desc())
            .select(columns)
            .limit(MAX_ENDS)
            .load(c)
    })?;
    let ended = |(user, digest, generation, at): Row| match (digest, generation) {
        (Some(digest), _) => Some((user, EndedTokens::One(TokenId(digest.try_into().ok()?)))),
        (None, Some(generation)) => Some((user, EndedTokens::Before { generation, at })),
        (None, None) => Some((user, EndedTokens::All)),
    };
    Ok(rows.into_iter().filter_map(ended).collect())
}

/// Removes at most `most` ends that no check needs any more. Returns their number.
pub async fn purge(tx: &mut Tx, most: i64) -> QueryResult<usize> {
    let old: Vec<i64> = query!(tx.conn(), |c| {
        let old = token_ends::table.filter(token_ends::keep_until.lt(Timestamp::now()));
        old.order(token_ends::keep_until).select(token_ends::id).limit(most).load(c)
    })?;
    query!(tx.conn(), |c| diesel::delete(token_ends::table.filter(token_ends::id.eq_any(&old)))
        .execute(c))
}

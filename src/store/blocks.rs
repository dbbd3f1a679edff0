//! Blocks of users by users: insert, delete, list, who blocks whom.

use std::collections::HashSet;

use diesel::{ExpressionMethods, QueryDsl, QueryResult};

use crate::model::{Block, BlockId, Timestamp, UserId};
use crate::schema::blocks;
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A page of a user's blocks.
pub struct BlockPage {
    pub user: UserId,
    /// The page has only blocks older than this one.
    pub before: Option<BlockId>,
    pub limit: i64,
}

/// Adds a block, unless it exists. The blocked user need not exist.
pub async fn insert(tx: &mut Tx, user: UserId, blocked: UserId) -> QueryResult<()> {
    let row = (
        blocks::user_id.eq(user),
        blocks::blocked_id.eq(blocked),
        blocks::created_at.eq(Timestamp::now()),
    );
    query!(tx.conn(), |c| diesel::insert_into(blocks::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))
    .map(|_| ())
}

/// Counts a user's blocks.
pub async fn count(conn: &mut Conn, user: UserId) -> QueryResult<i64> {
    query!(conn, |c| blocks::table.filter(blocks::user_id.eq(user)).count().get_result(c))
}

/// Removes a block. Returns false if there is none.
pub async fn delete(tx: &mut Tx, user: UserId, blocked: UserId) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::delete(
            blocks::table.filter(blocks::user_id.eq(user)).filter(blocks::blocked_id.eq(blocked)),
        )
        .execute(c)
    })
    .map(|removed| removed > 0)
}

/// Removes the blocks of a removed user; those by the user go with the account.
pub async fn forget(tx: &mut Tx, blocked: UserId) -> QueryResult<()> {
    query!(tx.conn(), |c| diesel::delete(blocks::table.filter(blocks::blocked_id.eq(blocked)))
        .execute(c))
    .map(|_| ())
}

/// The users among these who block that user.
pub async fn blockers(
    conn: &mut Conn,
    blocked: UserId,
    among: &[UserId],
) -> QueryResult<HashSet<UserId>> {
    let found: Vec<UserId> = query!(conn, |c| {
        blocks::table
            .filter(blocks::blocked_id.eq(blocked))
            .filter(blocks::user_id.eq_any(among))
            .select(blocks::user_id)
            .load(c)
    })?;
    Ok(found.into_iter().collect())
}

/// A page of a user's blocks, newest first.
pub async fn list(conn: &mut Conn, page: &BlockPage) -> QueryResult<Vec<Block>> {
    let rows: Vec<(BlockId, UserId, Timestamp)> = query!(conn, |c| {
        let mut rows = blocks::table
            .filter(blocks::user_id.eq(page.user))
            .select((blocks::id, blocks::blocked_id, blocks::created_at))
            .order(blocks::id.desc())
            .limit(page.limit)
            .into_boxed();
        if let Some(before) = page.before {
            rows = rows.filter(blocks::id.lt(before));
        }
        rows.load(c)
    })?;
    let block = |(id, user_id, created_at)| Block { id, user_id, created_at };
    Ok(rows.into_iter().map(block).collect())
}

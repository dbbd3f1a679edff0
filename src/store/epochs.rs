//! Epochs: stretches of the log. A program that cannot prove that the log is the one that clients
//! know begins an epoch before its first event: on SQLite each server at its start and each
//! command, on PostgreSQL also each new connection (`postgres/epochs.rs`). An offset of an epoch is
//! good as long as the next epoch does not begin at or below it.

use diesel::dsl::{exists, select};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::model::{Epoch, EventId, LogPosition, Timestamp};
use crate::schema::epochs;
use crate::store::conn::query;
use crate::store::{Conn, events};

/// The epoch of a log that has no event.
pub(super) const NONE: Epoch = Epoch(0);

/// The number of epochs that are kept. Offsets of older ones are not good any more.
const KEPT: i64 = 1000;

/// Begins an epoch after the log's last event, and returns that position.
pub(super) async fn begin(conn: &mut Conn, identity: Option<&str>) -> QueryResult<LogPosition> {
    let last = events::last(conn).await?;
    let epoch = Epoch(i64::from(rand::random::<u32>()) + 1);
    let row = (
        epochs::epoch.eq(epoch),
        epochs::first_id.eq(EventId(last.0 + 1)),
        epochs::identity.eq(identity),
        epochs::created_at.eq(Timestamp::now()),
    );
    let number: i64 = query!(conn, |c| diesel::insert_into(epochs::table)
        .values(row)
        .returning(epochs::number)
        .get_result(c))?;
    query!(conn, |c| diesel::delete(epochs::table.filter(epochs::number.le(number - KEPT)))
        .execute(c))?;
    Ok(LogPosition { epoch, id: last })
}

/// The current epoch of the log.
pub(super) async fn current(conn: &mut Conn) -> QueryResult<Epoch> {
    let last =
        query!(conn, |c| epochs::table.select(epochs::epoch).order(epochs::number.desc()).first(c))
            .optional()?;
    Ok(last.unwrap_or(NONE))
}

/// Returns true if this log still holds what a client has received up to `position`.
pub(super) async fn is_good(conn: &mut Conn, position: LogPosition) -> QueryResult<bool> {
    let LogPosition { epoch, id } = position;
    let head = events::last(conn).await?;
    let number: Option<i64> = query!(conn, |c| epochs::table
        .filter(epochs::epoch.eq(epoch))
        .select(epochs::number)
        .first(c))
    .optional()?;
    let Some(number) = number else { return Ok(false) };
    let is_replaced: bool = query!(conn, |c| {
        select(exists(
            epochs::table.filter(epochs::number.gt(number)).filter(epochs::first_id.le(id)),
        ))
        .get_result(c)
    })?;
    Ok(id <= head && !is_replaced)
}

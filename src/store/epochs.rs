//! Epochs: stretches of the log. SQLite begins one at each start of a server, PostgreSQL when the
//! database is another than it was (restored, copied, failed over). An offset of an epoch is good
//! as long as the next epoch does not begin at or below it.

use diesel::dsl::{exists, select};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::model::{Epoch, EventId, LogPosition, Timestamp};
use crate::schema::epochs;
use crate::store::conn::query;
use crate::store::{Conn, events};

/// Of a log that nobody resumes on.
pub(super) const NONE: Epoch = Epoch(0);

/// Epochs remembered. An offset of an older one is not good any more.
const KEPT: i64 = 1000;

/// Begins an epoch behind the log's last event, and tells where that is.
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

/// The epoch that the log is in.
pub(super) async fn current(conn: &mut Conn) -> QueryResult<Epoch> {
    let last =
        query!(conn, |c| epochs::table.select(epochs::epoch).order(epochs::number.desc()).first(c))
            .optional()?;
    Ok(last.unwrap_or(NONE))
}

/// Whether what a client has up to there is what this log holds up to there.
pub(super) async fn is_good(conn: &mut Conn, position: LogPosition) -> QueryResult<bool> {
    let LogPosition { epoch, id } = position;
    let head = events::last(conn).await?;
    let number: Option<i64> = query!(conn, |c| epochs::table
        .filter(epochs::epoch.eq(epoch))
        .select(epochs::number)
        .first(c))
    .optional()?;
    let Some(number) = number else { return Ok(false) };
    let cut: bool = query!(conn, |c| {
        select(exists(
            epochs::table.filter(epochs::number.gt(number)).filter(epochs::first_id.le(id)),
        ))
        .get_result(c)
    })?;
    Ok(id <= head && !cut)
}

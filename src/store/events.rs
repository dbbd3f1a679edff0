//! The log: `events`, found by room through `event_rooms`, numbered by `log_head`.

use std::borrow::Cow;

use diesel::{ExpressionMethods, QueryResult};

use crate::event::NewEvent;
use crate::model::{EventId, Timestamp};
use crate::schema::{event_rooms, events, log_head};
use crate::store::Conn;
use crate::store::conn::query;

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Gap-free, in commit order.
    pub id: EventId,
    /// `/` or `/admin`.
    pub namespace: Cow<'static, str>,
    pub name: Cow<'static, str>,
    /// Rooms of that namespace, by the names that clients see.
    pub rooms: Vec<String>,
    /// JSON text.
    pub data: String,
}

/// Appends events in this order, with ids that follow the last one's. The last thing that a transaction does: on PostgreSQL it locks the log's
/// head until the commit, and on both it makes log order commit order. A rollback takes the ids back.
pub(super) async fn append(conn: &mut Conn, new: Vec<NewEvent>) -> QueryResult<Vec<StoredEvent>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let count = i64::try_from(new.len()).map_err(|fault| diesel::result::Error::SerializationError(Box::new(fault)))?;
    let raise = diesel::update(log_head::table).set(log_head::last_id.eq(log_head::last_id + count)).returning(log_head::last_id);
    let last: i64 = query!(conn, c => raise.get_result(c))?;

    let now = Timestamp::now();
    let mut stored = Vec::with_capacity(new.len());
    for (id, event) in (last - count + 1..).map(EventId).zip(new) {
        stored.push(append_one(conn, id, event, now).await?);
    }
    Ok(stored)
}

async fn append_one(conn: &mut Conn, id: EventId, event: NewEvent, now: Timestamp) -> QueryResult<StoredEvent> {
    let NewEvent { namespace, name, rooms, data } = event;
    let row = (
        events::id.eq(id),
        events::namespace.eq(namespace),
        events::name.eq(name),
        events::payload.eq(data.as_str()),
        events::created_at.eq(now),
    );
    query!(conn, c => diesel::insert_into(events::table).values(row).execute(c))?;
    let rooms: Vec<String> = rooms.iter().map(ToString::to_string).collect();
    for room in &rooms {
        let row = (event_rooms::room.eq(room_key(namespace, room)), event_rooms::event_id.eq(id));
        query!(conn, c => diesel::insert_into(event_rooms::table).values(row).execute(c))?;
    }
    Ok(StoredEvent { id, namespace: namespace.into(), name: name.into(), rooms, data })
}

/// A room as `event_rooms` knows it: with its namespace, since `admin` of `/` and of `/admin` are two audiences.
fn room_key(namespace: &str, room: &str) -> String {
    [namespace, "#", room].concat()
}

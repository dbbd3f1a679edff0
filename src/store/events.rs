//! Appending to the log: `events`, found by room through `event_rooms`, numbered by `log_head`.

use std::borrow::Cow;

use diesel::{ExpressionMethods, QueryDsl, QueryResult};

use crate::event::{EventKind, NewEvent, Room};
use crate::model::{EventId, LogPosition, Timestamp, UserId};
use crate::schema::{event_rooms, events, log_head};
use crate::store::conn::query;
use crate::store::tx::Step;
use crate::store::{Conn, Tx, epochs};

/// An event whose transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedEvent {
    /// Position in the log: gap-free, in commit order. `None` for a transient event, which is not
    /// stored.
    pub position: Option<LogPosition>,
    /// `/` or `/admin`.
    pub namespace: Cow<'static, str>,
    pub name: Cow<'static, str>,
    /// Rooms of that namespace, by the names that clients see. If empty, the event is for the whole
    /// namespace.
    pub rooms: Vec<String>,
    /// Rooms of that namespace whose sockets do not get the event.
    pub except: Vec<String>,
    /// JSON text.
    pub data: String,
}

/// Appends the stored events in this order, with the ids after the last one, to the log's current
/// epoch; `begins`: to a new one. SQLite's writer calls this right before its commit, so that log
/// order is commit order. A rollback frees the ids.
pub(super) async fn append(
    conn: &mut Conn,
    begins: bool,
    new: Vec<Step<NewEvent>>,
) -> QueryResult<Vec<Step<CommittedEvent>>> {
    let stored = new.iter().filter(|step| is_stored(step)).count();
    let (epoch, mut next) = match stored {
        0 => (epochs::NONE, 0),
        _ if begins => (epochs::begin(conn, None).await?.epoch, raise_head(conn, stored).await?),
        // Not this server's own: a command beside it may have begun one.
        _ => (epochs::current(conn).await?, raise_head(conn, stored).await?),
    };
    let now = Timestamp::now();
    let mut steps = Vec::with_capacity(new.len());
    for step in new {
        steps.push(match step {
            Step::Event(event) if event.kind == EventKind::Stored => {
                let id = EventId(next);
                next += 1;
                append_one(conn, id, &event, now).await?;
                Step::Event(committed(Some(LogPosition { epoch, id }), event))
            }
            Step::Event(event) => Step::Event(committed(None, event)),
            Step::AfterCommit(action) => Step::AfterCommit(action),
        });
    }
    Ok(steps)
}

/// The id of the log's last event.
pub(super) async fn last(conn: &mut Conn) -> QueryResult<EventId> {
    query!(conn, |c| log_head::table.select(log_head::last_id).first(c))
}

/// The id of the last event before those that this write emits from here on. On PostgreSQL a lower
/// bound, since other writes may have committed events that have no id yet.
pub(super) async fn head(tx: &mut Tx) -> QueryResult<EventId> {
    let pending = tx.steps.iter().filter(|step| is_stored(step)).count();
    let EventId(last) = last(tx.conn()).await?;
    Ok(EventId(last + i64::try_from(pending).unwrap_or_default()))
}

pub(super) fn is_stored(step: &Step<NewEvent>) -> bool {
    matches!(step, Step::Event(NewEvent { kind: EventKind::Stored, .. }))
}

/// Takes `count` ids, and returns the first of them.
async fn raise_head(conn: &mut Conn, count: usize) -> QueryResult<i64> {
    let count = i64::try_from(count)
        .map_err(|fault| diesel::result::Error::SerializationError(Box::new(fault)))?;
    let raise = diesel::update(log_head::table)
        .set(log_head::last_id.eq(log_head::last_id + count))
        .returning(log_head::last_id);
    let last: i64 = query!(conn, |c| raise.get_result(c))?;
    Ok(last - count + 1)
}

async fn append_one(
    conn: &mut Conn,
    id: EventId,
    event: &NewEvent,
    now: Timestamp,
) -> QueryResult<()> {
    let row = (
        events::id.eq(id),
        events::namespace.eq(event.namespace),
        events::name.eq(&*event.name),
        events::payload.eq(event.data.as_str()),
        events::except_json.eq(except_json(event)),
        events::created_at.eq(now),
        events::members_json.eq(members_json(event)),
    );
    query!(conn, |c| diesel::insert_into(events::table).values(row).execute(c))?;
    for key in room_keys(event) {
        let row = (event_rooms::room.eq(key), event_rooms::event_id.eq(id));
        query!(conn, |c| diesel::insert_into(event_rooms::table).values(row).execute(c))?;
    }
    Ok(())
}

/// The event's `except_json`.
pub(super) fn except_json(event: &NewEvent) -> Option<String> {
    (!event.except.is_empty()).then(|| serde_json::Value::from(names(&event.except)).to_string())
}

/// The event's `members_json`.
fn members_json(event: &NewEvent) -> Option<String> {
    let ids = || event.members.iter().map(|user| user.0).collect::<Vec<_>>();
    (!event.members.is_empty()).then(|| serde_json::Value::from(ids()).to_string())
}

/// Reads `members_json`: the members at the event's commit. `None` if the row has none.
pub(super) fn read_members(json: Option<&str>) -> Option<Vec<UserId>> {
    // `append` or `MoveOutbox` wrote it, from a list of ids.
    let ids: Vec<i64> = serde_json::from_str(json?).unwrap_or_default();
    Some(ids.into_iter().map(UserId).collect())
}

pub(super) fn committed(position: Option<LogPosition>, event: NewEvent) -> CommittedEvent {
    let NewEvent { namespace, name, kind: _, rooms, except, members, data } = event;
    // In the log the members of a conversation are one room; here they are a user room each.
    let joined = rooms.into_iter().filter(|room| !matches!(room, Room::Members(_)));
    let rooms =
        joined.chain(members.into_iter().map(Room::User)).map(|room| room.to_string()).collect();
    CommittedEvent {
        position,
        namespace: namespace.into(),
        name,
        rooms,
        except: names(&except),
        data,
    }
}

fn names(rooms: &[Room]) -> Vec<String> {
    rooms.iter().map(ToString::to_string).collect()
}

/// The keys of the event in `event_rooms`. An event without rooms is for the whole namespace.
pub(super) fn room_keys(event: &NewEvent) -> Vec<String> {
    if event.rooms.is_empty() {
        return vec![room_key(event.namespace, "")];
    }
    event.rooms.iter().map(|room| room_key(event.namespace, &room.to_string())).collect()
}

/// A room's key in `event_rooms`, with its namespace, since `admin` of `/` and of `/admin` are two
/// audiences.
pub(super) fn room_key(namespace: &str, room: &str) -> String {
    format!("{namespace}#{room}")
}

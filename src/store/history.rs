//! Reading the log: the events that an audience has missed, the last events, and the removal of old
//! ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
    define_sql_function,
};

use crate::event::Room;
use crate::model::{ConversationId, Epoch, EventId, LogPosition, Timestamp, UserId};
use crate::schema::{event_rooms, events};
use crate::store::conn::query;
use crate::store::events::{CommittedEvent, room_key};
use crate::store::sessions::SessionRoom;
use crate::store::{Conn, Tx, conversations, epochs, events as log};

define_sql_function! {
    /// Characters of a text.
    fn length(text: diesel::sql_types::Text) -> diesel::sql_types::Integer;
}

/// The number of ids that are searched for one page, at first.
const WINDOW: i64 = 4096;
/// The most events in one page.
const PER_PAGE: usize = 256;
/// The most characters in one page, except for a single larger event.
const CHARACTERS: i64 = 256 << 10;
/// The prefix of a room that means the members of a conversation.
const MEMBERS: &str = "members:";
/// The most rooms in one query.
const ROOMS: usize = 512;
/// The most events that are read at a start, and the most characters in them.
const LAST: i64 = 4096;
const LAST_CHARACTERS: i64 = 4 << 20;

/// The audience of a replay: a socket of that user in that namespace, with the rooms that it is or
/// was in.
pub struct ReplayAudience {
    pub namespace: String,
    pub user: UserId,
    pub memberships: Vec<SessionRoom>,
}

/// A range of event ids: above the first, up to the second.
type EventIdRange = (EventId, Option<EventId>);

/// How an audience comes to an event of a room; the last of several counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Through {
    /// As a former member of a conversation, removed since.
    FormerMember,
    /// As a member of a conversation.
    Member,
    /// By a room that names the audience, or that it was in.
    Room,
}

impl Through {
    /// Returns true if an event is for the user: those who were members at its commit receive it. A
    /// row of a version that did not keep them means the members now.
    fn includes(self, user: UserId, members: Option<&[UserId]>) -> bool {
        self == Self::Room
            || members.map_or(self == Self::Member, |members| members.contains(&user))
    }
}

fn is_within((since, until): EventIdRange, id: EventId) -> bool {
    since < id && until.is_none_or(|until| id <= until)
}

/// Reads events after `after` for that audience. Returns them with the id up to which the log was
/// searched. Returns `None` if some of the events after `after` have been removed.
pub async fn page(
    conn: &mut Conn,
    audience: &ReplayAudience,
    after: EventId,
    up_to: EventId,
) -> QueryResult<Option<(Vec<CommittedEvent>, EventId)>> {
    let keys = keys(conn, audience).await?;
    let names: Vec<&String> = keys.keys().collect();
    let (mut ids, mut width, mut window) = (BTreeMap::new(), WINDOW, after);
    // An audience without events for a long time has a long way to search, so the steps grow.
    while ids.is_empty() && window < up_to {
        let from = window;
        window = EventId(up_to.0.min(from.0.saturating_add(width)));
        width = width.saturating_mul(8);
        for names in names.chunks(ROOMS) {
            let found: Vec<(String, EventId)> = query!(conn, |c| {
                let between = event_rooms::event_id.gt(from).and(event_rooms::event_id.le(window));
                event_rooms::table.filter(event_rooms::room.eq_any(names)).filter(between).load(c)
            })?;
            for (room, id) in found {
                if let Some((range, through)) = keys.get(&room)
                    && is_within(*range, id)
                {
                    let entry = ids.entry(id).or_insert(*through);
                    *entry = (*entry).max(*through);
                }
            }
        }
    }
    let some: Vec<EventId> = ids.keys().copied().take(PER_PAGE).collect();
    let (some, is_cut) = within(conn, some, CHARACTERS).await?;
    let end = if is_cut || some.len() < ids.len() {
        some.last().copied().unwrap_or(after)
    } else {
        window
    };
    let mut events = load(conn, &some).await?;
    events.retain(|(event, members)| {
        let id = event.position.map(|at| at.id);
        id.and_then(|id| ids.get(&id))
            .is_some_and(|through| through.includes(audience.user, members.as_deref()))
    });
    let mut events: Vec<CommittedEvent> = events.into_iter().map(|(event, _)| event).collect();
    events.retain(|event| {
        let was_in = |membership: &SessionRoom| {
            event.position.is_some_and(|at| is_within((membership.since, membership.until), at.id))
        };
        !event.except.iter().any(|room| {
            audience
                .memberships
                .iter()
                .any(|membership| membership.room == *room && was_in(membership))
        })
    });
    // Checked last: then everything before was still there when it was read.
    Ok((oldest(conn).await?.0 <= after.0 + 1).then_some((events, end)))
}

/// The keys of the audience's rooms, and of the rooms whose events it gets without a membership.
async fn keys(
    conn: &mut Conn,
    audience: &ReplayAudience,
) -> QueryResult<HashMap<String, (EventIdRange, Through)>> {
    let ReplayAudience { namespace, user, memberships } = audience;
    let key = |room: &str| room_key(namespace, room);
    let (former, rooms): (Vec<_>, Vec<_>) =
        memberships.iter().partition(|membership| membership.room.starts_with(MEMBERS));
    let mut keys: HashMap<String, (EventIdRange, Through)> =
        rooms.iter().map(|own| (key(&own.room), ((own.since, own.until), Through::Room))).collect();
    // A session's first memberships are as old as the session.
    let Some(since) = rooms.iter().map(|membership| membership.since).min() else {
        return Ok(keys);
    };
    keys.insert(key(""), ((since, None), Through::Room));
    let as_former = |own: &&SessionRoom| (key(&own.room), ((since, None), Through::FormerMember));
    keys.extend(former.iter().map(as_former));
    let own = Room::User(*user).to_string();
    if memberships.iter().any(|membership| membership.room == own) {
        let member_of = conversations::of_member(conn, *user).await?;
        keys.extend(
            member_of
                .into_iter()
                .map(|id| (key(&Room::Members(id).to_string()), ((since, None), Through::Member))),
        );
    }
    Ok(keys)
}

/// Returns as many of these events, from the first, as fit into `most` characters, but at least
/// one, and true if some did not fit.
async fn within(
    conn: &mut Conn,
    ids: Vec<EventId>,
    most: i64,
) -> QueryResult<(Vec<EventId>, bool)> {
    let sizes: Vec<(EventId, i32)> = query!(conn, |c| {
        events::table
            .filter(events::id.eq_any(&ids))
            .select((events::id, length(events::payload)))
            .order(events::id)
            .load(c)
    })?;
    let mut sum = 0;
    let fitting = sizes.iter().take_while(|(_, size)| {
        sum += i64::from(*size);
        sum <= most
    });
    let count = fitting.count().max(1).min(sizes.len());
    let is_cut = count < sizes.len();
    Ok((sizes.into_iter().take(count).map(|(id, _)| id).collect(), is_cut))
}

/// An event, and the members at its commit, if the log has kept them.
type LoadedEvent = (CommittedEvent, Option<Vec<UserId>>);

/// Loads these events, in log order, without their rooms. They belong to the log's current epoch.
async fn load(conn: &mut Conn, ids: &[EventId]) -> QueryResult<Vec<LoadedEvent>> {
    type Row = ((EventId, String, String, String, Option<String>), Option<String>);
    let epoch = epochs::current(conn).await?;
    let rows: Vec<Row> = query!(conn, |c| {
        let columns =
            (events::id, events::namespace, events::name, events::payload, events::except_json);
        events::table
            .filter(events::id.eq_any(ids))
            .select((columns, events::members_json))
            .order(events::id)
            .load(c)
    })?;
    let loaded = |(row, members): Row| (event(epoch, row), log::read_members(members.as_deref()));
    Ok(rows.into_iter().map(loaded).collect())
}

fn event(
    epoch: Epoch,
    (id, namespace, name, data, except): (EventId, String, String, String, Option<String>),
) -> CommittedEvent {
    CommittedEvent {
        position: Some(LogPosition { epoch, id }),
        namespace: namespace.into(),
        name: name.into(),
        rooms: Vec::new(),
        // `append` wrote it, from a list of names.
        except: except.and_then(|names| serde_json::from_str(&names).ok()).unwrap_or_default(),
        data,
    }
}

/// Events from `first` to `last`, each with the rooms of its audience.
pub(super) async fn between(
    conn: &mut Conn,
    first: EventId,
    last: EventId,
) -> QueryResult<Vec<CommittedEvent>> {
    let ids: Vec<EventId> = query!(conn, |c| {
        events::table
            .filter(events::id.between(first, last))
            .select(events::id)
            .order(events::id)
            .load(c)
    })?;
    let mut found = load(conn, &ids).await?;
    let pairs: Vec<(String, EventId)> = query!(conn, |c| event_rooms::table
        .filter(event_rooms::event_id.between(first, last))
        .load(c))?;
    // The key has the namespace as its prefix.
    let keyed = pairs.iter().filter_map(|(key, id)| Some((key.split_once('#')?.1, *id)));
    let conversation =
        |room: &str| room.strip_prefix(MEMBERS).and_then(|id| id.parse::<ConversationId>().ok());
    let kept: HashMap<EventId, Vec<UserId>> = found
        .iter_mut()
        .filter_map(|(event, members)| Some((event.position?.id, members.take()?)))
        .collect();
    let asked: BTreeSet<_> = keyed
        .clone()
        .filter(|(_, id)| !kept.contains_key(id))
        .filter_map(|(room, _)| conversation(room))
        .collect();
    let members = conversations::members_of(conn, &Vec::from_iter(asked)).await?;
    let mut rooms: HashMap<EventId, Vec<String>> = HashMap::new();
    for (room, id) in keyed {
        let of = rooms.entry(id).or_default();
        match conversation(room) {
            None if room.is_empty() => {}
            None => of.push(room.to_owned()),
            Some(conversation) => of.extend(
                kept.get(&id)
                    .or_else(|| members.get(&conversation))
                    .into_iter()
                    .flatten()
                    .map(|user| Room::User(*user).to_string()),
            ),
        }
    }
    let mut found: Vec<CommittedEvent> = found.into_iter().map(|(event, _)| event).collect();
    for event in &mut found {
        if let Some(position) = event.position {
            event.rooms = rooms.remove(&position.id).unwrap_or_default();
        }
    }
    Ok(found)
}

/// The last events up to `up_to`, without a gap: as many as may be kept in memory.
pub async fn last(conn: &mut Conn, up_to: EventId) -> QueryResult<Vec<CommittedEvent>> {
    let sizes: Vec<(EventId, i32)> = query!(conn, |c| {
        events::table
            .filter(events::id.le(up_to))
            .select((events::id, length(events::payload)))
            .order(events::id.desc())
            .limit(LAST)
            .load(c)
    })?;
    let mut sum = 0;
    let fitting = sizes.into_iter().take_while(|(_, size)| {
        sum += i64::from(*size);
        sum <= LAST_CHARACTERS
    });
    match fitting.last() {
        Some((first, _)) => between(conn, first, up_to).await,
        None => Ok(Vec::new()),
    }
}

/// The id of the oldest event in the log, or the next id if the log is empty.
pub async fn oldest(conn: &mut Conn) -> QueryResult<EventId> {
    let first =
        query!(conn, |c| events::table.select(events::id).order(events::id).first::<EventId>(c))
            .optional()?;
    match first {
        Some(id) => Ok(id),
        None => Ok(EventId(log::last(conn).await?.0 + 1)),
    }
}

/// Removes at most `most` events older than `before`. Returns their number.
pub async fn prune(tx: &mut Tx, before: Timestamp, most: i64) -> QueryResult<usize> {
    let first: Vec<(EventId, Timestamp)> = query!(tx.conn(), |c| {
        events::table.select((events::id, events::created_at)).order(events::id).limit(most).load(c)
    })?;
    let old = first.into_iter().take_while(|(_, at)| *at < before);
    let Some((last, _)) = old.last() else { return Ok(0) };
    query!(tx.conn(), |c| diesel::delete(
        event_rooms::table.filter(event_rooms::event_id.le(last))
    )
    .execute(c))?;
    query!(tx.conn(), |c| diesel::delete(events::table.filter(events::id.le(last))).execute(c))
}

/// Returns true if this log still holds what a client has received up to `position`.
pub async fn is_good(conn: &mut Conn, position: LogPosition) -> QueryResult<bool> {
    epochs::is_good(conn, position).await
}

/// Why a client cannot get all that it has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gap {
    /// The client has events that this log does not have, or has others of.
    OtherLog,
    /// Some of the missed events have been removed.
    Pruned,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherLog => {
                "the client's offset is not of this log, or the log was continued without it (a \
                 restored or failed-over database)"
            }
            Self::Pruned => "some of what was missed is older than EVENT_RETENTION",
        })
    }
}

/// Checks that a client that has everything up to `from` can get the rest: its session began in
/// this log, its offset is good, and no later event has been removed.
pub async fn continues(
    conn: &mut Conn,
    first: LogPosition,
    offset: Option<LogPosition>,
    from: EventId,
) -> QueryResult<Result<(), Gap>> {
    for position in [Some(first), offset].into_iter().flatten() {
        if !is_good(conn, position).await? {
            return Ok(Err(Gap::OtherLog));
        }
    }
    Ok(if oldest(conn).await?.0 <= from.0 + 1 { Ok(()) } else { Err(Gap::Pruned) })
}

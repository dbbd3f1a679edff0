//! Announces the log: events in the order of their ids, and this server's local steps each in their
//! position among them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use diesel::QueryResult;

use crate::model::{ConversationId, EventId, UserId};
use crate::store::events::read_members;
use crate::store::postgres::appender::statements::{LogRow, MovedRow};
use crate::store::postgres::context::PgContext;
use crate::store::postgres::epochs::EpochList;
use crate::store::postgres::outbox::Origin;
use crate::store::postgres::outbox::pending::FinishedWrites;
use crate::store::tx::Step;
use crate::store::{Committed, CommittedEvent, Conn, conversations};

/// How long events of other servers wait for budget, which slows them down while readers are slow.
/// The time is short, because this server's own writes, which hold the rest of the budget, wait
/// behind them.
const BUDGET_TIMEOUT: Duration = Duration::from_millis(500);

/// Prefix of the room that means all members of a conversation.
const MEMBERS: &str = "members:";

/// An event of the log that is to be announced.
pub(super) struct LogEvent {
    id: EventId,
    /// `None` for events older than the outbox.
    outbox_id: Option<i64>,
    origin: Option<Origin>,
    /// The event, whose position is set when it is announced.
    event: CommittedEvent,
}

/// A position in the order at which this server runs local steps without a stored event.
pub(super) struct Placeholder {
    outbox_id: i64,
    origin: Origin,
}

impl Placeholder {
    /// Reads a row that was moved from the outbox; `None` for a row of the other sort.
    pub(super) fn from_moved(row: &MovedRow) -> Option<Self> {
        let (None, Some(outbox_id), Some(origin)) = (row.id, row.outbox_id, row.origin) else {
            return None;
        };
        Some(Self { outbox_id, origin: Origin(origin) })
    }
}

impl LogEvent {
    pub(super) fn id(&self) -> EventId {
        self.id
    }

    /// Reads a row that was moved from the outbox; `None` for a row of the other sort.
    pub(super) fn from_moved(row: MovedRow) -> Option<Self> {
        let MovedRow {
            outbox_id,
            origin,
            id,
            namespace,
            name,
            payload,
            except_json,
            rooms,
            members,
            ..
        } = row;
        let rooms = rooms.unwrap_or_default().into_iter().filter(|room| !room.starts_with(MEMBERS));
        let members = members.unwrap_or_default().into_iter().map(|id| user_room(UserId(id)));
        let event = CommittedEvent {
            position: None,
            namespace: namespace?.into(),
            name: name?.into(),
            rooms: rooms.chain(members).collect(),
            except: names(except_json.as_deref()),
            data: payload?,
        };
        Some(Self { id: EventId(id?), outbox_id, origin: origin.map(Origin), event })
    }

    /// Reads rows of the log. A row of a version that kept no members with it means those at the
    /// time of reading.
    pub(super) async fn from_log(conn: &mut Conn, rows: Vec<LogRow>) -> QueryResult<Vec<Self>> {
        let of: Vec<_> = rows
            .iter()
            .filter(|row| row.members_json.is_none())
            .flat_map(|row| &row.rooms)
            .filter_map(|room| members_of(plain(room)))
            .collect();
        let now = conversations::members_of(conn, &of).await?;
        let expand = |room: &String, kept: Option<&[UserId]>| match members_of(plain(room)) {
            Some(id) => {
                let members = kept.or_else(|| now.get(&id).map(Vec::as_slice)).unwrap_or_default();
                members.iter().copied().map(user_room).collect()
            }
            // The event is for the whole namespace.
            None if plain(room).is_empty() => Vec::new(),
            None => vec![plain(room).to_owned()],
        };
        let event = |row: LogRow| {
            let kept = read_members(row.members_json.as_deref());
            let event = CommittedEvent {
                position: None,
                rooms: row.rooms.iter().flat_map(|room| expand(room, kept.as_deref())).collect(),
                except: names(row.except_json.as_deref()),
                namespace: row.namespace.into(),
                name: row.name.into(),
                data: row.payload,
            };
            Self {
                id: EventId(row.id),
                outbox_id: row.outbox_id,
                origin: row.origin.map(Origin),
                event,
            }
        };
        Ok(rows.into_iter().map(event).collect())
    }
}

fn user_room(id: UserId) -> String {
    crate::event::Room::User(id).to_string()
}

/// A room's name without the namespace that `event_rooms` prefixes.
fn plain(room: &str) -> &str {
    room.split_once('#').map_or(room, |(_, name)| name)
}

fn members_of(room: &str) -> Option<ConversationId> {
    room.strip_prefix(MEMBERS)?.parse().ok()
}

/// Parses `except_json`, which this server has written.
fn names(json: Option<&str>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Hands the log to the publisher, chunk by chunk.
pub(super) struct Announcer {
    context: Rc<PgContext>,
    /// Processed placeholders that may still be in the outbox.
    done: Vec<i64>,
}

/// The events that one call of the publisher announces.
#[derive(Default)]
struct Batch {
    steps: Vec<Step<CommittedEvent>>,
    finished: FinishedWrites,
    /// Bytes of the events that no write of this server holds budget for.
    foreign: usize,
}

impl Announcer {
    pub(super) fn new(context: Rc<PgContext>) -> Self {
        Self { context, done: Vec::new() }
    }

    /// Placeholders to remove from the outbox.
    pub(super) fn done(&self) -> Vec<i64> {
        self.done.clone()
    }

    /// Forgets placeholders that have been removed.
    pub(super) fn forget(&mut self, removed: &[i64]) {
        self.done.retain(|id| !removed.contains(id));
    }

    /// Announces a chunk of the log, and before each event the placeholders that come before it.
    pub(super) async fn announce(
        &mut self,
        epochs: &EpochList,
        events: Vec<LogEvent>,
        placeholders: &mut VecDeque<Placeholder>,
    ) {
        let mut batch = Batch::default();
        for LogEvent { id, outbox_id, origin, mut event } in events {
            let is_ahead =
                |placeholder: &Placeholder| outbox_id.is_some_and(|id| placeholder.outbox_id < id);
            while placeholders.front().is_some_and(is_ahead)
                && let Some(placeholder) = placeholders.pop_front()
            {
                self.run_placeholder(&placeholder, &mut batch);
            }
            event.position = Some(epochs.position(id));
            let local =
                origin.and_then(|origin| self.context.pending.take(origin, &mut batch.finished));
            if local.is_none() {
                batch.foreign += event.data.len();
            }
            let local = local.unwrap_or_default();
            batch.steps.extend(local.before);
            batch.steps.push(Step::Event(event));
            batch.steps.extend(local.after);
        }
        self.publish(batch).await;
    }

    /// Runs the placeholders after the last event.
    pub(super) async fn finish(&mut self, placeholders: VecDeque<Placeholder>) {
        let mut batch = Batch::default();
        for placeholder in placeholders {
            self.run_placeholder(&placeholder, &mut batch);
        }
        self.publish(batch).await;
    }

    fn run_placeholder(&mut self, placeholder: &Placeholder, batch: &mut Batch) {
        let local =
            self.context.pending.take(placeholder.origin, &mut batch.finished).unwrap_or_default();
        batch.steps.extend(local.before);
        self.done.push(placeholder.outbox_id);
    }

    async fn publish(&self, batch: Batch) {
        let Batch { steps, finished: FinishedWrites { jobs, mut permits }, foreign } = batch;
        let answer = move || jobs.into_iter().for_each(|job| job.answer(None));
        if steps.is_empty() {
            return answer();
        }
        if foreign > 0
            && let Ok(permit) =
                tokio::time::timeout(BUDGET_TIMEOUT, self.context.publisher.admit(foreign)).await
        {
            permits.push(permit);
        }
        self.context.publisher.publish(Committed::new(steps, permits), Box::new(answer));
    }
}

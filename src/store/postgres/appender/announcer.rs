//! Announces the log: events in the order of their ids, and this server's own doings each in its
//! place among them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use diesel::QueryResult;

use crate::model::{ConversationId, EventId, UserId};
use crate::store::postgres::appender::statements::{Read, Taken};
use crate::store::postgres::context::PgContext;
use crate::store::postgres::epochs::Epochs;
use crate::store::postgres::outbox::Origin;
use crate::store::postgres::outbox::pending::Finished;
use crate::store::tx::Step;
use crate::store::{Committed, CommittedEvent, Conn, conversations};

/// Events of other servers wait so long for a share of the budget, which slows them down while
/// readers are slow. Not longer: this server's own writes, which hold the rest of it, wait behind
/// them.
const BUDGET_TIMEOUT: Duration = Duration::from_millis(500);

/// What stands for the members of a conversation among an event's rooms.
const MEMBERS: &str = "members:";

/// An event of the log that is to be announced.
pub(super) struct Event {
    id: EventId,
    /// None: it is older than the outbox.
    outbox_id: Option<i64>,
    origin: Option<Origin>,
    /// Still without its position.
    told: CommittedEvent,
}

/// A place among the events at which this server does something, and no other.
pub(super) struct Mark {
    outbox_id: i64,
    origin: Origin,
}

impl Mark {
    /// One that was taken from the outbox.
    pub(super) fn taken(row: &Taken) -> Option<Self> {
        let (None, Some(outbox_id), Some(origin)) = (row.id, row.outbox_id, row.origin) else {
            return None;
        };
        Some(Self { outbox_id, origin: Origin(origin) })
    }
}

impl Event {
    pub(super) fn id(&self) -> EventId {
        self.id
    }

    /// One that was taken from the outbox.
    pub(super) fn taken(row: Taken) -> Option<Self> {
        let Taken {
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
        let told = CommittedEvent {
            position: None,
            namespace: namespace?.into(),
            name: name?.into(),
            rooms: rooms.chain(members).collect(),
            except: names(except_json.as_deref()),
            data: payload?,
        };
        Some(Self { id: EventId(id?), outbox_id, origin: origin.map(Origin), told })
    }

    /// Some that were read from the log. A conversation's members are those of now.
    pub(super) async fn read(conn: &mut Conn, rows: Vec<Read>) -> QueryResult<Vec<Self>> {
        let of: Vec<_> = rows
            .iter()
            .flat_map(|row| &row.rooms)
            .filter_map(|room| members_of(plain(room)))
            .collect();
        let members = conversations::members_of(conn, &of).await?;
        let expand = |room: &String| match members_of(plain(room)) {
            Some(id) => members.get(&id).into_iter().flatten().copied().map(user_room).collect(),
            // For the whole namespace.
            None if plain(room).is_empty() => Vec::new(),
            None => vec![plain(room).to_owned()],
        };
        let event = |row: Read| {
            let told = CommittedEvent {
                position: None,
                rooms: row.rooms.iter().flat_map(expand).collect(),
                except: names(row.except_json.as_deref()),
                namespace: row.namespace.into(),
                name: row.name.into(),
                data: row.payload,
            };
            Self {
                id: EventId(row.id),
                outbox_id: row.outbox_id,
                origin: row.origin.map(Origin),
                told,
            }
        };
        Ok(rows.into_iter().map(event).collect())
    }
}

fn user_room(id: UserId) -> String {
    crate::event::Room::User(id).to_string()
}

/// A room's name without the namespace that `event_rooms` has ahead of it.
fn plain(room: &str) -> &str {
    room.split_once('#').map_or(room, |(_, name)| name)
}

fn members_of(room: &str) -> Option<ConversationId> {
    room.strip_prefix(MEMBERS)?.parse().ok()
}

/// `except_json` is our own text.
fn names(json: Option<&str>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// Gives the publisher the log, piece by piece.
pub(super) struct Announcer {
    context: Rc<PgContext>,
    /// Marks that are done, and may still be in the outbox.
    done: Vec<i64>,
}

/// What is announced together.
#[derive(Default)]
struct Batch {
    steps: Vec<Step<CommittedEvent>>,
    finished: Finished,
    /// Size of the events that no writer here has taken a share for.
    foreign: usize,
}

impl Announcer {
    pub(super) fn new(context: Rc<PgContext>) -> Self {
        Self { context, done: Vec::new() }
    }

    /// Marks to be removed from the outbox.
    pub(super) fn done(&self) -> Vec<i64> {
        self.done.clone()
    }

    /// They have been removed.
    pub(super) fn forget(&mut self, removed: &[i64]) {
        self.done.retain(|id| !removed.contains(id));
    }

    /// The next piece of the log, and ahead of each event the marks that were put ahead of it.
    pub(super) async fn announce(
        &mut self,
        epochs: &Epochs,
        events: Vec<Event>,
        marks: &mut VecDeque<Mark>,
    ) {
        let mut batch = Batch::default();
        for Event { id, outbox_id, origin, mut told } in events {
            let is_ahead = |mark: &Mark| outbox_id.is_some_and(|id| mark.outbox_id < id);
            while marks.front().is_some_and(is_ahead)
                && let Some(mark) = marks.pop_front()
            {
                self.pass(&mark, &mut batch);
            }
            told.position = Some(epochs.position(id));
            let beside =
                origin.and_then(|origin| self.context.pending.take(origin, &mut batch.finished));
            if beside.is_none() {
                batch.foreign += told.data.len();
            }
            let beside = beside.unwrap_or_default();
            batch.steps.extend(beside.before);
            batch.steps.push(Step::Event(told));
            batch.steps.extend(beside.after);
        }
        self.publish(batch).await;
    }

    /// The marks behind the last event.
    pub(super) async fn finish(&mut self, marks: VecDeque<Mark>) {
        let mut batch = Batch::default();
        for mark in marks {
            self.pass(&mark, &mut batch);
        }
        self.publish(batch).await;
    }

    fn pass(&mut self, mark: &Mark, batch: &mut Batch) {
        let beside =
            self.context.pending.take(mark.origin, &mut batch.finished).unwrap_or_default();
        batch.steps.extend(beside.before);
        self.done.push(mark.outbox_id);
    }

    async fn publish(&self, batch: Batch) {
        let Batch { steps, finished: Finished { jobs, mut tickets }, foreign } = batch;
        let answer = move || jobs.into_iter().for_each(|job| job.answer(None));
        if steps.is_empty() {
            return answer();
        }
        if foreign > 0
            && let Ok(ticket) =
                tokio::time::timeout(BUDGET_TIMEOUT, self.context.publisher.admit(foreign)).await
        {
            tickets.push(ticket);
        }
        self.context.publisher.publish(Committed::new(steps, tickets), Box::new(answer));
    }
}

//! What a write leaves for the log: a row of `outbox` per stored event, put there by its
//! transaction's last statement, after all its row locks.
//!
//! So outbox ids rise along every chain of cause and effect: who waited for a lock that another
//! write held, or read what it wrote, puts its rows behind. What a write has to do beside its
//! stored events (ephemeral events, things for after the commit) stays with this server, tied to
//! the rows by the write's [`Origin`]; a write with nothing but such things leaves one row without
//! an event, a mark that keeps its place.

use std::cell::Cell;
use std::collections::VecDeque;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::event::{EventKind, NewEvent};
use crate::store::CommittedEvent;
use crate::store::events::{committed, except_json};
use crate::store::tx::Step;

/// A write, among all writes of all servers that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Origin(pub(super) i64);

/// Numbers this server's writes.
pub(super) struct Origins {
    /// Random, for each process: what an earlier one of this server has left is a stranger's.
    server: i64,
    last: Cell<u32>,
}

impl Origins {
    pub(super) fn new() -> Self {
        Self { server: i64::from(rand::random::<u32>()), last: Cell::new(0) }
    }

    /// What the rows of this server's writes have in the upper half of their origin, as SQL sees
    /// it.
    pub(super) fn server(&self) -> i64 {
        (self.server << 32) >> 32
    }

    pub(super) fn next(&self) -> Origin {
        // Over after four billion writes; those that still are under way then are no longer these.
        self.last.set(self.last.get().wrapping_add(1));
        Origin((self.server << 32) | i64::from(self.last.get()))
    }
}

/// What this server does ahead of and behind a row of its own. No event in here is stored.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) before: Vec<Step<CommittedEvent>>,
    pub(super) after: Vec<Step<CommittedEvent>>,
}

/// Puts the rows of a write, or of several that are one transaction, into the outbox, in order.
#[derive(Default, QueryId)]
pub(super) struct Put {
    origins: Vec<i64>,
    namespaces: Vec<Option<String>>,
    names: Vec<Option<String>>,
    payloads: Vec<Option<String>>,
    /// The names of one row in one text, with [`SEPARATOR`] in between: arrays of arrays have to be
    /// of one length.
    rooms: Vec<String>,
    /// As `rooms`.
    members: Vec<String>,
    excepts: Vec<Option<String>>,
}

/// In no room's name.
const SEPARATOR: &str = "\u{1f}";

impl Put {
    /// Takes a write's steps apart: rows for the outbox, and what this server does beside each of
    /// them. There is at least one row.
    pub(super) fn add(&mut self, origin: Origin, steps: Vec<Step<NewEvent>>) -> VecDeque<Beside> {
        let mut beside: VecDeque<Beside> = VecDeque::new();
        let mut ahead = Vec::new();
        for step in steps {
            let own = match step {
                Step::Event(event) if event.kind == EventKind::Stored => {
                    self.push(origin, event);
                    beside.push_back(Beside {
                        before: std::mem::take(&mut ahead),
                        after: Vec::new(),
                    });
                    continue;
                }
                Step::Event(event) => Step::Event(committed(None, event)),
                Step::Then(then) => Step::Then(then),
            };
            match beside.back_mut() {
                Some(row) => row.after.push(own),
                None => ahead.push(own),
            }
        }
        if beside.is_empty() {
            self.push_mark(origin);
            beside.push_back(Beside { before: ahead, after: Vec::new() });
        }
        beside
    }

    fn push(&mut self, Origin(origin): Origin, event: NewEvent) {
        self.origins.push(origin);
        self.excepts.push(except_json(&event));
        self.rooms.push(joined(event.rooms));
        self.members.push(joined(event.members));
        self.namespaces.push(Some(event.namespace.to_owned()));
        self.names.push(Some(event.name.into_owned()));
        self.payloads.push(Some(event.data));
    }

    fn push_mark(&mut self, Origin(origin): Origin) {
        self.origins.push(origin);
        self.rooms.push(String::new());
        self.members.push(String::new());
        for column in [&mut self.namespaces, &mut self.names, &mut self.payloads, &mut self.excepts]
        {
            column.push(None);
        }
    }
}

fn joined<T: ToString>(parts: Vec<T>) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(SEPARATOR)
}

impl QueryFragment<Pg> for Put {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        type Texts = Array<Nullable<Text>>;
        // Ids are handed out behind the sort, and so in the order of the rows.
        out.push_sql(
            "INSERT INTO outbox (origin, namespace, name, payload, rooms, members, except_json) \
             SELECT origin, namespace, name, payload, string_to_array(rooms, chr(31)), string_to_array(members, chr(31))::BIGINT[], except_json \
             FROM UNNEST(",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.origins)?;
        out.push_sql(", ");
        out.push_bind_param::<Texts, _>(&self.namespaces)?;
        out.push_sql(", ");
        out.push_bind_param::<Texts, _>(&self.names)?;
        out.push_sql(", ");
        out.push_bind_param::<Texts, _>(&self.payloads)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.rooms)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.members)?;
        out.push_sql(", ");
        out.push_bind_param::<Texts, _>(&self.excepts)?;
        out.push_sql(") WITH ORDINALITY AS line (origin, namespace, name, payload, rooms, members, except_json, nth) ORDER BY nth");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use crate::model::{ConversationId, UserId};

    fn then() -> Step<NewEvent> {
        Step::Then(Box::new(|| {}))
    }

    fn stored() -> Step<NewEvent> {
        Step::Event(event::notifications_all_read(UserId(1)))
    }

    fn ephemeral() -> Step<NewEvent> {
        Step::Event(event::typing(ConversationId(1), UserId(1), true))
    }

    fn shape(steps: Vec<Step<NewEvent>>) -> (Vec<bool>, Vec<(usize, usize)>) {
        let mut put = Put::default();
        let beside = put.add(Origin(1), steps);
        let lengths = beside.iter().map(|row| (row.before.len(), row.after.len())).collect();
        (put.names.iter().map(Option::is_some).collect(), lengths)
    }

    #[test]
    fn what_a_server_does_of_its_own_goes_with_the_stored_event_that_it_stands_beside() {
        assert_eq!(
            shape(vec![then(), stored(), ephemeral(), then(), stored()]),
            (vec![true, true], vec![(1, 2), (0, 0)])
        );
    }

    #[test]
    fn a_write_without_a_stored_event_leaves_a_mark() {
        assert_eq!(shape(vec![ephemeral(), then()]), (vec![false], vec![(2, 0)]));
    }

    #[test]
    fn origins_differ_and_name_their_server() {
        let origins = Origins { server: i64::from(u32::MAX), last: Cell::new(u32::MAX - 1) };
        let (last, first) = (origins.next(), origins.next());
        assert_ne!(last, first);
        assert_eq!((last.0 >> 32, first.0 >> 32), (origins.server(), origins.server()));
    }
}

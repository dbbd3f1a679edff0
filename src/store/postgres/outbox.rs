//! The outbox rows that a write inserts, to be moved to the log later: one row per stored event,
//! inserted by the transaction's last statement, after all its row locks.
//!
//! So a write that depends on another (it waited for its lock, or read what it wrote) has a higher
//! outbox id. The steps of a write that are not stored (transient events, callbacks after the
//! commit) stay on this server as [`LocalSteps`], tied to the rows by the write's [`Origin`]. A
//! write with nothing but local steps inserts one placeholder row, without an event, that keeps its
//! position in the order.

pub(super) mod pending;

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

/// Identifies a write among all writes in progress on all servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Origin(pub(super) i64);

/// Numbers this server's writes.
pub(super) struct WriteNumbers {
    /// Random per process: rows of an earlier process of this server count as another server's.
    server: i64,
    last: Cell<u32>,
}

impl WriteNumbers {
    pub(super) fn new() -> Self {
        Self { server: i64::from(rand::random::<u32>()), last: Cell::new(0) }
    }

    /// The upper half of the `origin` of this server's rows, as a signed number in SQL.
    pub(super) fn server(&self) -> i64 {
        (self.server << 32) >> 32
    }

    pub(super) fn next(&self) -> Origin {
        // Wraps after four billion writes; by then the writes with those numbers are over.
        self.last.set(self.last.get().wrapping_add(1));
        Origin((self.server << 32) | i64::from(self.last.get()))
    }
}

/// The steps that this server runs before and after one of its rows. None of these events is
/// stored.
#[derive(Default)]
pub(super) struct LocalSteps {
    pub(super) before: Vec<Step<CommittedEvent>>,
    pub(super) after: Vec<Step<CommittedEvent>>,
}

/// Inserts the rows of one transaction, which may hold several writes, into the outbox, in order.
#[derive(Default, QueryId)]
pub(super) struct OutboxInsert {
    origins: Vec<i64>,
    namespaces: Vec<Option<String>>,
    names: Vec<Option<String>>,
    payloads: Vec<Option<String>>,
    /// The names of one row in one text, joined by [`SEPARATOR`]: PostgreSQL's nested arrays must
    /// be of equal length.
    rooms: Vec<String>,
    /// Joined like `rooms`.
    members: Vec<String>,
    excepts: Vec<Option<String>>,
}

/// Occurs in no room's name.
const SEPARATOR: &str = "\u{1f}";

impl OutboxInsert {
    /// Splits a write's steps into rows for the outbox and this server's local steps, one entry per
    /// row. There is at least one row.
    pub(super) fn add(
        &mut self,
        origin: Origin,
        steps: Vec<Step<NewEvent>>,
    ) -> VecDeque<LocalSteps> {
        let mut local: VecDeque<LocalSteps> = VecDeque::new();
        let mut ahead = Vec::new();
        for step in steps {
            let own = match step {
                Step::Event(event) if event.kind == EventKind::Stored => {
                    self.push(origin, event);
                    local.push_back(LocalSteps {
                        before: std::mem::take(&mut ahead),
                        after: Vec::new(),
                    });
                    continue;
                }
                Step::Event(event) => Step::Event(committed(None, event)),
                Step::AfterCommit(action) => Step::AfterCommit(action),
            };
            match local.back_mut() {
                Some(row) => row.after.push(own),
                None => ahead.push(own),
            }
        }
        if local.is_empty() {
            self.push_placeholder(origin);
            local.push_back(LocalSteps { before: ahead, after: Vec::new() });
        }
        local
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

    fn push_placeholder(&mut self, Origin(origin): Origin) {
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

impl QueryFragment<Pg> for OutboxInsert {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        type Texts = Array<Nullable<Text>>;
        // PostgreSQL assigns the ids after the sort, and so in the order of the rows.
        out.push_sql(
            "INSERT INTO outbox (origin, namespace, name, payload, rooms, members, except_json) \
             SELECT origin, namespace, name, payload, string_to_array(rooms, chr(31)), \
                 string_to_array(members, chr(31))::BIGINT[], except_json \
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
        out.push_sql(
            ") WITH ORDINALITY AS line \
             (origin, namespace, name, payload, rooms, members, except_json, nth) ORDER BY nth",
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use crate::model::{ConversationId, UserId};

    fn callback() -> Step<NewEvent> {
        Step::AfterCommit(Box::new(|| {}))
    }

    fn stored() -> Step<NewEvent> {
        Step::Event(event::notifications_all_read(UserId(1)))
    }

    fn transient() -> Step<NewEvent> {
        Step::Event(event::typing(ConversationId(1), UserId(1), true))
    }

    fn shape(steps: Vec<Step<NewEvent>>) -> (Vec<bool>, Vec<(usize, usize)>) {
        let mut insert = OutboxInsert::default();
        let local = insert.add(Origin(1), steps);
        let lengths = local.iter().map(|row| (row.before.len(), row.after.len())).collect();
        (insert.names.iter().map(Option::is_some).collect(), lengths)
    }

    #[test]
    fn local_steps_stay_next_to_their_stored_event() {
        assert_eq!(
            shape(vec![callback(), stored(), transient(), callback(), stored()]),
            (vec![true, true], vec![(1, 2), (0, 0)])
        );
    }

    #[test]
    fn a_write_without_a_stored_event_inserts_a_placeholder() {
        assert_eq!(shape(vec![transient(), callback()]), (vec![false], vec![(2, 0)]));
    }

    #[test]
    fn write_numbers_differ_and_name_their_server() {
        let numbers = WriteNumbers { server: i64::from(u32::MAX), last: Cell::new(u32::MAX - 1) };
        let (last, first) = (numbers.next(), numbers.next());
        assert_ne!(last, first);
        assert_eq!((last.0 >> 32, first.0 >> 32), (numbers.server(), numbers.server()));
    }
}

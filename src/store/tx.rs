//! A write in progress: its connection, and the steps that follow its commit.

use crate::event::NewEvent;
use crate::store::Conn;

/// The transaction that a write's closure works on. Store functions that change rows take it, so
/// none of them can run outside a transaction.
///
/// It cannot be committed from here: when the closure returns `Ok`, its caller appends the events
/// to the log and commits; on `Err` everything is rolled back.
pub struct Tx {
    pub(super) conn: Conn,
    pub(super) steps: Vec<Step<NewEvent>>,
}

/// A step that follows a commit; steps keep their order.
pub(super) enum Step<E> {
    Event(E),
    AfterCommit(Box<dyn FnOnce() + Send>),
}

impl Tx {
    pub(super) fn new(conn: Conn) -> Self {
        Self { conn, steps: Vec::new() }
    }

    /// The connection, for reads within the transaction.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Announces the event after the commit. A stored event is part of this transaction.
    ///
    /// It gets its id at the end, where the order of commits is known, on both databases.
    pub fn emit(&mut self, event: NewEvent) {
        self.steps.push(Step::Event(event));
    }

    /// Runs `action` after the commit, in its position among all events, of this write and of
    /// others: after those announced earlier, before later ones. Use it for an action that later
    /// events must not overtake, such as a removal from a room. It must not wait.
    pub fn after_commit(&mut self, action: impl FnOnce() + Send + 'static) {
        self.steps.push(Step::AfterCommit(Box::new(action)));
    }
}

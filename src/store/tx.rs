//! A write in progress: its connection, and what will follow its commit.

use crate::event::NewEvent;
use crate::store::Conn;

/// What a write's closure works on. Store functions that change rows take it, so none of them can
/// run outside a transaction.
///
/// It cannot be committed from here: when the closure gives `Ok`, whoever runs it appends the
/// events to the log and commits; on `Err` it is as if nothing had been done.
pub struct Tx {
    pub(super) conn: Conn,
    pub(super) steps: Vec<Step<NewEvent>>,
}

/// What follows a commit, one after another.
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

    /// Has the event announced after the commit, and unless it is ephemeral stored with this
    /// transaction.
    ///
    /// It gets its id at the end: only there is the order of commits known, on both databases.
    pub fn emit(&mut self, event: NewEvent) {
        self.steps.push(Step::Event(event));
    }

    /// Has this run after the commit in its place among all events, this write's and others':
    /// behind those that are announced before, ahead of those that come later. For what must not be
    /// overtaken, such as who may no longer hear a room. It must not wait.
    pub fn after_commit(&mut self, action: impl FnOnce() + Send + 'static) {
        self.steps.push(Step::AfterCommit(Box::new(action)));
    }
}

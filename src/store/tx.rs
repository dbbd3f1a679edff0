//! A write in progress: its connection, and the events that it will have announced.

use crate::event::NewEvent;
use crate::store::Conn;

/// What a write's closure works on. Store functions that change rows take it, so none of them can run outside a transaction.
///
/// It cannot be committed from here: when the closure gives `Ok`, whoever runs it appends the events to the log and commits; on `Err` it is as if
/// nothing had been done.
pub struct Tx {
    pub(super) conn: Conn,
    pub(super) events: Vec<NewEvent>,
}

impl Tx {
    pub(super) fn new(conn: Conn) -> Self {
        Self { conn, events: Vec::new() }
    }

    /// The connection, for reads within the transaction.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Has the event stored with this transaction, after its rows, and announced after the commit.
    ///
    /// It gets its id at the end: only there is the order of commits known, on both databases.
    pub fn emit(&mut self, event: NewEvent) {
        self.events.push(event);
    }
}

//! The seam to whoever announces events: what it gets, when, and the proof that it was committed. Implemented above, in `service/publish.rs`.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use crate::store::StoredEvent;

/// A share of the publisher's budget of bytes in flight. Opaque here: taken before a write, carried with it, given back inside [`Committed`]
/// (or dropped when nothing is to be announced).
pub type Ticket = Box<dyn Any + Send>;

/// Announces committed events.
pub trait Publisher: Send + Sync {
    /// Waits for a share of the budget. Taken in the caller's task, before its write is queued: who cannot be announced is not written.
    fn admit<'a>(&'a self, bytes: usize) -> Pin<Box<dyn Future<Output = Ticket> + Send + 'a>>;

    /// Hands committed events on. Called in log order, never by two threads at once, and must not wait. `routed` has to run once they have
    /// been routed: it answers those who wait for the writes. Dropping it answers them with an error although their writes stand.
    fn publish(&self, committed: Committed, routed: Box<dyn FnOnce() + Send>);
}

/// Events whose transaction is committed, in log order. Only this module's commit can make one, so nothing else can be published.
pub struct Committed {
    events: Vec<StoredEvent>,
    tickets: Vec<Ticket>,
}

impl Committed {
    pub(super) fn new(events: Vec<StoredEvent>, tickets: Vec<Ticket>) -> Self {
        Self { events, tickets }
    }

    /// The events, and the budget to give back when they have left.
    #[must_use]
    pub fn into_events(self) -> (Vec<StoredEvent>, Vec<Ticket>) {
        (self.events, self.tickets)
    }
}

/// Announces nothing: for commands that work beside a server, and for tests that do not look.
pub struct Silent;

impl Publisher for Silent {
    fn admit<'a>(&'a self, _bytes: usize) -> Pin<Box<dyn Future<Output = Ticket> + Send + 'a>> {
        Box::pin(std::future::ready(Box::new(()) as Ticket))
    }

    fn publish(&self, _committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        routed();
    }
}

//! The interface to the publisher of events: what it gets and when, and the proof that an event was
//! committed. Implemented in `service/publish.rs`.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use crate::model::LogPosition;
use crate::store::CommittedEvent;
use crate::store::tx::Step;

/// Part of the publisher's budget of bytes in flight. Opaque here: taken before a write, carried
/// with it, and returned inside [`Committed`], or dropped when nothing is announced.
pub type BudgetPermit = Box<dyn Any + Send>;

/// Announces committed events.
pub trait Publisher: Send + Sync {
    /// Reports the end of the log when a server opens it, and its last events. Called once, before
    /// anything is published; never for a command beside a server.
    fn begin(&self, start: LogPosition, last: Vec<CommittedEvent>);

    /// Waits for budget, in the caller's task, before its write is queued: what cannot be announced
    /// is not written.
    fn admit<'a>(&'a self, bytes: usize)
    -> Pin<Box<dyn Future<Output = BudgetPermit> + Send + 'a>>;

    /// Hands committed events on. Called in log order, never by two threads at once, and must not
    /// wait. `routed` must be called once they have been routed: it answers the callers of the
    /// writes. If it is dropped, they get an error although their writes are committed.
    fn publish(&self, committed: Committed, routed: Box<dyn FnOnce() + Send>);
}

/// The steps of committed transactions, in log order. Only this module's commit makes one, so
/// nothing else can be published.
pub struct Committed {
    steps: Vec<Step<CommittedEvent>>,
    permits: Vec<BudgetPermit>,
}

impl Committed {
    pub(super) fn new(steps: Vec<Step<CommittedEvent>>, permits: Vec<BudgetPermit>) -> Self {
        Self { steps, permits }
    }

    /// Takes the budget, to be returned when all events have left.
    pub fn take_permits(&mut self) -> Vec<BudgetPermit> {
        std::mem::take(&mut self.permits)
    }

    /// Passes each run of consecutive events to `publish`, and runs the callbacks between them
    /// ([`Tx::after_commit`](crate::store::Tx::after_commit)). The last run goes to `last`, and may
    /// be empty.
    pub fn walk(
        self,
        mut publish: impl FnMut(Vec<CommittedEvent>),
        last: impl FnOnce(Vec<CommittedEvent>),
    ) {
        let mut events = Vec::new();
        for step in self.steps {
            match step {
                Step::Event(event) => events.push(event),
                Step::AfterCommit(action) => {
                    if !events.is_empty() {
                        publish(std::mem::take(&mut events));
                    }
                    action();
                }
            }
        }
        last(events);
    }
}

/// Announces nothing: for commands beside a server, and for tests.
pub struct NullPublisher;

impl Publisher for NullPublisher {
    fn begin(&self, _start: LogPosition, _last: Vec<CommittedEvent>) {}

    fn admit<'a>(
        &'a self,
        _bytes: usize,
    ) -> Pin<Box<dyn Future<Output = BudgetPermit> + Send + 'a>> {
        Box::pin(std::future::ready(Box::new(()) as BudgetPermit))
    }

    fn publish(&self, committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        committed.walk(drop, drop);
        routed();
    }
}

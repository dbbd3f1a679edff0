//! The seam to whoever announces events: what it gets, when, and the proof that it was committed.
//! Implemented above, in `service/publish.rs`.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use crate::model::LogPosition;
use crate::store::CommittedEvent;
use crate::store::tx::Step;

/// A share of the publisher's budget of bytes in flight. Opaque here: taken before a write, carried
/// with it, given back inside [`Committed`] (or dropped when nothing is to be announced).
pub type BudgetPermit = Box<dyn Any + Send>;

/// Announces committed events.
pub trait Publisher: Send + Sync {
    /// Where a server's log stands when it is opened, and its last events. Called once, ahead of
    /// everything that is published; not at all for a command beside a server.
    fn begin(&self, start: LogPosition, last: Vec<CommittedEvent>);

    /// Waits for a share of the budget. Taken in the caller's task, before its write is queued: who
    /// cannot be announced is not written.
    fn admit<'a>(&'a self, bytes: usize)
    -> Pin<Box<dyn Future<Output = BudgetPermit> + Send + 'a>>;

    /// Hands committed events on. Called in log order, never by two threads at once, and must not
    /// wait. `routed` has to run once they have been routed: it answers those who wait for the
    /// writes. Dropping it answers them with an error although their writes stand.
    fn publish(&self, committed: Committed, routed: Box<dyn FnOnce() + Send>);
}

/// What committed transactions have announced, in log order. Only this module's commit can make
/// one, so nothing else can be published.
pub struct Committed {
    steps: Vec<Step<CommittedEvent>>,
    permits: Vec<BudgetPermit>,
}

impl Committed {
    pub(super) fn new(steps: Vec<Step<CommittedEvent>>, permits: Vec<BudgetPermit>) -> Self {
        Self { steps, permits }
    }

    /// The budget to give back when all events have left.
    pub fn take_permits(&mut self) -> Vec<BudgetPermit> {
        std::mem::take(&mut self.permits)
    }

    /// Gives each run of events to `publish`, and does in between what was to be done after a
    /// commit ([`Tx::after_commit`](crate::store::Tx::after_commit)). The last run, given to
    /// `last`, may be empty.
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

/// Announces nothing: for commands that work beside a server, and for tests that do not look.
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

//! The publisher: hands the store's committed events to the hub. The one place that turns them into
//! the hub's events.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{self, NewEvent, Room};
use crate::model::LogPosition;
use crate::realtime::SharedPermit;
use crate::realtime::{Event, HubHandle, Payload, Position, Tally, VersionKey};
use crate::store::{BudgetPermit, Committed, CommittedEvent, Publisher};

/// Hands committed events to the hub, with the budget that their writers took.
pub struct HubPublisher {
    hub: HubHandle,
    next: NextEventOptions,
}

impl HubPublisher {
    /// `next` is shared with the service functions, which set the options of their event by it.
    #[must_use]
    pub fn new(hub: HubHandle, next: NextEventOptions) -> Self {
        Self { hub, next }
    }
}

/// The ways in which the delivery of one event differs from that of others.
pub(super) struct DeliveryOptions {
    /// Counts the sockets that the event is queued for.
    pub(super) tally: Arc<Tally>,
    pub(super) is_volatile: bool,
}

/// The options of the next event. A write sets them in
/// [`Tx::after_commit`](crate::store::Tx::after_commit), which runs right before its event is
/// published, with no other write in between: so they never apply to another write's event.
#[derive(Clone, Default)]
pub struct NextEventOptions(Arc<Mutex<Option<DeliveryOptions>>>);

impl NextEventOptions {
    /// Sets the options of the next event.
    pub(super) fn set(&self, options: DeliveryOptions) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(options);
    }

    fn take(&self) -> Option<DeliveryOptions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Sends a transient event that belongs to no write, in no fixed order to the stored events.
pub(super) async fn send_transient(hub: &HubHandle, new: NewEvent) {
    let names = |rooms: Vec<Room>| rooms.into_iter().map(|room| room.to_string());
    let NewEvent { namespace, name, rooms, except, data, .. } = new;
    let share = hub.admit(data.len()).await;
    hub.emit(
        Event::new(namespace, name, Payload::json(data), names(rooms)).except(names(except)),
        Some(share),
    )
    .await;
}

/// The hub's form of a position in the log.
fn position(stored: LogPosition) -> Position {
    Position { epoch: stored.epoch.0, id: stored.id.0 }
}

/// The hub's form of a committed event.
pub(super) fn to_send(event: CommittedEvent) -> Event {
    let version = event::product_version(&event.name, &event.data)
        .filter(|_| event.rooms.is_empty())
        .map(|product| VersionKey { kind: "product", id: product.0 });
    let sent = Event::new(event.namespace, event.name, Payload::json(event.data), event.rooms)
        .except(event.except);
    let sent = match version {
        Some(key) => sent.version_of(key),
        None => sent,
    };
    match event.position {
        Some(stored) => sent.stored(position(stored)),
        None => sent,
    }
}

impl Publisher for HubPublisher {
    fn begin(&self, start: LogPosition, last: Vec<CommittedEvent>) {
        self.hub.begin(position(start), last.into_iter().map(to_send).collect());
    }

    fn admit<'a>(
        &'a self,
        bytes: usize,
    ) -> Pin<Box<dyn Future<Output = BudgetPermit> + Send + 'a>> {
        Box::pin(async move { Box::new(self.hub.admit(bytes).await) as BudgetPermit })
    }

    fn publish(&self, mut committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        // The budget of the batch is given back when its last event is in the sockets' queues.
        let share: SharedPermit = Arc::new(std::sync::Mutex::new(committed.take_permits()));
        let publish = |events: Vec<CommittedEvent>, routed: Box<dyn FnOnce() + Send>| {
            let (mut events, mut share) = (events.into_iter().map(to_send), Arc::clone(&share));
            let first = self.next.take().and_then(|DeliveryOptions { tally, is_volatile }| {
                let first = events.next()?.counted(&tally);
                share = Arc::new((Arc::clone(&share), tally));
                Some(if is_volatile { first.volatile() } else { first })
            });
            self.hub.publish(first.into_iter().chain(events).collect(), Some(share), routed);
        };
        committed.walk(|events| publish(events, Box::new(|| {})), |events| publish(events, routed));
    }
}

//! From committed rows to the hub: the one place where the store's events become the sockets'.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{NewEvent, Room};
use crate::model::LogPosition;
use crate::realtime::SharedPermit;
use crate::realtime::{Event, HubHandle, Payload, Position, Tally};
use crate::store::{Committed, CommittedEvent, Publisher, Ticket};

/// Hands committed events to the hub, with the shares of its budget that their writers took.
pub struct HubPublisher {
    hub: HubHandle,
    next: NextEvent,
}

impl HubPublisher {
    /// Verbs say by `next` how an event of theirs is to be sent.
    #[must_use]
    pub fn new(hub: HubHandle, next: NextEvent) -> Self {
        Self { hub, next }
    }
}

/// How an event is to be sent, other than the others.
pub(super) struct Manner {
    pub(super) tally: Arc<Tally>,
    pub(super) is_volatile: bool,
}

/// What a write says of the event behind it: [`Tx::after_commit`](crate::store::Tx::after_commit)
/// runs right ahead of that event's publishing, with none of another write's in between. So this
/// holds one at most, and none that is another's.
#[derive(Clone, Default)]
pub struct NextEvent(Arc<Mutex<Option<Manner>>>);

impl NextEvent {
    /// The next event goes so. To be called by what a write does ahead of its event.
    pub(super) fn goes(&self, manner: Manner) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(manner);
    }

    fn take(&self) -> Option<Manner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Sends an event that belongs to no write: it is not stored, and has no place among those that
/// are.
pub(super) async fn announce(hub: &HubHandle, new: NewEvent) {
    let names = |rooms: Vec<Room>| rooms.into_iter().map(|room| room.to_string());
    let NewEvent { namespace, name, rooms, except, data, .. } = new;
    let share = hub.admit(data.len()).await;
    hub.emit(
        Event::new(namespace, name, Payload::json(data), names(rooms)).except(names(except)),
        Some(share),
    )
    .await;
}

/// A place in the log, in the sockets' words.
fn position(place: LogPosition) -> Position {
    Position { epoch: place.epoch.0, id: place.id.0 }
}

/// A committed event, in the sockets' words.
pub(super) fn to_send(event: CommittedEvent) -> Event {
    let sent = Event::new(event.namespace, event.name, Payload::json(event.data), event.rooms)
        .except(event.except);
    match event.position {
        Some(place) => sent.stored(position(place)),
        None => sent,
    }
}

impl Publisher for HubPublisher {
    fn begin(&self, start: LogPosition, last: Vec<CommittedEvent>) {
        self.hub.begin(position(start), last.into_iter().map(to_send).collect());
    }

    fn admit<'a>(&'a self, bytes: usize) -> Pin<Box<dyn Future<Output = Ticket> + Send + 'a>> {
        Box::pin(async move { Box::new(self.hub.admit(bytes).await) as Ticket })
    }

    fn publish(&self, mut committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        // The batch's shares go back together, when its last event has left the outlets.
        let share: SharedPermit = Arc::new(std::sync::Mutex::new(committed.take_tickets()));
        let publish = |events: Vec<CommittedEvent>, routed: Box<dyn FnOnce() + Send>| {
            let (mut events, mut share) = (events.into_iter().map(to_send), Arc::clone(&share));
            let first = self.next.take().and_then(|Manner { tally, is_volatile }| {
                let first = events.next()?.counted(&tally);
                share = Arc::new((Arc::clone(&share), tally));
                Some(if is_volatile { first.volatile() } else { first })
            });
            self.hub.publish(first.into_iter().chain(events).collect(), Some(share), routed);
        };
        committed.walk(|events| publish(events, Box::new(|| {})), |events| publish(events, routed));
    }
}

//! From committed rows to the hub: the one place where the store's events become the sockets'.

use std::pin::Pin;
use std::sync::Arc;

use crate::event::{NewEvent, Room};
use crate::model::LogPosition;
use crate::realtime::hub::Share;
use crate::realtime::{Event, HubHandle, Payload, Position};
use crate::store::{Committed, CommittedEvent, Publisher, Ticket};

/// Hands committed events to the hub, with the shares of its budget that their writers took.
pub struct HubPublisher(pub HubHandle);

/// Sends an event that belongs to no write: it is not stored, and has no place among those that are.
pub(super) async fn announce(hub: &HubHandle, new: NewEvent) {
    let names = |rooms: Vec<Room>| rooms.into_iter().map(|room| room.to_string());
    let NewEvent { namespace, name, rooms, except, data, .. } = new;
    let share = hub.admit(data.len()).await;
    hub.emit(Event::new(namespace, name, Payload::json(data), names(rooms)).except(names(except)), Some(share)).await;
}

/// A place in the log, in the sockets' words.
fn position(place: LogPosition) -> Position {
    Position { epoch: place.epoch.0, id: place.id.0 }
}

/// A committed event, in the sockets' words.
pub(super) fn to_send(event: CommittedEvent) -> Event {
    let sent = Event::new(event.namespace, event.name, Payload::json(event.data), event.rooms).except(event.except);
    match event.position {
        Some(place) => sent.stored(position(place)),
        None => sent,
    }
}

impl Publisher for HubPublisher {
    fn begin(&self, start: LogPosition, last: Vec<CommittedEvent>) {
        self.0.begin(position(start), last.into_iter().map(to_send).collect());
    }

    fn admit<'a>(&'a self, bytes: usize) -> Pin<Box<dyn Future<Output = Ticket> + Send + 'a>> {
        Box::pin(async move { Box::new(self.0.admit(bytes).await) as Ticket })
    }

    fn publish(&self, mut committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        // The batch's shares go back together, when its last event has left the outlets.
        let share: Share = Arc::new(std::sync::Mutex::new(committed.take_tickets()));
        let all = |events: Vec<CommittedEvent>| events.into_iter().map(to_send).collect();
        let publish = |events, routed: Box<dyn FnOnce() + Send>| self.0.publish(all(events), Some(Arc::clone(&share)), routed);
        committed.walk(|events| publish(events, Box::new(|| {})), |events| publish(events, routed));
    }
}

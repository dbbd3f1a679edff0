//! From committed rows to the hub: the one place where the store's events become the sockets'.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use crate::event::{NewEvent, Room};
use crate::realtime::{Event, HubHandle};
use crate::store::{Committed, CommittedEvent, Publisher, Ticket};

/// Hands committed events to the hub, with the shares of its budget that their writers took.
pub struct HubPublisher(pub HubHandle);

/// Sends an event that belongs to no write: it is not stored, and has no place among those that are.
pub(super) async fn announce(hub: &HubHandle, new: NewEvent) {
    let names = |rooms: Vec<Room>| rooms.into_iter().map(|room| room.to_string());
    let NewEvent { namespace, name, rooms, except, data, .. } = new;
    let share = Arc::new(hub.admit(data.len()).await);
    hub.emit(Event::new(namespace, name, data, names(rooms)).except(names(except)).with_share(share)).await;
}

impl Publisher for HubPublisher {
    fn admit<'a>(&'a self, bytes: usize) -> Pin<Box<dyn Future<Output = Ticket> + Send + 'a>> {
        Box::pin(async move { Box::new(self.0.admit(bytes).await) as Ticket })
    }

    fn publish(&self, mut committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        // The batch's shares go back together, when its last event has left the outlets.
        let share: Arc<dyn Any + Send + Sync> = Arc::new(std::sync::Mutex::new(committed.take_tickets()));
        let to_send = |events: Vec<CommittedEvent>| {
            let event = |event: CommittedEvent| {
                let sent = Event::new(event.namespace, event.name, event.data, event.rooms);
                sent.except(event.except).with_share(Arc::clone(&share))
            };
            events.into_iter().map(event).collect()
        };
        committed.walk(|events| self.0.publish(to_send(events), || {}), |events| self.0.publish(to_send(events), routed));
    }
}

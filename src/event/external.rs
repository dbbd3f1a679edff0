//! Events of other back ends: hubcast knows their audience, but not their names and payloads.

use serde_json::value::RawValue;

use super::{EventKind, NewEvent, Room};

/// An event that another back end sends through `POST /emit`.
#[derive(Debug)]
pub struct ExternalEvent {
    /// [`MAIN`](super::MAIN) or [`ADMIN`](super::ADMIN).
    pub namespace: &'static str,
    pub name: String,
    pub rooms: Vec<Room>,
    pub except: Vec<Room>,
    /// The event's one argument, any JSON, or `None` for an event without arguments.
    pub data: Option<Box<RawValue>>,
    /// Slow sockets skip the event, and it is not stored.
    pub is_volatile: bool,
}

impl From<ExternalEvent> for NewEvent {
    fn from(event: ExternalEvent) -> Self {
        let ExternalEvent { namespace, name, rooms, except, data, is_volatile } = event;
        let kind = if is_volatile { EventKind::Transient } else { EventKind::Stored };
        let data = data.map(|data| Box::<str>::from(data).into_string()).unwrap_or_default();
        Self { namespace, name: name.into(), kind, rooms, except, members: Vec::new(), data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MAIN;

    #[test]
    fn an_external_event_is_sent_unchanged_and_stored_unless_it_is_volatile() {
        let of = |is_volatile| {
            let data =
                RawValue::from_string("[1.0, 12345678901234567890]".into()).expect("is JSON");
            let (rooms, except) = (vec![Room::Admin], Vec::new());
            NewEvent::from(ExternalEvent {
                namespace: MAIN,
                name: "price".into(),
                rooms,
                except,
                data: Some(data),
                is_volatile,
            })
        };
        let event = of(false);
        assert_eq!(
            (event.namespace, &*event.name, &*event.rooms, event.kind),
            ("/", "price", &[Room::Admin][..], EventKind::Stored)
        );
        assert_eq!(event.data, "[1.0, 12345678901234567890]");
        assert_eq!(of(true).kind, EventKind::Transient);
    }
}

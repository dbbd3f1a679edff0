//! The declaration of a server event: one constant, from which the event is made and from which
//! `/asyncapi.json` describes it.
//!
//! [`server_events!`] is the only maker of such constants. It also puts them into its file's list
//! `EVENTS`, so an event that can be sent is always in the document.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::{EventKind, NewEvent, Room, schema_of};

/// Declares the server events of one file, and makes the file's list `EVENTS`:
///
/// ```ignore
/// server_events! {
///     /// A customer or an admin placed an order.
///     NEW_ORDER: stored NewOrder = [ADMIN] "new_order" to "all of /admin";
/// }
/// ```
///
/// The parts come in this order: the doc, the constant, `stored` or `transient`, the type of the
/// payload, the namespaces, the name that clients listen for, and the audience in words.
macro_rules! server_events {
    ($(
        $(#[doc = $doc:literal])+
        $constant:ident: $kind:ident $payload:ty =
            [$($namespace:ident),+] $name:literal to $audience:literal;
    )+) => {
        $(
            $(#[doc = $doc])+
            pub(super) const $constant: $crate::event::ServerEvent<$payload> =
                $crate::event::ServerEvent::$kind(
                    &[$($namespace),+],
                    $name,
                    $audience,
                    concat!($($doc),+),
                );
        )+

        /// The events that this file declares.
        pub(super) const EVENTS: &[$crate::event::EventDescription] =
            &[$($constant.description()),+];
    };
}
pub(crate) use server_events;

/// An event that the server sends, with a payload of type `T`.
pub struct ServerEvent<T> {
    description: EventDescription,
    payload: PhantomData<fn() -> T>,
}

/// What `/asyncapi.json` says about a server event.
#[derive(Debug, Clone, Copy)]
pub struct EventDescription {
    /// [`MAIN`](super::MAIN), [`ADMIN`](super::ADMIN), or both.
    pub namespaces: &'static [&'static str],
    /// The name that clients listen for.
    pub name: &'static str,
    pub kind: EventKind,
    /// The receivers, in words.
    pub audience: &'static str,
    /// The constant's doc, with a space before each line.
    pub doc: &'static str,
    /// Makes the JSON Schema of the payload.
    pub payload: fn(&mut SchemaGenerator) -> Schema,
}

impl<T: JsonSchema> ServerEvent<T> {
    /// A stored event; called by [`server_events!`] only.
    pub(crate) const fn stored(
        namespaces: &'static [&'static str],
        name: &'static str,
        audience: &'static str,
        doc: &'static str,
    ) -> Self {
        let (kind, payload) = (EventKind::Stored, schema_of::<T> as fn(&mut _) -> _);
        Self {
            description: EventDescription { namespaces, name, kind, audience, doc, payload },
            payload: PhantomData,
        }
    }

    /// A transient event; called by [`server_events!`] only.
    pub(crate) const fn transient(
        namespaces: &'static [&'static str],
        name: &'static str,
        audience: &'static str,
        doc: &'static str,
    ) -> Self {
        let mut event = Self::stored(namespaces, name, audience, doc);
        event.description.kind = EventKind::Transient;
        event
    }
}

impl<T> ServerEvent<T> {
    pub(crate) const fn description(&self) -> EventDescription {
        self.description
    }

    /// The name that clients listen for.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.description.name
    }

    /// The event for the sockets in these rooms; without rooms, for all sockets of the namespace.
    pub(super) fn to(&self, rooms: Vec<Room>, payload: &T) -> NewEvent
    where
        T: Serialize,
    {
        // Payloads are plain structs with text keys, which serialise without failure.
        let data = serde_json::to_string(payload).unwrap_or_else(|_| "null".into());
        self.with_data(rooms, data)
    }

    /// Like [`ServerEvent::to`], with the payload as JSON text.
    pub(super) fn with_data(&self, rooms: Vec<Room>, data: String) -> NewEvent {
        let EventDescription { namespaces, name, kind, .. } = self.description;
        NewEvent {
            namespace: namespaces[0], // `server_events!` demands at least one
            name: name.into(),
            kind,
            rooms,
            except: Vec::new(),
            members: Vec::new(),
            data,
        }
    }
}

//! An event on its way to sockets: encoded at most once per protocol, then shared by every queue it stands in.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use super::recovery::{self, Position, Stay};
use super::settings::Aliases;
use super::wire::{plain, socketio, websocket};

/// Which language a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `offsets`: the client takes part in connection state recovery. Its library then takes any last argument that is a string for an offset.
    SocketIo {
        offsets: bool,
    },
    Plain,
}

impl Protocol {
    /// One event with one argument (JSON), and its offset if it has one, as a whole WebSocket frame.
    pub(super) fn event(self, namespace: &str, name: &str, data: &str, offset: Option<&str>) -> Bytes {
        match self {
            // `42…` is Engine.IO's message type before Socket.IO's event type.
            Self::SocketIo { offsets } => websocket::text(&socketio::event(namespace, name, data, offset.filter(|_| offsets))),
            Self::Plain => websocket::text(&plain::event(name, data, offset)),
        }
    }

    /// As [`Protocol::event`] for one that is not in the log, sent where the log stands at `position`.
    pub(super) fn volatile(self, namespace: &str, name: &str, data: &str, position: Position) -> Bytes {
        // Else the client would take the argument itself for the offset.
        let is_mistaken = self == Self::SocketIo { offsets: true } && data.starts_with('"');
        let offset = is_mistaken.then(|| position.to_string());
        self.event(namespace, name, data, offset.as_deref())
    }

    /// An event with binary data, and that behind it, with nothing in between.
    pub(super) fn binary(self, namespace: &str, name: &str, data: &str, attachments: &[Bytes]) -> Bytes {
        let event = match self {
            Self::SocketIo { .. } => socketio::binary_event(namespace, name, None, &[socketio::Argument { json: data, attachments }]),
            Self::Plain => return self.event(namespace, name, data, None),
        };
        match event {
            Ok(socketio::Encoded { text, attachments }) => {
                let attachments = attachments.iter().map(|bytes| websocket::binary(bytes));
                std::iter::once(websocket::text(&text)).chain(attachments).collect::<Vec<_>>().concat().into()
            }
            // Who made it has put in a placeholder for nothing: as it is, it ends no connection.
            Err(_) => self.event(namespace, name, data, None),
        }
    }

    /// The answer to an event that asked for an ack; `id` as it came, `data` JSON.
    pub(super) fn ack(self, namespace: &str, id: &str, data: Option<&str>) -> Bytes {
        match self {
            Self::SocketIo { .. } => websocket::text(&socketio::ack(namespace, id, data.unwrap_or_default())),
            Self::Plain => websocket::text(&plain::ack(id, data.unwrap_or("null"))),
        }
    }
}

/// The older name of an event, if it has one.
pub(super) fn older(name: &str, aliases: Aliases) -> Option<&'static str> {
    aliases.iter().find(|(today, _)| *today == name).map(|(_, older)| *older)
}

/// What is to be sent, and to whom: every socket of `namespace` that is in one of `rooms`, once, and in none of
/// `except`; with no room named, every socket of the namespace.
#[derive(Debug)]
pub struct Event {
    pub(super) namespace: Arc<str>,
    pub(super) rooms: SmallVec<[Arc<str>; 2]>,
    pub(super) except: SmallVec<[Arc<str>; 1]>,
    name: Cow<'static, str>,
    data: String,
    /// It is in the log, and a client that was away gets it later.
    is_stored: bool,
    /// Its place in the log, or, for one that is not stored, where the log stood when it was routed.
    position: OnceLock<Position>,
    /// What is written, by protocol.
    frames: [OnceLock<Bytes>; 3],
}

impl Event {
    /// For who is there now. `data` is JSON text and goes out as it is.
    #[must_use]
    pub fn new<R: Into<Arc<str>>>(
        namespace: impl Into<Arc<str>>,
        name: impl Into<Cow<'static, str>>,
        data: String,
        rooms: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            rooms: rooms.into_iter().map(Into::into).collect(),
            except: SmallVec::new(),
            name: name.into(),
            data,
            is_stored: false,
            position: OnceLock::new(),
            frames: Default::default(),
        }
    }

    /// Sockets that are in one of these rooms do not get it.
    #[must_use]
    pub fn except<R: Into<Arc<str>>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.except = rooms.into_iter().map(Into::into).collect();
        self
    }

    /// It stands there in the log.
    #[must_use]
    pub fn stored(mut self, position: Position) -> Self {
        self.is_stored = true;
        self.position = OnceLock::from(position);
        self
    }

    /// Its place in the log, if it has one.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.get().copied().filter(|_| self.is_stored)
    }

    /// Says where the log stands when this is routed.
    pub(super) fn routed_at(&self, position: Position) {
        // One that is stored knows its own.
        let _ = self.position.set(position);
    }

    /// What it costs to keep, roughly: its data, and that in two protocols.
    pub(super) fn weight(&self) -> usize {
        self.data.len() * 3 + 512
    }

    /// Whether it is for a socket of its namespace that stays in those rooms.
    pub(super) fn is_for(&self, stays: &[Stay]) -> bool {
        self.position().is_some_and(|position| recovery::is_for(stays, position.id, &self.rooms, &self.except))
    }

    /// What is written in that protocol: one frame, or two for an event that has an older name. Workers that race for the first encoding agree on one.
    pub(super) fn frame(&self, protocol: Protocol, aliases: Aliases) -> &Bytes {
        let [offsets, bare, plain] = &self.frames;
        let cell = match protocol {
            Protocol::SocketIo { offsets: true } => offsets,
            Protocol::SocketIo { offsets: false } => bare,
            Protocol::Plain => plain,
        };
        cell.get_or_init(|| match older(&self.name, aliases) {
            None => self.encode(protocol, &self.name, ""),
            Some(older) => [self.encode(protocol, &self.name, ".0"), self.encode(protocol, older, ".1")].concat().into(),
        })
    }

    /// What is left of it for a client that has heard its first name; none when it has no other.
    pub(super) fn rest(&self, protocol: Protocol, aliases: Aliases) -> Option<Bytes> {
        older(&self.name, aliases).map(|older| self.encode(protocol, older, ".1"))
    }

    fn encode(&self, protocol: Protocol, name: &str, part: &str) -> Bytes {
        // An event that was not routed has no position and is not sent.
        let position = self.position.get().copied().unwrap_or_default();
        if self.is_stored {
            protocol.event(&self.namespace, name, &self.data, Some(&format!("{position}{part}")))
        } else {
            protocol.volatile(&self.namespace, name, &self.data, position)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: Protocol = Protocol::SocketIo { offsets: true };
    const BARE: Protocol = Protocol::SocketIo { offsets: false };

    fn text(frame: &Bytes) -> &str {
        std::str::from_utf8(&frame[2..]).expect("a short text frame")
    }

    fn at(id: i64) -> Position {
        Position { epoch: 7, id }
    }

    #[test]
    fn one_event_has_one_encoding_per_protocol() {
        let event = Event::new("/admin", "new_order", r#"{"orderId":1}"#.into(), ["admin"]).stored(at(5));
        assert_eq!(text(event.frame(OFFSETS, &[])), r#"42/admin,["new_order",{"orderId":1},"7.5"]"#);
        assert_eq!(text(event.frame(BARE, &[])), r#"42/admin,["new_order",{"orderId":1}]"#);
        assert_eq!(text(event.frame(Protocol::Plain, &[])), r#"{"event":"new_order","data":{"orderId":1},"offset":"7.5"}"#);
        assert_eq!(event.frame(Protocol::Plain, &[]).as_ptr(), event.frame(Protocol::Plain, &[]).as_ptr());
    }

    #[test]
    fn an_event_with_an_older_name_goes_out_under_both_with_two_offsets() {
        let event = Event::new("/", "notification", "1".into(), ["user:5"]).stored(at(5));
        let aliases: Aliases = &[("notification", "notification:new")];
        let frames = event.frame(Protocol::Plain, aliases);
        let [first, second] = [("notification", "7.5.0"), ("notification:new", "7.5.1")]
            .map(|(name, offset)| format!(r#"{{"event":"{name}","data":1,"offset":"{offset}"}}"#));
        assert_eq!(&frames[2..2 + first.len()], first.as_bytes());
        assert_eq!(&frames[4 + first.len()..], second.as_bytes());
        assert_eq!(event.rest(Protocol::Plain, aliases).as_ref().map(text), Some(&*second));
        assert_eq!(event.rest(Protocol::Plain, &[]), None);
    }

    #[test]
    fn what_is_not_stored_has_no_offset_unless_the_client_would_take_its_data_for_one() {
        for (data, socketio) in [("1", r#"42["typing",1]"#), ("\"x\"", r#"42["typing","x","7.5"]"#)] {
            let event = Event::new("/", "typing", data.into(), ["room"]);
            event.routed_at(at(5));
            assert_eq!(text(event.frame(OFFSETS, &[])), socketio);
            assert_eq!(text(event.frame(BARE, &[])), format!(r#"42["typing",{data}]"#));
            assert_eq!(text(event.frame(Protocol::Plain, &[])), format!(r#"{{"event":"typing","data":{data}}}"#));
        }
    }
}

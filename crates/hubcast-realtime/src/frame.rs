//! An event on its way to sockets: encoded at most once per protocol, then shared by every queue it
//! stands in.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use smallvec::SmallVec;

use super::client::Client;
use super::hub::SocketId;
use super::payload::Payload;
use super::recovery::{self, Position, Stay};
use super::settings::Aliases;
use super::tally::Tally;
use super::wire::socketio::{self, Encoded};
use super::wire::{plain, websocket};

/// Which language a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `offsets`: the client takes part in connection state recovery. Its library then takes any
    /// last argument that is a string for an offset.
    SocketIo {
        offsets: bool,
    },
    Plain,
    /// Engine.IO with nothing on top: an event's one argument is a message, its name is not sent.
    EngineIo,
}

impl Protocol {
    /// Whether it goes over Engine.IO, and so may poll.
    pub(super) fn is_engine(self) -> bool {
        self != Self::Plain
    }

    /// One event, and its offset if it has one, as whole WebSocket frames: one, and one for each
    /// attachment behind it.
    pub(super) fn event(
        self,
        namespace: &str,
        name: &str,
        payload: &Payload,
        offset: Option<&str>,
    ) -> Bytes {
        match self {
            // `42…` is Engine.IO's message type before Socket.IO's event type.
            Self::SocketIo { offsets } => {
                socketio_event(namespace, name, None, payload, offset.filter(|_| offsets))
            }
            Self::Plain => websocket::text(&plain::event(name, &payload.as_one(), offset)),
            Self::EngineIo => message(payload),
        }
    }

    /// As [`Protocol::event`] for one that is not in the log, sent where the log stands at
    /// `position`.
    pub(super) fn unstored(
        self,
        namespace: &str,
        name: &str,
        payload: &Payload,
        position: Position,
    ) -> Bytes {
        // Else the client would take the argument itself for the offset.
        let is_mistaken = self == Self::SocketIo { offsets: true } && payload.ends_in_string();
        let offset = is_mistaken.then(|| position.to_string());
        self.event(namespace, name, payload, offset.as_deref())
    }

    /// An event that asks for an ack. `None`: in this language there is none.
    pub(super) fn question(
        self,
        namespace: &str,
        name: &str,
        payload: &Payload,
        id: u64,
    ) -> Option<Bytes> {
        // No offset: the client's callback is its last argument.
        matches!(self, Self::SocketIo { .. })
            .then(|| socketio_event(namespace, name, Some(id), payload, None))
    }

    /// The answer to an event that asked for an ack; `id` as it came.
    pub(super) fn ack(self, namespace: &str, id: &str, payload: &Payload) -> Bytes {
        match self {
            Self::SocketIo { .. } if payload.is_binary() => {
                match socketio::binary_ack(namespace, id, payload.args(), payload.attachments()) {
                    Ok(encoded) => frames(&encoded),
                    Err(_) => websocket::text(&socketio::ack(namespace, id, payload.args())),
                }
            }
            Self::SocketIo { .. } => websocket::text(&socketio::ack(namespace, id, payload.args())),
            Self::Plain => websocket::text(&plain::ack(id, &payload.as_one())),
            Self::EngineIo => Bytes::new(),
        }
    }
}

fn socketio_event(
    namespace: &str,
    name: &str,
    id: Option<u64>,
    payload: &Payload,
    offset: Option<&str>,
) -> Bytes {
    if payload.is_binary()
        && let Ok(encoded) = socketio::binary_event(
            namespace,
            name,
            id,
            payload.args(),
            payload.attachments(),
            offset,
        )
    {
        return frames(&encoded);
    }
    websocket::text(&socketio::event(namespace, name, id, payload.args(), offset))
}

/// With nothing in between.
fn frames(Encoded { text, attachments }: &Encoded) -> Bytes {
    let attachments = attachments.iter().map(|bytes| websocket::binary(bytes));
    std::iter::once(websocket::text(text)).chain(attachments).collect::<Vec<_>>().concat().into()
}

/// Bytes as they are, a string as its text, and what is neither as its JSON.
fn message(payload: &Payload) -> Bytes {
    if let [bytes] = payload.attachments() {
        return websocket::binary(bytes);
    }
    let text = serde_json::from_str::<String>(payload.args());
    websocket::text(&format!("4{}", text.as_deref().unwrap_or(&payload.as_one())))
}

/// The older name of an event, if it has one.
pub(super) fn older(name: &str, aliases: Aliases) -> Option<&'static str> {
    aliases.iter().find(|(today, _)| *today == name).map(|(_, older)| *older)
}

/// What is to be sent, and to whom: every socket of `namespace` that is in one of `rooms`, once,
/// and in none of `except`; with no room named, every socket of the namespace.
#[derive(Debug)]
pub struct Event {
    pub(super) namespace: Arc<str>,
    pub(super) rooms: SmallVec<[Arc<str>; 2]>,
    pub(super) except: SmallVec<[Arc<str>; 1]>,
    /// Not for this one.
    pub(super) but: Option<SocketId>,
    /// Who has not taken yet what came before does without.
    pub(super) is_volatile: bool,
    tally: Weak<Tally>,
    name: Cow<'static, str>,
    payload: Payload,
    /// It is in the log, and a client that was away gets it later.
    is_stored: bool,
    /// Its place in the log, or, for one that is not stored, where the log stood when it was
    /// routed.
    position: OnceLock<Position>,
    /// What is written, by protocol.
    frames: [OnceLock<Bytes>; 4],
}

impl Event {
    /// For who is there now.
    #[must_use]
    pub fn new<R: Into<Arc<str>>>(
        namespace: impl Into<Arc<str>>,
        name: impl Into<Cow<'static, str>>,
        payload: impl Into<Payload>,
        rooms: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            rooms: rooms.into_iter().map(Into::into).collect(),
            except: SmallVec::new(),
            but: None,
            is_volatile: false,
            tally: Weak::new(),
            name: name.into(),
            payload: payload.into(),
            is_stored: false,
            position: OnceLock::new(),
            frames: Default::default(),
        }
    }

    /// As [`Event::new`], for every socket of the namespace.
    #[must_use]
    pub fn to_all(
        namespace: impl Into<Arc<str>>,
        name: impl Into<Cow<'static, str>>,
        payload: impl Into<Payload>,
    ) -> Self {
        Self::new(namespace, name, payload, [] as [Arc<str>; 0])
    }

    /// Sockets that are in one of these rooms do not get it.
    #[must_use]
    pub fn except<R: Into<Arc<str>>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.except = rooms.into_iter().map(Into::into).collect();
        self
    }

    /// Not to this socket: what it says itself to a room. It counts for one that is there now, not
    /// for one that reads the log later.
    #[must_use]
    pub fn but(mut self, client: &Client) -> Self {
        self.but = Some(client.0.socket);
        self
    }

    /// Whom it can not be written to at once does not get it: for what is worth nothing a moment
    /// later. One that is in the log goes to all the same.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.is_volatile = !self.is_stored;
        self
    }

    /// It stands there in the log.
    #[must_use]
    pub fn stored(mut self, position: Position) -> Self {
        self.is_volatile = false;
        self.is_stored = true;
        self.position = OnceLock::from(position);
        self
    }

    /// Counts the sockets of this process that it is queued to. The count is told when the tally is
    /// dropped: keep it in what holds the event's share of the budget.
    #[must_use]
    pub fn counted(mut self, tally: &Arc<Tally>) -> Self {
        tally.give();
        self.tally = Arc::downgrade(tally);
        self
    }

    /// Who counts, if anyone does.
    pub(super) fn tally(&self) -> Option<Arc<Tally>> {
        self.tally.upgrade()
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

    /// Bytes of what it carries.
    pub(super) fn size(&self) -> usize {
        self.payload.size()
    }

    /// What it costs to keep, roughly: its data, and that in two protocols.
    pub(super) fn weight(&self) -> usize {
        self.payload.size() * 3 + 512
    }

    /// Whether it is for a socket of its namespace that stays in those rooms.
    pub(super) fn is_for(&self, stays: &[Stay]) -> bool {
        self.position()
            .is_some_and(|position| recovery::is_for(stays, position.id, &self.rooms, &self.except))
    }

    /// What is written in that protocol: one frame, or two for an event that has an older name.
    /// Workers that race for the first encoding agree on one.
    pub(super) fn frame(&self, protocol: Protocol, aliases: Aliases) -> &Bytes {
        let [offsets, bare, plain, engine] = &self.frames;
        let cell = match protocol {
            Protocol::SocketIo { offsets: true } => offsets,
            Protocol::SocketIo { offsets: false } => bare,
            Protocol::Plain => plain,
            Protocol::EngineIo => engine,
        };
        // Where names are not sent, the second would be the first once more.
        let older = older(&self.name, aliases).filter(|_| protocol != Protocol::EngineIo);
        cell.get_or_init(|| match older {
            None => self.encode(protocol, &self.name, ""),
            Some(older) => {
                [self.encode(protocol, &self.name, ".0"), self.encode(protocol, older, ".1")]
                    .concat()
                    .into()
            }
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
            protocol.event(&self.namespace, name, &self.payload, Some(&format!("{position}{part}")))
        } else {
            protocol.unstored(&self.namespace, name, &self.payload, position)
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
        let event = Event::new("/admin", "new_order", Payload::json(r#"{"orderId":1}"#), ["admin"])
            .stored(at(5));
        assert_eq!(
            text(event.frame(OFFSETS, &[])),
            r#"42/admin,["new_order",{"orderId":1},"7.5"]"#
        );
        assert_eq!(text(event.frame(BARE, &[])), r#"42/admin,["new_order",{"orderId":1}]"#);
        assert_eq!(
            text(event.frame(Protocol::Plain, &[])),
            r#"{"event":"new_order","data":{"orderId":1},"offset":"7.5"}"#
        );
        assert_eq!(
            event.frame(Protocol::Plain, &[]).as_ptr(),
            event.frame(Protocol::Plain, &[]).as_ptr()
        );
    }

    #[test]
    fn an_event_with_an_older_name_goes_out_under_both_with_two_offsets() {
        let event = Event::new("/", "notification", Payload::json("1"), ["user:5"]).stored(at(5));
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
        for (data, socketio) in [("1", r#"42["typing",1]"#), ("\"x\"", r#"42["typing","x","7.5"]"#)]
        {
            let event = Event::new("/", "typing", Payload::json(data), ["room"]);
            event.routed_at(at(5));
            assert_eq!(text(event.frame(OFFSETS, &[])), socketio);
            assert_eq!(text(event.frame(BARE, &[])), format!(r#"42["typing",{data}]"#));
            assert_eq!(
                text(event.frame(Protocol::Plain, &[])),
                format!(r#"{{"event":"typing","data":{data}}}"#)
            );
        }
    }
}

//! An event for sockets. It is encoded at most once per protocol, and every queue that holds it
//! shares the frame.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use smallvec::SmallVec;

use super::ids::SocketId;
use super::payload::Payload;
use super::protocol::{Protocol, older_name};
use super::recovery::{self, Position, RoomMembership};
use super::settings::Aliases;
use super::tally::Tally;

/// Whether an event is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The event is in the log, so a session that resumes later gets it.
    Stored,
    /// The event is not in the log, so only the current sockets get it.
    Transient,
}

/// Names a thing of which events tell the newest version: a kind, and an id within it. The same key
/// means the same thing in every namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionKey {
    pub kind: &'static str,
    pub id: i64,
}

/// An event and its audience: every socket of `namespace` that is in one of `rooms`, once, and in
/// none of `except`. An event without rooms is for every socket of the namespace.
#[derive(Debug)]
pub struct Event {
    pub(crate) namespace: Arc<str>,
    pub(crate) rooms: SmallVec<[Arc<str>; 2]>,
    pub(crate) except: SmallVec<[Arc<str>; 1]>,
    pub(crate) except_socket: Option<SocketId>,
    /// Whether the event is dropped for a socket to which it cannot be written at once.
    pub(crate) is_volatile: bool,
    /// The thing that the event tells the newest version of.
    pub(crate) version_of: Option<VersionKey>,
    tally: Weak<Tally>,
    name: Cow<'static, str>,
    payload: Payload,
    kind: EventKind,
    /// The event's position in the log; for a transient event, the end of the log when it was
    /// routed.
    position: OnceLock<Position>,
    /// The encoded frames, by protocol.
    frames: [OnceLock<Bytes>; 4],
}

impl Event {
    /// Makes a transient event for the sockets that are in these rooms now.
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
            except_socket: None,
            is_volatile: false,
            version_of: None,
            tally: Weak::new(),
            name: name.into(),
            payload: payload.into(),
            kind: EventKind::Transient,
            position: OnceLock::new(),
            frames: Default::default(),
        }
    }

    /// Makes a transient event for every socket of the namespace.
    #[must_use]
    pub fn to_all(
        namespace: impl Into<Arc<str>>,
        name: impl Into<Cow<'static, str>>,
        payload: impl Into<Payload>,
    ) -> Self {
        Self::new(namespace, name, payload, [] as [Arc<str>; 0])
    }

    /// Leaves out the sockets that are in one of these rooms.
    #[must_use]
    pub fn except<R: Into<Arc<str>>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.except = rooms.into_iter().map(Into::into).collect();
        self
    }

    /// Leaves out one socket, usually the sender's: [`Client::id`](crate::Client::id). Only the
    /// present delivery leaves it out; a session that resumes later gets the event from the log.
    #[must_use]
    pub fn except_socket(mut self, socket: SocketId) -> Self {
        self.except_socket = Some(socket);
        self
    }

    /// Drops the event for sockets to which it cannot be written at once, because it is worthless a
    /// moment later. A stored event is never volatile.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.is_volatile = self.kind == EventKind::Transient;
        self
    }

    /// Says that the event tells the newest version of a thing. For a client that reads so slowly
    /// that its queue would overflow, events whose key a later event in the queue has too are
    /// dropped: it gets the newest version, in its place, and is not disconnected. A client that
    /// keeps up gets every version.
    ///
    /// Leave the key out where the newest version is not enough, as for the first event about a
    /// thing.
    #[must_use]
    pub fn version_of(mut self, key: VersionKey) -> Self {
        self.version_of = Some(key);
        self
    }

    /// Marks the event as stored in the log, at this position.
    #[must_use]
    pub fn stored(mut self, position: Position) -> Self {
        self.is_volatile = false;
        self.kind = EventKind::Stored;
        self.position = OnceLock::from(position);
        self
    }

    /// Counts the sockets of this process to which the event is queued. The count is reported when
    /// the tally is dropped, so keep the tally beside the event's
    /// [`BudgetPermit`](crate::BudgetPermit).
    #[must_use]
    pub fn counted(mut self, tally: &Arc<Tally>) -> Self {
        tally.give();
        self.tally = Arc::downgrade(tally);
        self
    }

    pub(crate) fn tally(&self) -> Option<Arc<Tally>> {
        self.tally.upgrade()
    }

    /// Returns the event's position in the log, if it is stored.
    pub(crate) fn position(&self) -> Option<Position> {
        self.position.get().copied().filter(|_| self.kind == EventKind::Stored)
    }

    /// Records the end of the log at the time of routing. A stored event keeps its own position.
    pub(crate) fn routed_at(&self, position: Position) {
        // The call fails for a stored event, which already has its position.
        let _ = self.position.set(position);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the size of the payload in bytes.
    pub(crate) fn size(&self) -> usize {
        self.payload.size()
    }

    /// Returns roughly the bytes that the event occupies: the payload, and its encodings in two
    /// protocols.
    pub(crate) fn weight(&self) -> usize {
        self.payload.size() * 3 + 512
    }

    /// Returns true if a socket with these memberships should get this stored event.
    pub(crate) fn is_for(&self, memberships: &[RoomMembership]) -> bool {
        self.position().is_some_and(|position| {
            recovery::is_for(memberships, position.id, &self.rooms, &self.except)
        })
    }

    /// Returns the frame in a protocol, or two frames for an event that has an older name. The
    /// first caller encodes it; all workers get the same bytes.
    pub(crate) fn frame(&self, protocol: Protocol, aliases: Aliases) -> &Bytes {
        let [offsets, bare, plain, engine] = &self.frames;
        let cell = match protocol {
            Protocol::SocketIo { offsets: true } => offsets,
            Protocol::SocketIo { offsets: false } => bare,
            Protocol::Plain => plain,
            Protocol::EngineIo => engine,
        };
        // Bare Engine.IO sends no names, so the second frame would repeat the first.
        let older = older_name(&self.name, aliases).filter(|_| protocol != Protocol::EngineIo);
        cell.get_or_init(|| match older {
            None => self.encode(protocol, &self.name, ""),
            Some(older) => {
                [self.encode(protocol, &self.name, ".0"), self.encode(protocol, older, ".1")]
                    .concat()
                    .into()
            }
        })
    }

    /// Returns how many bytes of [`Event::frame`] only repeat the payload under an older name.
    pub(crate) fn repeated(&self, frame: &Bytes, protocol: Protocol, aliases: Aliases) -> usize {
        let is_twice = protocol != Protocol::EngineIo && older_name(&self.name, aliases).is_some();
        if is_twice { frame.len() / 2 } else { 0 }
    }

    /// Returns the second frame, for a client that has the event under its first name, or `None` if
    /// there is only one name.
    pub(crate) fn rest(&self, protocol: Protocol, aliases: Aliases) -> Option<Bytes> {
        older_name(&self.name, aliases).map(|older| self.encode(protocol, older, ".1"))
    }

    fn encode(&self, protocol: Protocol, name: &str, part: &str) -> Bytes {
        // An event is sent only after it was routed, and then has a position.
        let position = self.position.get().copied().unwrap_or_default();
        if self.kind == EventKind::Stored {
            protocol.event(&self.namespace, name, &self.payload, Some(&format!("{position}{part}")))
        } else {
            protocol.transient_event(&self.namespace, name, &self.payload, position)
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
    fn an_event_with_an_older_name_is_sent_under_both_with_two_offsets() {
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
    fn a_transient_event_has_no_offset_unless_the_client_would_read_its_data_as_one() {
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

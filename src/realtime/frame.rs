//! An event on its way to sockets: encoded at most once per protocol, then shared by every queue it stands in.

use std::any::Any;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use super::settings::Aliases;
use super::wire::{plain, socketio, websocket};

/// Which language a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    SocketIo,
    Plain,
}

impl Protocol {
    /// One event with one argument (JSON) as a whole WebSocket frame.
    pub(super) fn event(self, namespace: &str, name: &str, data: &str) -> Bytes {
        match self {
            // `42…` is Engine.IO's message type before Socket.IO's event type.
            Self::SocketIo => websocket::text(&socketio::event(namespace, name, data)),
            Self::Plain => websocket::text(&plain::event(name, data)),
        }
    }

    /// As [`Protocol::event`], and right behind it the same event under its older name, if it has one.
    pub(super) fn event_and_alias(self, namespace: &str, name: &str, data: &str, aliases: Aliases) -> Bytes {
        let frame = self.event(namespace, name, data);
        match aliases.iter().find(|(today, _)| *today == name) {
            Some((_, older)) => [frame, self.event(namespace, older, data)].concat().into(),
            None => frame,
        }
    }

    /// The answer to an event that asked for an ack; `id` as it came, `data` JSON.
    pub(super) fn ack(self, namespace: &str, id: &str, data: Option<&str>) -> Bytes {
        match self {
            Self::SocketIo => websocket::text(&socketio::ack(namespace, id, data.unwrap_or_default())),
            Self::Plain => websocket::text(&plain::ack(id, data.unwrap_or("null"))),
        }
    }
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
    socketio: OnceLock<Bytes>,
    plain: OnceLock<Bytes>,
    /// The publisher's share of the budget; given back when the last outlet has let go of the event.
    share: Option<Arc<dyn Any + Send + Sync>>,
}

impl Event {
    /// `data` is JSON text and goes out as it is.
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
            socketio: OnceLock::new(),
            plain: OnceLock::new(),
            share: None,
        }
    }

    /// Sockets that are in one of these rooms do not get it.
    #[must_use]
    pub fn except<R: Into<Arc<str>>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.except = rooms.into_iter().map(Into::into).collect();
        self
    }

    /// Ties a share of the budget (or of several, together) to this event.
    #[must_use]
    pub fn with_share(mut self, share: Arc<dyn Any + Send + Sync>) -> Self {
        self.share = Some(share);
        self
    }

    /// What is written in that protocol: one frame, or two for an event that has an older name. Workers that race for the first encoding agree on one.
    pub(super) fn frame(&self, protocol: Protocol, aliases: Aliases) -> &Bytes {
        let cell = match protocol {
            Protocol::SocketIo => &self.socketio,
            Protocol::Plain => &self.plain,
        };
        cell.get_or_init(|| protocol.event_and_alias(&self.namespace, &self.name, &self.data, aliases))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_has_one_encoding_per_protocol() {
        let event = Event::new("/admin", "new_order", r#"{"orderId":1}"#.into(), ["admin"]);
        assert_eq!(&event.frame(Protocol::SocketIo, &[])[2..], br#"42/admin,["new_order",{"orderId":1}]"#);
        assert_eq!(&event.frame(Protocol::Plain, &[])[2..], br#"{"event":"new_order","data":{"orderId":1}}"#);
        assert_eq!(event.frame(Protocol::Plain, &[]).as_ptr(), event.frame(Protocol::Plain, &[]).as_ptr());
    }

    #[test]
    fn an_event_with_an_older_name_goes_out_under_both() {
        let event = Event::new("/", "notification", "1".into(), ["user:5"]);
        let frames = event.frame(Protocol::Plain, &[("notification", "notification:new")]);
        let [first, second] = [r#"{"event":"notification","data":1}"#, r#"{"event":"notification:new","data":1}"#];
        assert_eq!(&frames[2..2 + first.len()], first.as_bytes());
        assert_eq!(&frames[4 + first.len()..], second.as_bytes());
    }
}

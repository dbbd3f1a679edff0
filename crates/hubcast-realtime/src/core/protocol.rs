//! The protocols that a connection may speak, and how an event or an ack is encoded in each: always
//! as whole WebSocket frames, which long-polling turns into packets of its own.

use bytes::Bytes;

use super::payload::Payload;
use super::recovery::Position;
use super::settings::Aliases;
use crate::wire::socketio::{self, Encoded};
use crate::wire::{plain, websocket};

/// The namespace of bare Engine.IO's sockets in the hub. No client can name it.
pub const ENGINE: &str = "engine.io";

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Socket.IO 5. With `offsets` the client uses connection state recovery, and its library reads
    /// any last argument that is a string as an offset.
    SocketIo {
        offsets: bool,
    },
    Plain,
    /// Bare Engine.IO: an event's one argument is a message, and its name is not sent.
    EngineIo,
}

impl Protocol {
    /// Returns true for protocols over Engine.IO, whose clients may poll.
    pub(crate) fn is_engine(self) -> bool {
        self != Self::Plain
    }

    /// Encodes one event and its offset, if it has one. Each attachment has a frame of its own
    /// after the first.
    pub(crate) fn event(
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

    /// Encodes an event that is not in the log. `position` is the last event of the log before it.
    pub(crate) fn transient_event(
        self,
        namespace: &str,
        name: &str,
        payload: &Payload,
        position: Position,
    ) -> Bytes {
        // Without an offset the client would read its last argument as the offset.
        let is_mistaken = self == Self::SocketIo { offsets: true } && payload.ends_in_string();
        let offset = is_mistaken.then(|| position.to_string());
        self.event(namespace, name, payload, offset.as_deref())
    }

    /// Encodes an event that asks for an ack. Returns `None` if this protocol has no acks from
    /// clients.
    pub(crate) fn event_with_ack(
        self,
        namespace: &str,
        name: &str,
        payload: &Payload,
        id: u64,
    ) -> Option<Bytes> {
        // The event has no offset, because the client's last argument is the ack's callback.
        matches!(self, Self::SocketIo { .. })
            .then(|| socketio_event(namespace, name, Some(id), payload, None))
    }

    /// Encodes the ack of a client's event. `id` is the text that the client sent.
    pub(crate) fn ack(self, namespace: &str, id: &str, payload: &Payload) -> Bytes {
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

/// Encodes one packet's frames, with nothing in between.
fn frames(Encoded { text, attachments }: &Encoded) -> Bytes {
    let attachments = attachments.iter().map(|bytes| websocket::binary(bytes));
    std::iter::once(websocket::text(text)).chain(attachments).collect::<Vec<_>>().concat().into()
}

/// Encodes bytes as they are, a string as its text, and any other value as JSON.
fn message(payload: &Payload) -> Bytes {
    if let [bytes] = payload.attachments() {
        return websocket::binary(bytes);
    }
    let text = serde_json::from_str::<String>(payload.args());
    websocket::text(&format!("4{}", text.as_deref().unwrap_or(&payload.as_one())))
}

/// Returns the older name of an event, if it has one.
pub(crate) fn older_name(name: &str, aliases: Aliases) -> Option<&'static str> {
    aliases.iter().find(|(today, _)| *today == name).map(|(_, older)| *older)
}

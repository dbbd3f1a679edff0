//! The messages that the hub sends to a worker, and the hub's handle on a worker. A worker handles
//! all of them in one mailbox, in order.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use crate::core::error::Error;
use crate::core::event::Event;
use crate::core::ids::SocketId;
use crate::core::payload::Payload;
use crate::core::reason::DisconnectReason;
use crate::core::recovery::Position;

/// Keeps one or several [`BudgetPermit`](crate::BudgetPermit)s until the last holder drops it.
pub type SharedPermit = Arc<dyn Any + Send + Sync>;

/// A program's message to its own gateways about certain sockets.
pub type SocketNotice = Arc<dyn Any + Send + Sync>;

/// What ends when the server disconnects a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Only the socket ends, by Socket.IO's DISCONNECT; the official client does not reconnect by
    /// itself after it. The connection remains open for other namespaces. On the plain protocol and
    /// on bare Engine.IO it has no other use, and is closed.
    Socket,
    /// The connection and all its sockets end.
    Connection,
}

/// The server's order to disconnect a socket, with its cause.
#[derive(Debug, Clone)]
pub(crate) struct Disconnect {
    pub(crate) close: Close,
    /// The cause that is sent to the client.
    error: Option<Box<Error>>,
    is_surplus: bool,
}

impl Disconnect {
    pub(crate) fn new(close: Close) -> Self {
        Self { close, error: None, is_surplus: false }
    }

    pub(crate) fn with_error(error: Error) -> Self {
        Self { close: Close::Socket, error: Some(Box::new(error)), is_surplus: false }
    }

    /// The end of a socket whose user has opened too many.
    pub(crate) fn surplus() -> Self {
        let message = "Too many sockets of this user; this one was idle for longest".to_owned();
        let error = Error::Other { code: Error::RateLimited.code(), message };
        Self { is_surplus: true, ..Self::with_error(error) }
    }

    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    pub(crate) fn reason(&self) -> DisconnectReason {
        match self.error() {
            _ if self.is_surplus => DisconnectReason::TooManySockets,
            Some(Error::TokenExpired) => DisconnectReason::TokenExpired,
            Some(Error::Unauthorized(_)) => DisconnectReason::Unauthorized,
            Some(Error::Forbidden) => DisconnectReason::Forbidden,
            _ => DisconnectReason::Kicked,
        }
    }
}

/// Adds a socket to rooms. It gets their events after `position` in the log.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct EnterRooms {
    pub(crate) socket: SocketId,
    pub(crate) rooms: SmallVec<[Arc<str>; 2]>,
    pub(crate) position: Position,
}

/// Removes a socket from one room or, without one, from the worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LeaveRooms {
    pub(crate) socket: SocketId,
    pub(crate) room: Option<Arc<str>>,
}

/// Delivers events in order to this worker's members of their rooms.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver {
    pub(crate) events: SmallVec<[Arc<Event>; 1]>,
    #[expect(dead_code, reason = "dropped when the events are on the queues of their sockets")]
    pub(crate) permit: Option<SharedPermit>,
}

/// Aborts the connection of a socket whose client has resumed the session on another one.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakeOver(pub(crate) SocketId);

/// Closes all connections in batches, because the server shuts down.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) within: Duration,
}

/// Sends something to one socket, in order with the events. The hub passes it on to the socket's
/// worker; a session sends it to its own worker directly.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SendTo {
    pub(crate) socket: SocketId,
    pub(crate) what: Outgoing,
}

/// The things that can be sent to one socket.
pub(crate) enum Outgoing {
    /// An encoded frame.
    Frame(Bytes),
    /// A transient event for this socket only.
    Event { name: Box<str>, payload: Payload, is_volatile: bool },
    /// The payload of the server's greeting, for a socket that was not sent one yet. The sender is
    /// dropped when it is in the socket's queue.
    Greeting(Payload, oneshot::Sender<()>),
    /// An event for several sockets, and the permit that it holds until it is on their queues.
    Shared {
        event: Arc<Event>,
        #[expect(dead_code, reason = "held for its drop")]
        permit: SharedPermit,
    },
    /// An event that asks for an ack.
    RequestAck { name: Box<str>, payload: Payload, id: u64 },
    /// The disconnect of the socket, after everything that was sent before.
    Disconnect(Disconnect),
    /// A notice for the socket's gateway. Nothing is sent to the client.
    Notice(SocketNotice),
}

impl Outgoing {
    pub(crate) fn event(name: &str, payload: impl Into<Payload>) -> Self {
        Self::Event { name: name.into(), payload: payload.into(), is_volatile: false }
    }

    pub(crate) fn volatile(name: &str, payload: impl Into<Payload>) -> Self {
        Self::Event { name: name.into(), payload: payload.into(), is_volatile: true }
    }
}

/// Applies an action to this worker's sockets of a room or, without one, of the namespace.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SelectSockets {
    pub(crate) namespace: Arc<str>,
    pub(crate) room: Option<Arc<str>>,
    pub(crate) action: SocketAction,
}

pub(crate) enum SocketAction {
    /// Reports the id of each socket. The channel ends when all workers have reported.
    Report(mpsc::UnboundedSender<SocketId>),
    Disconnect(Close),
    Notify(SocketNotice),
}

/// The hub's handle on one worker. It does not name the worker's own type.
pub(super) struct WorkerHandle {
    pub(super) enter: Recipient<EnterRooms>,
    pub(super) leave: Recipient<LeaveRooms>,
    pub(super) deliver: Recipient<Deliver>,
    pub(super) take_over: Recipient<TakeOver>,
    pub(super) drain: Recipient<Drain>,
    pub(super) send: Recipient<SendTo>,
    pub(super) select: Recipient<SelectSockets>,
}

/// An actor that may serve as a worker.
pub(crate) trait WorkerActor:
    Actor<Context = Context<Self>>
    + Handler<EnterRooms>
    + Handler<LeaveRooms>
    + Handler<Deliver>
    + Handler<TakeOver>
    + Handler<Drain>
    + Handler<SendTo>
    + Handler<SelectSockets>
{
}

impl WorkerHandle {
    pub(super) fn new<W: WorkerActor>(worker: &Addr<W>) -> Self {
        Self {
            enter: worker.clone().recipient(),
            leave: worker.clone().recipient(),
            deliver: worker.clone().recipient(),
            take_over: worker.clone().recipient(),
            drain: worker.clone().recipient(),
            send: worker.clone().recipient(),
            select: worker.clone().recipient(),
        }
    }

    /// Returns false once the worker's thread has died.
    pub(super) fn is_alive(&self) -> bool {
        self.deliver.connected()
    }
}

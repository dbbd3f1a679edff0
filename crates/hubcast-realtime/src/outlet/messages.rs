//! What an outlet is told: by the hub, and by its own thread's sessions.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use crate::client::{Close, Goodbye};
use crate::frame::Event;
use crate::hub::{Share, Signal, SocketId};
use crate::payload::Payload;
use crate::recovery::Position;

/// From the hub: the socket is in these rooms from here on, which is behind that event of the log.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Attach {
    pub socket: SocketId,
    pub rooms: SmallVec<[Arc<str>; 2]>,
    pub position: Position,
}

/// From the hub: the socket is out of this room, or (`None`) gone altogether.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Detach {
    pub socket: SocketId,
    pub room: Option<Arc<str>>,
}

/// From the hub: events in order, for this worker's members of their rooms.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver {
    pub events: SmallVec<[Arc<Event>; 1]>,
    #[expect(
        dead_code,
        reason = "held for its drop, when the events are on their sockets' queues"
    )]
    pub share: Option<Share>,
}

/// From the hub: the client of that socket has come back on another connection.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakeOver(pub SocketId);

/// From the hub: the server goes down; close all in batches.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub within: std::time::Duration,
}

/// From a session, or from the hub: a frame for one socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Forward {
    pub socket: SocketId,
    pub what: Outgoing,
}

/// What one socket is sent.
pub(crate) enum Outgoing {
    /// As it is.
    Frame(Bytes),
    /// An event that is not in the log.
    Event { name: Box<str>, payload: Payload, is_volatile: bool },
    /// An event that others get too, with the share of the hub's budget that it holds until it is
    /// on their queues.
    Shared {
        event: Arc<Event>,
        #[expect(dead_code, reason = "held for its drop")]
        share: Share,
    },
    /// An event that asks for an ack.
    Question { name: Box<str>, payload: Payload, id: u64 },
    /// The end, behind what was sent before.
    Goodbye(Goodbye),
    /// Nothing: its gateway is told.
    Signal(Signal),
}

impl Outgoing {
    pub(crate) fn event(name: &str, payload: impl Into<Payload>) -> Self {
        Self::Event { name: name.into(), payload: payload.into(), is_volatile: false }
    }

    pub(crate) fn volatile(name: &str, payload: impl Into<Payload>) -> Self {
        Self::Event { name: name.into(), payload: payload.into(), is_volatile: true }
    }
}

/// From the hub: who of this worker is in that room, or, with none named, in the namespace.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Roll {
    pub namespace: Arc<str>,
    pub room: Option<Arc<str>>,
    pub then: Then,
}

/// What is to be done with who is found.
pub(crate) enum Then {
    Name(mpsc::UnboundedSender<SocketId>),
    End(Close),
    Signal(Signal),
}

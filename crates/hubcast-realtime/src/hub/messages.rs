//! What the hub is told, and what it answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::{Census, Share, Signal, SocketId, Whom, WorkerId};
use crate::client::Close;
use crate::frame::Event;
use crate::outlet::{Outgoing, Outlet};
use crate::presence::Present;
use crate::recovery::Position;

/// Whether a join shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The room is a way to reach the socket, nothing more.
    Silent,
    /// The socket's user is then present in the room.
    Seen,
}

/// A socket that comes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Arrive {
    pub socket: SocketId,
    pub worker: WorkerId,
    pub namespace: Arc<str>,
    pub sid: Arc<str>,
    /// The identity as JSON text; None for no one.
    pub user: Option<Arc<str>>,
    pub attachment: Option<i64>,
    pub barred: Barred,
}

/// Rooms that a socket is put out of while it is on its way in.
#[derive(Clone, Default)]
pub(crate) struct Barred(Arc<Mutex<Vec<Arc<str>>>>);

impl Barred {
    pub(super) fn add(&self, room: &Arc<str>) {
        self.rooms().push(Arc::clone(room));
    }

    pub(crate) fn has(&self, room: &str) -> bool {
        self.rooms().iter().any(|barred| **barred == *room)
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        // A push is whole or not there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that is in.
pub(crate) struct Entered {
    /// The last event that was routed before.
    pub position: Position,
    /// Who is in the rooms where it is seen.
    pub present: Vec<(Arc<str>, Present)>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WorkerUp {
    pub(super) worker: WorkerId,
    pub(super) outlet: Addr<Outlet>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Begin {
    pub(super) position: Position,
    pub(super) last: Vec<Event>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Enter {
    pub(super) socket: SocketId,
    pub(super) rooms: Vec<(Arc<str>, Entrance)>,
    pub(super) done: oneshot::Sender<Entered>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Disconnect {
    pub(super) socket: SocketId,
    pub(super) lost: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Join {
    pub(super) socket: SocketId,
    pub(super) room: Arc<str>,
    pub(super) entrance: Entrance,
    pub(super) done: Box<dyn FnOnce(Present) + Send>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave {
    pub(super) socket: SocketId,
    pub(super) room: Arc<str>,
    pub(super) done: Box<dyn FnOnce(Present) + Send>,
}

/// A frame for one socket, in its place among the events.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Tell {
    pub(super) socket: SocketId,
    pub(super) what: Outgoing,
}

/// Who is in that room?
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ask {
    pub(super) namespace: Arc<str>,
    pub(super) room: Arc<str>,
    pub(super) done: oneshot::Sender<Present>,
}

/// How many are there?
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct TakeCensus {
    pub(super) done: oneshot::Sender<Census>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Evict {
    pub(super) namespace: Arc<str>,
    pub(super) user: Arc<str>,
    pub(super) room: Arc<str>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct TellUser {
    pub(super) user: Arc<str>,
    pub(super) event: Arc<Event>,
    pub(super) share: Share,
    pub(super) done: oneshot::Sender<()>,
}

/// Who is that? Each is named; the channel ends when all are.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Find {
    pub(super) namespace: Arc<str>,
    pub(super) whom: Whom,
    pub(super) names: mpsc::UnboundedSender<SocketId>,
}

/// What the hub knows of sockets that are still there.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Describe {
    pub(super) sockets: Vec<SocketId>,
    pub(super) done: oneshot::Sender<Vec<Known>>,
}

pub(super) struct Known {
    pub(super) socket: SocketId,
    pub(super) sid: Arc<str>,
    pub(super) user: Option<Arc<str>>,
    pub(super) attachment: Option<i64>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Dismiss {
    pub(super) namespace: Arc<str>,
    pub(super) whom: Whom,
    pub(super) close: Close,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Say {
    pub(super) namespace: Arc<str>,
    pub(super) whom: Whom,
    pub(super) signal: Signal,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Publish {
    pub(super) events: Vec<Arc<Event>>,
    pub(super) share: Option<Share>,
    pub(super) routed: Box<dyn FnOnce() + Send>,
}

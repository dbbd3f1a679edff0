//! The table of a worker's sockets. A session adds its socket before it registers it with the hub;
//! the hub's [`LeaveRooms`](crate::hub::workers::LeaveRooms) removes it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use actix::WeakAddr;
use bytes::Bytes;
use smallvec::SmallVec;

use super::session_actor::{CallGateway, DisconnectSocket, GatewayCall, SessionActor};
use crate::connection::connection::Connection;
use crate::connection::writer::QueuedFrame;
use crate::core::ids::SocketId;
use crate::hub::workers::Disconnect;

/// The worker's record of one socket.
pub(super) struct WorkerSocket<S: SessionActor> {
    pub(super) connection: Rc<Connection>,
    /// The handle is weak, because each strong handle on an actor allocates.
    session: WeakAddr<S>,
    pub(super) namespace: Arc<str>,
    pub(super) rooms: RefCell<SmallVec<[Arc<str>; 2]>>,
    /// The number of the last event for this socket, so that an event for several rooms is sent
    /// once.
    pub(super) stamp: Cell<u64>,
    /// Whether the hub has entered the socket, so that it gets events for the whole namespace.
    pub(super) has_entered: Cell<bool>,
    /// Whether the socket was sent the server's greeting, or an event of that name, since it
    /// entered.
    pub(super) is_greeted: Cell<bool>,
    /// Whether the session is disconnecting the socket, so that nothing more is sent to it.
    pub(super) is_ending: Cell<bool>,
    /// Frames that arrived while the socket was entering, to be sent after its replay.
    pub(super) pending: Cell<Option<Box<PendingFrames>>>,
}

#[derive(Default)]
pub(super) struct PendingFrames {
    pub(super) frames: Vec<QueuedFrame>,
    /// The bytes that count towards the limit of the queue.
    pub(super) weight: usize,
}

impl PendingFrames {
    /// Holds a frame. Returns false if that is too much, even without the frames of which a newer
    /// version is held.
    pub(super) fn hold(&mut self, frame: QueuedFrame, limit: usize) -> bool {
        self.weight += frame.weight();
        self.frames.push(frame);
        if self.weight > limit {
            let mut newest = HashSet::new();
            self.frames.reverse();
            self.frames.retain(|frame| frame.version_of.is_none_or(|key| newest.insert(key)));
            self.frames.reverse();
            self.weight = self.frames.iter().map(QueuedFrame::weight).sum();
        }
        self.weight <= limit
    }
}

impl<S: SessionActor> WorkerSocket<S> {
    fn is_entering(&self) -> bool {
        let pending = self.pending.take();
        let is_entering = pending.is_some();
        self.pending.set(pending);
        is_entering
    }

    /// Asks the session to disconnect the socket.
    pub(super) fn disconnect(&self, socket: SocketId, disconnect: Disconnect) {
        if !self.is_ending.replace(true)
            && let Some(session) = self.session.upgrade()
        {
            session.do_send(DisconnectSocket { socket, disconnect });
        }
    }

    /// Asks the session to call the gateway.
    pub(super) fn call_gateway(&self, socket: SocketId, call: GatewayCall) {
        if let Some(session) = self.session.upgrade() {
            session.do_send(CallGateway { socket, call });
        }
    }

    /// Returns true if a frame would be written now.
    pub(super) fn can_write_now(&self, frame: &Bytes) -> bool {
        !self.is_entering() && self.connection.can_write_now(frame.len())
    }
}

/// This worker's sockets.
pub(crate) struct Sockets<S: SessionActor>(
    pub(super) RefCell<HashMap<SocketId, Rc<WorkerSocket<S>>>>,
);

impl<S: SessionActor> Default for Sockets<S> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<S: SessionActor> Sockets<S> {
    pub(super) fn get(&self, socket: SocketId) -> Option<Rc<WorkerSocket<S>>> {
        self.0.borrow().get(&socket).cloned()
    }

    /// Adds a socket that is entering. Its frames are held until [`Sockets::release`].
    pub(crate) fn register(
        &self,
        socket: SocketId,
        namespace: Arc<str>,
        connection: Rc<Connection>,
        session: WeakAddr<S>,
    ) {
        let entering = WorkerSocket {
            connection,
            session,
            namespace,
            rooms: RefCell::default(),
            stamp: Cell::new(0),
            has_entered: Cell::new(false),
            is_greeted: Cell::new(false),
            is_ending: Cell::new(false),
            pending: Cell::new(Some(Box::default())),
        };
        self.0.borrow_mut().insert(socket, Rc::new(entering));
    }

    /// Sends the frames that were held for a socket, because it has entered.
    pub(crate) fn release(&self, socket: SocketId) {
        let Some(socket) = self.get(socket) else { return };
        let pending = socket.pending.take().unwrap_or_default();
        for frame in pending.frames {
            socket.connection.push(frame);
        }
        socket.connection.flush();
    }
}

/// The questions that a handle on a socket asks the table, whatever the type of the sessions.
pub(crate) trait SocketTable {
    /// Returns true while the worker has the socket.
    fn contains(&self, socket: SocketId) -> bool;

    /// Returns the rooms of a socket, as far as the hub's messages have arrived.
    fn rooms(&self, socket: SocketId) -> Vec<Arc<str>>;

    /// Returns true if the socket is in the room, as far as the hub's messages have arrived.
    fn is_in(&self, socket: SocketId, room: &str) -> bool;
}

impl<S: SessionActor> SocketTable for Sockets<S> {
    fn contains(&self, socket: SocketId) -> bool {
        self.0.borrow().contains_key(&socket)
    }

    fn rooms(&self, socket: SocketId) -> Vec<Arc<str>> {
        self.get(socket).map_or_else(Vec::new, |socket| socket.rooms.borrow().to_vec())
    }

    fn is_in(&self, socket: SocketId, room: &str) -> bool {
        self.get(socket)
            .is_some_and(|socket| socket.rooms.borrow().iter().any(|own| **own == *room))
    }
}

//! What one worker thread's connections share, and what its outlet knows of each socket.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::WeakAddr;
use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{Forward, Outgoing, Outlet};
use crate::alarms::Alarms;
use crate::client::Goodbye;
use crate::deadlines::Deadlines;
use crate::hub::{HubHandle, SocketId, WorkerId};
use crate::link::Link;
use crate::recovery::Position;
use crate::server::Shared;
use crate::session::{Call, Kick, Session};

/// What one worker thread's connections share.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) hub: HubHandle,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) alarms: Rc<Alarms>,
    /// Every connection reads into this; what is left of a frame moves to a buffer of its own.
    pub(crate) scratch: RefCell<BytesMut>,
    /// The log's last event that this worker has heard of: whoever is in has all that is for it up
    /// to there, on its way.
    pub(crate) position: Rc<Cell<Position>>,
    sockets: Rc<RefCell<Sockets>>,
    outlet: Addr<Outlet>,
}

/// This worker's sockets. The session puts its socket in before the hub hears of it; the hub's
/// [`Detach`] takes it out.
pub(super) type Sockets = HashMap<SocketId, Rc<Member>>;

pub(super) struct Member {
    pub(super) link: Rc<Link>,
    /// Weak: each other handle on an actor has memory of its own.
    pub(super) session: WeakAddr<Session>,
    pub(super) namespace: Arc<str>,
    pub(super) rooms: RefCell<SmallVec<[Arc<str>; 2]>>,
    /// The last event counted for this socket: an event for several rooms comes once.
    pub(super) stamp: Cell<u64>,
    /// The hub has entered it: what is for the whole namespace is for it too.
    pub(super) entered: Cell<bool>,
    /// It is to leave: it hears nothing more.
    pub(super) is_over: Cell<bool>,
    /// While a socket is on its way in: what has come for it, to be sent behind what it has missed.
    pub(super) held: Cell<Option<Box<Held>>>,
}

impl Member {
    fn is_held(&self) -> bool {
        let held = self.held.take();
        let is_held = held.is_some();
        self.held.set(held);
        is_held
    }

    /// Behind what is on its queue, its session ends it.
    pub(super) fn end(&self, socket: SocketId, goodbye: Goodbye) {
        if !self.is_over.replace(true)
            && let Some(session) = self.session.upgrade()
        {
            session.do_send(Kick { socket, goodbye });
        }
    }

    /// Its session has the gateway called.
    pub(super) fn call(&self, call: Call) {
        if let Some(session) = self.session.upgrade() {
            session.do_send(call);
        }
    }

    /// Whether what is sent now would go out now.
    pub(super) fn takes_at_once(&self, frame: &Bytes) -> bool {
        !self.is_held() && self.link.takes_at_once(frame.len())
    }
}

#[derive(Default)]
pub(super) struct Held {
    pub(super) frames: Vec<Bytes>,
    pub(super) bytes: usize,
}

impl Worker {
    /// Starts the outlet of the current thread and makes it known to the hub.
    pub(crate) fn start(shared: Arc<Shared>, hub: HubHandle) -> Rc<Self> {
        let deadlines = Deadlines::new();
        actix_rt::spawn(Rc::clone(&deadlines).run());
        let sockets = Rc::new(RefCell::new(Sockets::new()));
        let (alarms, rung) = (Rc::new(Alarms::default()), Rc::clone(&sockets));
        actix_rt::spawn(Rc::clone(&alarms).run(move |socket| {
            if let Some(member) = rung.borrow().get(&socket) {
                member.call(Call::alarm(socket));
            }
        }));
        let position = Rc::new(Cell::default());
        let outlet = Outlet {
            position: Rc::clone(&position),
            sockets: Rc::clone(&sockets),
            namespaces: HashMap::new(),
            dirty: Vec::new(),
            queued: 0,
            stamp: 0,
            aliases: shared.settings.aliases,
            outbox_limit: shared.settings.outbox_limit,
            deadlines: Rc::clone(&deadlines),
        }
        .start();
        let id = hub.worker(&outlet);
        Rc::new(Self {
            id,
            shared,
            hub,
            deadlines,
            alarms,
            scratch: RefCell::default(),
            position,
            sockets,
            outlet,
        })
    }

    /// Lets the outlet know a socket that is on its way in, ahead of the hub's [`Attach`]. What
    /// comes for it is held until [`Worker::release`].
    pub(crate) fn register(
        &self,
        socket: SocketId,
        namespace: Arc<str>,
        link: Rc<Link>,
        session: WeakAddr<Session>,
    ) {
        let held = Cell::new(Some(Box::default()));
        let member = Member {
            link,
            session,
            namespace,
            rooms: RefCell::default(),
            stamp: Cell::new(0),
            entered: Cell::new(false),
            is_over: Cell::new(false),
            held,
        };
        self.sockets.borrow_mut().insert(socket, Rc::new(member));
    }

    /// Sends what was held for a socket: it is in.
    pub(crate) fn release(&self, socket: SocketId) {
        let Some(member) = self.sockets.borrow().get(&socket).cloned() else { return };
        let held = member.held.take().unwrap_or_default();
        for frame in held.frames {
            member.link.push(frame);
        }
        member.link.flush();
    }

    /// Whether the socket is in that room, as far as the outlet has heard.
    pub(crate) fn is_in(&self, socket: SocketId, room: &str) -> bool {
        self.sockets
            .borrow()
            .get(&socket)
            .is_some_and(|member| member.rooms.borrow().iter().any(|own| **own == *room))
    }

    /// Whether the socket is there, as far as the outlet has heard.
    pub(crate) fn has(&self, socket: SocketId) -> bool {
        self.sockets.borrow().contains_key(&socket)
    }

    /// The rooms that the socket is in, as far as the outlet has heard.
    pub(crate) fn rooms(&self, socket: SocketId) -> Vec<Arc<str>> {
        self.sockets
            .borrow()
            .get(&socket)
            .map_or_else(Vec::new, |member| member.rooms.borrow().to_vec())
    }

    /// Sends a frame to one socket, behind everything that the hub has routed to it so far.
    pub(crate) fn send(&self, socket: SocketId, what: Outgoing) {
        self.outlet.do_send(Forward { socket, what });
    }
}

//! One actor a worker thread: that thread's sockets by room, and the writes to them. It takes one [`Deliver`] per batch from the hub, puts the
//! shared frame on each queue, and writes each touched socket once when its mailbox is empty (or after [`FLUSH_EVERY`] frames).
//!
//! Acks and events both come through this mailbox, so a socket sees them in the order the hub and its gateway made them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::fut::ActorFuture;
use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use smallvec::SmallVec;

use super::Reason;
use super::deadlines::Deadlines;
use super::frame::Event;
use super::hub::{HubHandle, Share, SocketId, WorkerId};
use super::link::Link;
use super::recovery::Position;
use super::server::Shared;
use super::settings::Aliases;

/// Frames queued before a write, when the mailbox does not run empty: about a millisecond of queueing.
const FLUSH_EVERY: usize = 16_384;

/// A drain closes connections in at most so many batches.
const BATCHES: usize = 10;

/// What one worker thread's connections share.
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) shared: Arc<Shared>,
    pub(super) hub: HubHandle,
    pub(super) deadlines: Rc<Deadlines>,
    /// Every connection reads into this; what is left of a frame moves to a buffer of its own.
    pub(super) scratch: RefCell<BytesMut>,
    /// The log's last event that this worker has heard of: whoever is in has all that is for it up to there, on its way.
    pub(super) position: Rc<Cell<Position>>,
    sockets: Rc<RefCell<Sockets>>,
    outlet: Addr<Outlet>,
}

/// This worker's sockets. The session puts its socket in before the hub hears of it; the hub's [`Detach`] takes it out.
type Sockets = HashMap<SocketId, Rc<Member>>;

struct Member {
    link: Rc<Link>,
    namespace: Arc<str>,
    rooms: RefCell<SmallVec<[Arc<str>; 2]>>,
    /// The last event counted for this socket: an event for several rooms comes once.
    stamp: Cell<u64>,
    /// The hub has entered it: what is for the whole namespace is for it too.
    entered: Cell<bool>,
    /// While a socket is on its way in: what has come for it, to be sent behind what it has missed.
    held: RefCell<Option<Held>>,
}

#[derive(Default)]
struct Held {
    frames: Vec<Bytes>,
    bytes: usize,
}

impl Worker {
    /// Starts the outlet of the current thread and makes it known to the hub.
    pub(super) fn start(shared: Arc<Shared>, hub: HubHandle) -> Rc<Self> {
        let deadlines = Deadlines::new();
        actix_rt::spawn(Rc::clone(&deadlines).run());
        let sockets = Rc::new(RefCell::new(Sockets::new()));
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
        Rc::new(Self { id, shared, hub, deadlines, scratch: RefCell::default(), position, sockets, outlet })
    }

    /// Lets the outlet know a socket that is on its way in, ahead of the hub's [`Attach`]. What comes for it is held until [`Worker::release`].
    pub(super) fn register(&self, socket: SocketId, namespace: Arc<str>, link: Rc<Link>) {
        let held = RefCell::new(Some(Held::default()));
        let member = Member { link, namespace, rooms: RefCell::default(), stamp: Cell::new(0), entered: Cell::new(false), held };
        self.sockets.borrow_mut().insert(socket, Rc::new(member));
    }

    /// Sends what was held for a socket: it is in.
    pub(super) fn release(&self, socket: SocketId) {
        let Some(member) = self.sockets.borrow().get(&socket).cloned() else { return };
        let held = member.held.take().unwrap_or_default();
        held.frames.into_iter().for_each(|frame| member.link.push(frame));
        member.link.flush();
    }

    /// Whether the socket is in that room, as far as the outlet has heard.
    pub(super) fn is_in(&self, socket: SocketId, room: &str) -> bool {
        self.sockets.borrow().get(&socket).is_some_and(|member| member.rooms.borrow().iter().any(|own| **own == *room))
    }

    /// How many rooms the socket is in, as far as the outlet has heard.
    pub(super) fn rooms(&self, socket: SocketId) -> usize {
        self.sockets.borrow().get(&socket).map_or(0, |member| member.rooms.borrow().len())
    }

    /// Sends a frame to one socket, behind everything that the hub has routed to it so far.
    pub(super) fn send(&self, socket: SocketId, what: Outgoing) {
        self.outlet.do_send(Forward { socket, what });
    }
}

/// From the hub: the socket is in these rooms from here on, which is behind that event of the log.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Attach {
    pub socket: SocketId,
    pub rooms: SmallVec<[Arc<str>; 2]>,
    pub position: Position,
}

/// From the hub: the socket is out of this room, or (`None`) gone altogether.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Detach {
    pub socket: SocketId,
    pub room: Option<Arc<str>>,
}

/// From the hub: events in order, for this worker's members of their rooms.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Deliver {
    pub events: SmallVec<[Arc<Event>; 1]>,
    #[expect(dead_code, reason = "held for its drop, when the events are on their sockets' queues")]
    pub share: Option<Share>,
}

/// From the hub: the client of that socket has come back on another connection.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct TakeOver(pub SocketId);

/// From the hub: the server goes down; close all in batches.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(super) struct Drain {
    pub within: std::time::Duration,
}

/// From a session, or from the hub: a frame for one socket.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Forward {
    pub socket: SocketId,
    pub what: Outgoing,
}

/// What one socket is sent.
pub(super) enum Outgoing {
    /// As it is.
    Frame(Bytes),
    /// An event that is not in the log; `data` is JSON, with placeholders for its attachments.
    Event { name: Box<str>, data: Box<str>, attachments: Vec<Bytes> },
}

impl Outgoing {
    pub(super) fn event(name: &str, data: &str, attachments: Vec<Bytes>) -> Self {
        Self::Event { name: name.into(), data: data.into(), attachments }
    }
}

type Room = IndexMap<SocketId, Rc<Member>>;

pub(super) struct Outlet {
    position: Rc<Cell<Position>>,
    sockets: Rc<RefCell<Sockets>>,
    /// By namespace, then by room.
    namespaces: HashMap<Arc<str>, HashMap<Arc<str>, Room>>,
    dirty: Vec<Rc<Link>>,
    queued: usize,
    stamp: u64,
    aliases: Aliases,
    outbox_limit: usize,
    deadlines: Rc<Deadlines>,
}

impl Actor for Outlet {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Its messages are bounded by the hub's budget, not by a mailbox that would make the hub wait.
        ctx.set_mailbox_capacity(usize::MAX >> 8);
        ctx.spawn(FlushAfterMailbox);
    }
}

/// A context polls its futures after its mailbox: this one never ends, and writes what the messages queued.
struct FlushAfterMailbox;

impl ActorFuture<Outlet> for FlushAfterMailbox {
    type Output = ();

    fn poll(self: Pin<&mut Self>, outlet: &mut Outlet, _: &mut Context<Outlet>, _: &mut task::Context<'_>) -> Poll<()> {
        outlet.flush();
        Poll::Pending
    }
}

impl Outlet {
    fn queue(&mut self, member: &Member, frame: Bytes) {
        let link = &member.link;
        if let Some(held) = &mut *member.held.borrow_mut() {
            held.bytes += frame.len();
            if held.bytes > self.outbox_limit {
                // It can come again, and reads what it missed from the log.
                *held = Held::default();
                link.cut(Reason::SlowConsumer);
            } else {
                held.frames.push(frame);
            }
            return;
        }
        link.push(frame);
        if !link.dirty.replace(true) {
            self.dirty.push(Rc::clone(link));
        }
        self.queued += 1;
        if self.queued >= FLUSH_EVERY {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.queued = 0;
        let mut dirty = std::mem::take(&mut self.dirty);
        for link in dirty.drain(..) {
            link.dirty.set(false);
            link.flush();
        }
        // Keeps the room for the next round.
        self.dirty = dirty;
    }

    fn deliver(&mut self, event: &Event) {
        if let Some(position) = event.position() {
            self.position.set(position);
        }
        let Some(rooms) = self.namespaces.get(&event.namespace) else { return };
        self.stamp += 1;
        let stamp = self.stamp;
        // Who is not to get it counts as one who has it already.
        for member in event.except.iter().filter_map(|room| rooms.get(room)).flat_map(IndexMap::values) {
            member.stamp.set(stamp);
        }
        let mut targets: Vec<Rc<Member>> = Vec::new();
        if event.rooms.is_empty() {
            let sockets = self.sockets.borrow();
            let is_target =
                |member: &&Rc<Member>| member.entered.get() && member.namespace == event.namespace && member.stamp.get() != stamp;
            let others = sockets.values().filter(is_target);
            targets.extend(others.cloned());
        } else {
            for room in event.rooms.iter().filter_map(|room| rooms.get(room)) {
                targets.extend(room.values().filter(|member| member.stamp.replace(stamp) != stamp).cloned());
            }
        }
        for member in targets {
            let frame = event.frame(member.link.protocol, self.aliases).clone();
            self.queue(&member, frame);
        }
    }

    fn leave(&mut self, socket: SocketId, namespace: &Arc<str>, room: &Arc<str>) {
        let Some(rooms) = self.namespaces.get_mut(namespace) else { return };
        if let Some(members) = rooms.get_mut(room) {
            members.swap_remove(&socket);
            if members.is_empty() {
                rooms.remove(room);
            }
        }
    }
}

impl Handler<Attach> for Outlet {
    type Result = ();

    fn handle(&mut self, Attach { socket, rooms, position }: Attach, _: &mut Self::Context) {
        self.position.set(position);
        let Some(member) = self.sockets.borrow().get(&socket).cloned() else { return };
        member.entered.set(true);
        let by_room = self.namespaces.entry(Arc::clone(&member.namespace)).or_default();
        for room in rooms {
            by_room.entry(Arc::clone(&room)).or_default().insert(socket, Rc::clone(&member));
            let mut own = member.rooms.borrow_mut();
            if !own.contains(&room) {
                own.push(room);
            }
        }
    }
}

impl Handler<Detach> for Outlet {
    type Result = ();

    fn handle(&mut self, Detach { socket, room }: Detach, _: &mut Self::Context) {
        if let Some(room) = room {
            let Some(member) = self.sockets.borrow().get(&socket).cloned() else { return };
            member.rooms.borrow_mut().retain(|own| *own != room);
            self.leave(socket, &member.namespace, &room);
            return;
        }
        let Some(member) = self.sockets.borrow_mut().remove(&socket) else { return };
        for room in member.rooms.take() {
            self.leave(socket, &member.namespace, &room);
        }
    }
}

impl Handler<Deliver> for Outlet {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        for event in &deliver.events {
            self.deliver(event);
        }
    }
}

impl Handler<Forward> for Outlet {
    type Result = ();

    fn handle(&mut self, Forward { socket, what }: Forward, _: &mut Self::Context) {
        let Some(member) = self.sockets.borrow().get(&socket).cloned() else { return };
        let frame = match what {
            Outgoing::Frame(frame) => frame,
            Outgoing::Event { name, data, attachments } if attachments.is_empty() => {
                member.link.protocol.volatile(&member.namespace, &name, &data, self.position.get())
            }
            Outgoing::Event { name, data, attachments } => member.link.protocol.binary(&member.namespace, &name, &data, &attachments),
        };
        self.queue(&member, frame);
    }
}

impl Handler<TakeOver> for Outlet {
    type Result = ();

    fn handle(&mut self, TakeOver(socket): TakeOver, _: &mut Self::Context) {
        let Some(member) = self.sockets.borrow_mut().remove(&socket) else { return };
        member.link.cut(Reason::TakenOver);
        for room in member.rooms.take() {
            self.leave(socket, &member.namespace, &room);
        }
    }
}

impl Handler<Drain> for Outlet {
    type Result = ();

    /// Tells every socket, then closes the connections in ten batches, so that not all clients come back at once.
    fn handle(&mut self, Drain { within }: Drain, _: &mut Self::Context) {
        let members: Vec<_> = self.sockets.borrow().values().cloned().collect();
        let hint = r#"{"reconnectAfterMs":1000}"#;
        for member in members {
            let frame = member.link.protocol.event(&member.namespace, "server:shutdown", hint, None);
            self.queue(&member, frame);
        }
        self.flush();
        let links = self.deadlines.links();
        let size = links.len().div_ceil(BATCHES).max(64);
        // The last batch leaves with time to spare for its goodbyes.
        let pause = within / 12;
        actix_rt::spawn(async move {
            for (round, batch) in links.chunks(size).enumerate() {
                if round > 0 {
                    tokio::time::sleep(pause).await;
                }
                for link in batch {
                    link.close(Reason::Shutdown);
                }
            }
        });
    }
}

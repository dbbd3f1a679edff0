//! One actor a worker thread: that thread's sockets by room, and the writes to them. It takes one
//! [`Deliver`] per batch from the hub, puts the shared frame on each queue, and writes each touched
//! socket once when its mailbox is empty (or after [`FLUSH_EVERY`] frames).
//!
//! Acks and events both come through this mailbox, so a socket sees them in the order the hub and
//! its gateway made them.

mod messages;
mod worker;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::fut::ActorFuture;
use actix::prelude::*;
use bytes::Bytes;
use indexmap::IndexMap;

pub(super) use messages::{
    Attach, Deliver, Detach, Drain, Forward, Outgoing, Roll, TakeOver, Then,
};
pub(super) use worker::Worker;
use worker::{Held, Member, Sockets};

use super::Reason;
use super::client::Goodbye;
use super::deadlines::Deadlines;
use super::frame::{Event, Protocol};
use super::hub::SocketId;
use super::link::Link;
use super::payload::Payload;
use super::recovery::Position;
use super::session::Call;
use super::settings::Aliases;

/// Frames queued before a write, when the mailbox does not run empty: about a millisecond of
/// queueing.
const FLUSH_EVERY: usize = 16_384;

/// A drain closes connections in at most so many batches.
const BATCHES: usize = 10;

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
        // Its messages are bounded by the hub's budget, not by a mailbox that would make the hub
        // wait.
        ctx.set_mailbox_capacity(usize::MAX >> 8);
        ctx.spawn(FlushAfterMailbox);
    }
}

/// A context polls its futures after its mailbox: this one never ends, and writes what the messages
/// queued.
struct FlushAfterMailbox;

impl ActorFuture<Outlet> for FlushAfterMailbox {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        outlet: &mut Outlet,
        _: &mut Context<Outlet>,
        _: &mut task::Context<'_>,
    ) -> Poll<()> {
        outlet.flush();
        Poll::Pending
    }
}

impl Outlet {
    /// Whether it stands on the queue now.
    fn queue(&mut self, member: &Member, frame: Bytes) -> bool {
        if member.is_over.get() {
            return false;
        }
        let link = &member.link;
        if let Some(mut held) = member.held.take() {
            held.bytes += frame.len();
            let is_cut = held.bytes > self.outbox_limit;
            if is_cut {
                // It can come again, and reads what it missed from the log.
                *held = Held::default();
                link.cut(Reason::SlowConsumer);
            } else {
                held.frames.push(frame);
            }
            member.held.set(Some(held));
            return !is_cut;
        }
        let is_queued = link.push(frame);
        if !link.dirty.replace(true) {
            self.dirty.push(Rc::clone(link));
        }
        self.queued += 1;
        if self.queued >= FLUSH_EVERY {
            self.flush();
        }
        is_queued
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
        if let Some(own) = event.but.and_then(|but| self.sockets.borrow().get(&but).cloned()) {
            own.stamp.set(stamp);
        }
        // Who is not to get it counts as one who has it already.
        for member in
            event.except.iter().filter_map(|room| rooms.get(room)).flat_map(IndexMap::values)
        {
            member.stamp.set(stamp);
        }
        let mut targets: Vec<Rc<Member>> = Vec::new();
        if event.rooms.is_empty() {
            let sockets = self.sockets.borrow();
            let is_target = |member: &&Rc<Member>| {
                member.entered.get()
                    && member.namespace == event.namespace
                    && member.stamp.get() != stamp
            };
            let others = sockets.values().filter(is_target);
            targets.extend(others.cloned());
        } else {
            for room in event.rooms.iter().filter_map(|room| rooms.get(room)) {
                targets.extend(
                    room.values().filter(|member| member.stamp.replace(stamp) != stamp).cloned(),
                );
            }
        }
        let mut reached = 0;
        for member in targets {
            let frame = event.frame(member.link.protocol, self.aliases).clone();
            if event.is_volatile && !member.takes_at_once(&frame) {
                continue;
            }
            reached += usize::from(self.queue(&member, frame));
        }
        if let Some(tally) = event.tally() {
            tally.add(reached);
        }
    }

    /// This worker's sockets in that room, or in the namespace.
    fn members(
        &self,
        namespace: &Arc<str>,
        room: Option<&Arc<str>>,
    ) -> Vec<(SocketId, Rc<Member>)> {
        let known = |(socket, member): (&SocketId, &Rc<Member>)| (*socket, Rc::clone(member));
        if let Some(room) = room {
            let members = self.namespaces.get(namespace).and_then(|rooms| rooms.get(room));
            return members.into_iter().flatten().map(known).collect();
        }
        let sockets = self.sockets.borrow();
        sockets
            .iter()
            .filter(|(_, member)| member.entered.get() && member.namespace == *namespace)
            .map(known)
            .collect()
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
            Outgoing::Event { name, payload, is_volatile } => {
                let frame = member.link.protocol.unstored(
                    &member.namespace,
                    &name,
                    &payload,
                    self.position.get(),
                );
                if is_volatile && !member.takes_at_once(&frame) {
                    return;
                }
                frame
            }
            Outgoing::Shared { event, .. } => {
                event.frame(member.link.protocol, self.aliases).clone()
            }
            Outgoing::Question { name, payload, id } => {
                match member.link.protocol.question(&member.namespace, &name, &payload, id) {
                    Some(frame) => frame,
                    None => return,
                }
            }
            Outgoing::Goodbye(goodbye) => return member.end(socket, goodbye),
            Outgoing::Signal(signal) => return member.call(Call::signal(socket, signal)),
        };
        self.queue(&member, frame);
    }
}

impl Handler<Roll> for Outlet {
    type Result = ();

    fn handle(&mut self, Roll { namespace, room, then }: Roll, _: &mut Self::Context) {
        for (socket, member) in self.members(&namespace, room.as_ref()) {
            match &then {
                Then::Name(names) => {
                    // Who asked may have gone.
                    let _ = names.send(socket);
                }
                Then::End(close) => member.end(socket, Goodbye::kick(*close)),
                Then::Signal(signal) => member.call(Call::signal(socket, Arc::clone(signal))),
            }
        }
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

    /// Tells every socket, then closes the connections in ten batches, so that not all clients come
    /// back at once.
    fn handle(&mut self, Drain { within }: Drain, _: &mut Self::Context) {
        let members: Vec<_> = self.sockets.borrow().values().cloned().collect();
        let hint = Payload::json(r#"{"reconnectAfterMs":1000}"#);
        // On Engine.IO alone it would be a message of the program's.
        for member in
            members.into_iter().filter(|member| member.link.protocol != Protocol::EngineIo)
        {
            let frame =
                member.link.protocol.event(&member.namespace, "server:shutdown", &hint, None);
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

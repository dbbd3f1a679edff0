//! The fan-out: the actor that writes to this worker's sockets. It takes one [`Deliver`] per batch
//! from the hub, puts the shared frame on each queue, and writes to each socket once when its
//! mailbox is empty (or after [`FLUSH_EVERY`] frames).
//!
//! Acks and events both pass this mailbox, so a socket gets them in the order in which the hub and
//! its gateway made them.

use std::cell::Cell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::fut::ActorFuture;
use actix::prelude::*;
use indexmap::IndexMap;

use super::session_actor::{GatewayCall, SessionActor};
use super::sockets::{PendingFrames, Sockets, WorkerSocket};
use crate::connection::connection::Connection;
use crate::connection::deadlines::Deadlines;
use crate::connection::writer::QueuedFrame;
use crate::core::event::Event;
use crate::core::ids::SocketId;
use crate::core::payload::Payload;
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::core::recovery::Position;
use crate::core::settings::{Aliases, Settings};
use crate::hub::workers::{
    Deliver, Disconnect, Drain, EnterRooms, LeaveRooms, Outgoing, SelectSockets, SendTo,
    SocketAction, TakeOver, WorkerActor,
};

/// While messages keep coming, the fan-out writes after this many queued frames. Queueing them
/// takes about a millisecond.
const FLUSH_EVERY: usize = 16_384;

/// A drain closes the connections in at most this many batches.
const BATCHES: usize = 10;

type RoomSockets<S> = IndexMap<SocketId, Rc<WorkerSocket<S>>>;

pub(super) struct Fanout<S: SessionActor> {
    position: Rc<Cell<Position>>,
    sockets: Rc<Sockets<S>>,
    /// The sockets of each room, by namespace, then by room.
    namespaces: HashMap<Arc<str>, HashMap<Arc<str>, RoomSockets<S>>>,
    to_flush: Vec<Rc<Connection>>,
    queued: usize,
    /// The number of the current event, so that it reaches each socket once.
    stamp: u64,
    aliases: Aliases,
    greeting: Option<&'static str>,
    outbox_limit: usize,
    deadlines: Rc<Deadlines<Connection>>,
}

impl<S: SessionActor> Actor for Fanout<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The hub's budget bounds the messages; a bounded mailbox would make the hub wait.
        ctx.set_mailbox_capacity(usize::MAX >> 8);
        ctx.spawn(FlushAfterMailbox);
    }
}

impl<S: SessionActor> WorkerActor for Fanout<S> {}

/// A future that never ends. A context polls its futures after its mailbox, so this one writes the
/// frames that the messages have queued.
struct FlushAfterMailbox;

impl<S: SessionActor> ActorFuture<Fanout<S>> for FlushAfterMailbox {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        fanout: &mut Fanout<S>,
        _: &mut Context<Fanout<S>>,
        _: &mut task::Context<'_>,
    ) -> Poll<()> {
        fanout.flush();
        Poll::Pending
    }
}

impl<S: SessionActor> Fanout<S> {
    pub(super) fn new(
        settings: &Settings,
        sockets: Rc<Sockets<S>>,
        position: Rc<Cell<Position>>,
        deadlines: Rc<Deadlines<Connection>>,
    ) -> Self {
        Self {
            position,
            sockets,
            namespaces: HashMap::new(),
            to_flush: Vec::new(),
            queued: 0,
            stamp: 0,
            aliases: settings.aliases,
            greeting: settings.greeting,
            outbox_limit: settings.outbox_limit,
            deadlines,
        }
    }

    /// Returns true if the frame was queued, or is held until the socket has entered.
    fn queue(&mut self, socket: &WorkerSocket<S>, frame: impl Into<QueuedFrame>) -> bool {
        if socket.is_ending.get() {
            return false;
        }
        let connection = &socket.connection;
        if let Some(mut pending) = socket.pending.take() {
            let is_held = pending.hold(frame.into(), self.outbox_limit);
            if !is_held {
                // The client may resume, and then gets these events from the log.
                *pending = PendingFrames::default();
                connection.abort(DisconnectReason::SlowConsumer);
            }
            socket.pending.set(Some(pending));
            return is_held;
        }
        let is_queued = connection.push(frame);
        if connection.mark_for_flush() {
            self.to_flush.push(Rc::clone(connection));
        }
        self.queued += 1;
        if self.queued >= FLUSH_EVERY {
            self.flush();
        }
        is_queued
    }

    fn frame(&self, event: &Event, protocol: Protocol) -> QueuedFrame {
        let bytes = event.frame(protocol, self.aliases).clone();
        let repeated = event.repeated(&bytes, protocol, self.aliases);
        QueuedFrame { bytes, version_of: event.version_of, repeated }
    }

    fn flush(&mut self) {
        self.queued = 0;
        let mut marked = std::mem::take(&mut self.to_flush);
        for connection in marked.drain(..) {
            connection.flush_marked();
        }
        // Keeps the capacity for the next round.
        self.to_flush = marked;
    }

    fn deliver(&mut self, event: &Event) {
        if let Some(position) = event.position() {
            self.position.set(position);
        }
        let Some(rooms) = self.namespaces.get(&event.namespace) else { return };
        self.stamp += 1;
        let stamp = self.stamp;
        if let Some(own) = event.except_socket.and_then(|socket| self.sockets.get(socket)) {
            own.stamp.set(stamp);
        }
        // Excluded sockets are marked as done, so that they are skipped below.
        let left_out = event.except.iter().filter_map(|room| rooms.get(room));
        for socket in left_out.flat_map(IndexMap::values) {
            socket.stamp.set(stamp);
        }
        let mut targets: Vec<Rc<WorkerSocket<S>>> = Vec::new();
        if event.rooms.is_empty() {
            let sockets = self.sockets.0.borrow();
            let is_target = |socket: &&Rc<WorkerSocket<S>>| {
                socket.has_entered.get()
                    && socket.namespace == event.namespace
                    && socket.stamp.get() != stamp
            };
            targets.extend(sockets.values().filter(is_target).cloned());
        } else {
            for room in event.rooms.iter().filter_map(|room| rooms.get(room)) {
                let is_new = |socket: &&Rc<WorkerSocket<S>>| socket.stamp.replace(stamp) != stamp;
                targets.extend(room.values().filter(is_new).cloned());
            }
        }
        let mut reached = 0;
        let greets = self.greeting == Some(event.name());
        for socket in targets {
            if greets {
                socket.is_greeted.set(true);
            }
            let frame = self.frame(event, socket.connection.protocol);
            if event.is_volatile && !socket.can_write_now(&frame.bytes) {
                continue;
            }
            reached += usize::from(self.queue(&socket, frame));
        }
        if let Some(tally) = event.tally() {
            tally.add(reached);
        }
    }

    /// Returns this worker's sockets of a room or, without one, of the namespace.
    fn members(
        &self,
        namespace: &Arc<str>,
        room: Option<&Arc<str>>,
    ) -> Vec<(SocketId, Rc<WorkerSocket<S>>)> {
        let pair = |(id, socket): (&SocketId, &Rc<WorkerSocket<S>>)| (*id, Rc::clone(socket));
        if let Some(room) = room {
            let members = self.namespaces.get(namespace).and_then(|rooms| rooms.get(room));
            return members.into_iter().flatten().map(pair).collect();
        }
        let sockets = self.sockets.0.borrow();
        let is_member = |(_, socket): &(&SocketId, &Rc<WorkerSocket<S>>)| {
            socket.has_entered.get() && socket.namespace == *namespace
        };
        sockets.iter().filter(is_member).map(pair).collect()
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

    fn remove(&mut self, socket: SocketId) -> Option<Rc<WorkerSocket<S>>> {
        let own = self.sockets.0.borrow_mut().remove(&socket)?;
        for room in own.rooms.take() {
            self.leave(socket, &own.namespace, &room);
        }
        Some(own)
    }
}

impl<S: SessionActor> Handler<EnterRooms> for Fanout<S> {
    type Result = ();

    fn handle(&mut self, enter: EnterRooms, _: &mut Self::Context) {
        let EnterRooms { socket, rooms, position } = enter;
        self.position.set(position);
        let Some(own) = self.sockets.get(socket) else { return };
        own.has_entered.set(true);
        let by_room = self.namespaces.entry(Arc::clone(&own.namespace)).or_default();
        for room in rooms {
            by_room.entry(Arc::clone(&room)).or_default().insert(socket, Rc::clone(&own));
            let mut own_rooms = own.rooms.borrow_mut();
            if !own_rooms.contains(&room) {
                own_rooms.push(room);
            }
        }
    }
}

impl<S: SessionActor> Handler<LeaveRooms> for Fanout<S> {
    type Result = ();

    fn handle(&mut self, LeaveRooms { socket, room }: LeaveRooms, _: &mut Self::Context) {
        let Some(room) = room else {
            self.remove(socket);
            return;
        };
        let Some(own) = self.sockets.get(socket) else { return };
        own.rooms.borrow_mut().retain(|own| *own != room);
        self.leave(socket, &own.namespace, &room);
    }
}

impl<S: SessionActor> Handler<Deliver> for Fanout<S> {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        for event in &deliver.events {
            self.deliver(event);
        }
    }
}

impl<S: SessionActor> Handler<SendTo> for Fanout<S> {
    type Result = ();

    fn handle(&mut self, SendTo { socket, what }: SendTo, _: &mut Self::Context) {
        let Some(own) = self.sockets.get(socket) else { return };
        let protocol = own.connection.protocol;
        let frame = match what {
            Outgoing::Frame(frame) => frame,
            Outgoing::Event { name, payload, is_volatile } => {
                let position = self.position.get();
                let frame = protocol.transient_event(&own.namespace, &name, &payload, position);
                if is_volatile && !own.can_write_now(&frame) {
                    return;
                }
                frame
            }
            Outgoing::Greeting(payload, _queued) => {
                let Some(name) = self.greeting.filter(|_| !own.is_greeted.replace(true)) else {
                    return;
                };
                protocol.transient_event(&own.namespace, name, &payload, self.position.get())
            }
            Outgoing::Shared { event, .. } => {
                let frame = self.frame(&event, protocol);
                self.queue(&own, frame);
                return;
            }
            Outgoing::RequestAck { name, payload, id } => {
                match protocol.event_with_ack(&own.namespace, &name, &payload, id) {
                    Some(frame) => frame,
                    None => return,
                }
            }
            Outgoing::Disconnect(disconnect) => return own.disconnect(socket, disconnect),
            Outgoing::Notice(notice) => {
                return own.call_gateway(socket, GatewayCall::Notified(notice));
            }
        };
        self.queue(&own, frame);
    }
}

impl<S: SessionActor> Handler<SelectSockets> for Fanout<S> {
    type Result = ();

    fn handle(&mut self, select: SelectSockets, _: &mut Self::Context) {
        let SelectSockets { namespace, room, action } = select;
        for (socket, own) in self.members(&namespace, room.as_ref()) {
            match &action {
                SocketAction::Report(found) => {
                    // The caller may have stopped waiting.
                    let _ = found.send(socket);
                }
                SocketAction::Disconnect(close) => own.disconnect(socket, Disconnect::new(*close)),
                SocketAction::Notify(notice) => {
                    own.call_gateway(socket, GatewayCall::Notified(Arc::clone(notice)));
                }
            }
        }
    }
}

impl<S: SessionActor> Handler<TakeOver> for Fanout<S> {
    type Result = ();

    fn handle(&mut self, TakeOver(socket): TakeOver, _: &mut Self::Context) {
        if let Some(own) = self.remove(socket) {
            own.connection.abort(DisconnectReason::TakenOver);
        }
    }
}

impl<S: SessionActor> Handler<Drain> for Fanout<S> {
    type Result = ();

    /// Sends every socket `server:shutdown`, then closes the connections in ten batches, so that
    /// not all clients reconnect at once.
    fn handle(&mut self, Drain { within }: Drain, _: &mut Self::Context) {
        let sockets: Vec<_> = self.sockets.0.borrow().values().cloned().collect();
        let hint = Payload::json(r#"{"reconnectAfterMs":1000}"#);
        for own in sockets {
            let protocol = own.connection.protocol;
            // On bare Engine.IO clients would take it for an application message.
            if protocol != Protocol::EngineIo {
                let frame = protocol.event(&own.namespace, "server:shutdown", &hint, None);
                self.queue(&own, frame);
            }
        }
        self.flush();
        let connections = self.deadlines.all();
        let size = connections.len().div_ceil(BATCHES).max(64);
        // The pause leaves time for the close frames of the last batch.
        let pause = within / 12;
        actix_rt::spawn(async move {
            for (round, batch) in connections.chunks(size).enumerate() {
                if round > 0 {
                    tokio::time::sleep(pause).await;
                }
                for connection in batch {
                    connection.close(DisconnectReason::Shutdown);
                }
            }
        });
    }
}

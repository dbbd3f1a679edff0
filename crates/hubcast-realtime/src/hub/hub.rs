//! The hub's actor: its tables, the steps that several operations share, and the routing of events.

use std::collections::HashMap;
use std::num::NonZeroI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use smallvec::SmallVec;

use super::presence::{Gone, Presence, RoomKey};
use super::tail::Tail;
use super::workers::{Deliver, LeaveRooms, Outgoing, SendTo, SharedPermit, WorkerHandle};
use crate::core::activity::Activity;
use crate::core::event::Event;
use crate::core::ids::{SocketId, WorkerId};
use crate::core::recovery::Position;
use crate::core::settings::PresenceSettings;

/// Whether a socket in a room counts as present there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// The room is only a way to reach the socket.
    Hidden,
    /// The socket's user is present in the room.
    Visible,
}

/// Rooms that a socket was removed from while it was entering. The hub adds them; the socket's
/// replay and the hub itself skip these rooms.
#[derive(Clone, Default)]
pub(crate) struct RemovedRooms(Arc<Mutex<Vec<Arc<str>>>>);

impl RemovedRooms {
    fn add(&self, room: &Arc<str>) {
        self.rooms().push(Arc::clone(room));
    }

    pub(crate) fn has(&self, room: &str) -> bool {
        self.rooms().iter().any(|removed| **removed == *room)
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        // A panic cannot leave a half-done push, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hub's record of one socket.
pub(super) struct HubSocket {
    pub(super) worker: WorkerId,
    pub(super) namespace: Arc<str>,
    pub(super) sid: Arc<str>,
    pub(super) user: Option<Arc<str>>,
    pub(super) connection_no: Option<NonZeroI64>,
    pub(super) activity: Activity,
    /// Whether it is being disconnected, because its user has too many.
    pub(super) is_surplus: bool,
    pub(super) stage: SocketStage,
}

pub(super) enum SocketStage {
    /// The socket is registered; its rooms follow when it enters.
    Entering(RemovedRooms),
    Entered(SmallVec<[JoinedRoom; 2]>),
}

impl SocketStage {
    /// Returns the socket's rooms, or none before it has entered.
    fn rooms(&self) -> &[JoinedRoom] {
        match self {
            Self::Entering(_) => &[],
            Self::Entered(rooms) => rooms,
        }
    }
}

pub(super) struct JoinedRoom {
    pub(super) room: Arc<str>,
    pub(super) visibility: Visibility,
}

/// The number of a room's members on each worker.
type WorkerCounts = SmallVec<[(WorkerId, u32); 2]>;

/// Each user's sockets.
type Users = HashMap<Arc<str>, SmallVec<[SocketId; 2]>>;

/// Events for one worker, in order.
type Batch = SmallVec<[Arc<Event>; 1]>;

pub(super) struct Hub {
    pub(super) workers: HashMap<WorkerId, WorkerHandle>,
    pub(super) sockets: HashMap<SocketId, HubSocket>,
    /// The socket of each sid.
    pub(super) sids: HashMap<Arc<str>, SocketId>,
    /// The members of each room, by namespace, then by room.
    pub(super) rooms: HashMap<Arc<str>, HashMap<Arc<str>, WorkerCounts>>,
    /// The sockets of each user, by namespace, then by user.
    pub(super) users: HashMap<Arc<str>, Users>,
    pub(super) presence: Presence,
    /// The number of sockets by namespace. A namespace without sockets remains with 0.
    pub(super) sockets_of: HashMap<Arc<str>, usize>,
    /// The number of events routed since the start.
    pub(super) routed: u64,
    /// The last stored event that was routed.
    pub(super) position: Position,
    pub(super) tail: Arc<Tail>,
    /// Whether a timer is set that publishes the collected changes of presence.
    is_collecting: bool,
    /// Whether a timer is set for the next lost connection that counts as a leave.
    is_lapsing: bool,
}

impl Actor for Hub {
    type Context = Context<Self>;
}

impl Hub {
    pub(super) fn new(presence: PresenceSettings, tail: Arc<Tail>) -> Self {
        Self {
            workers: HashMap::new(),
            sockets: HashMap::new(),
            sids: HashMap::new(),
            rooms: HashMap::new(),
            users: HashMap::new(),
            presence: Presence::new(presence),
            sockets_of: HashMap::new(),
            routed: 0,
            position: Position::default(),
            tail,
            is_collecting: false,
            is_lapsing: false,
        }
    }

    /// Adds one to the room's members on this worker. Returns the room's name as a shared string,
    /// so that all its members hold the same one.
    pub(super) fn count_in(
        &mut self,
        namespace: &Arc<str>,
        room: Arc<str>,
        worker: WorkerId,
    ) -> Arc<str> {
        let entry = self.rooms.entry(Arc::clone(namespace)).or_default().entry(room);
        let room = Arc::clone(entry.key());
        let counts = entry.or_default();
        match counts.iter_mut().find(|(id, _)| *id == worker) {
            Some((_, members)) => *members += 1,
            None => counts.push((worker, 1)),
        }
        room
    }

    fn count_out(&mut self, namespace: &Arc<str>, room: &Arc<str>, worker: WorkerId) {
        let Some(rooms) = self.rooms.get_mut(namespace) else { return };
        let Some(counts) = rooms.get_mut(room) else { return };
        if let Some(at) = counts.iter().position(|(id, _)| *id == worker) {
            // `at` was found in this list.
            counts[at].1 -= 1;
            if counts[at].1 == 0 {
                counts.swap_remove(at);
            }
        }
        if counts.is_empty() {
            rooms.remove(room);
        }
    }

    /// Removes a socket from the tables. Returns its worker, whose own table still has it.
    pub(super) fn remove(&mut self, socket: SocketId, gone: Gone) -> Option<WorkerId> {
        let entry = self.sockets.remove(&socket)?;
        if let Some(sockets) = self.sockets_of.get_mut(&entry.namespace) {
            *sockets = sockets.saturating_sub(1);
        }
        if self.sids.get(&entry.sid) == Some(&socket) {
            self.sids.remove(&entry.sid);
        }
        for JoinedRoom { room, visibility } in entry.stage.rooms() {
            self.count_out(&entry.namespace, room, entry.worker);
            if let (Some(user), Visibility::Visible) = (&entry.user, visibility) {
                let key = (Arc::clone(&entry.namespace), Arc::clone(room));
                self.presence.leave(&key, user, gone);
            }
        }
        if let (Some(user), Some(users)) = (&entry.user, self.users.get_mut(&entry.namespace))
            && let Some(sockets) = users.get_mut(user)
        {
            sockets.retain(|own| *own != socket);
            if sockets.is_empty() {
                users.remove(user);
            }
        }
        Some(entry.worker)
    }

    /// Removes one socket from one room. Returns `None` if the socket is not in the room, or has
    /// not entered yet.
    pub(super) fn take_out(&mut self, socket: SocketId, room: &Arc<str>) -> Option<RoomKey> {
        let entry = self.sockets.get_mut(&socket)?;
        let rooms = match &mut entry.stage {
            SocketStage::Entered(rooms) => rooms,
            SocketStage::Entering(removed) => {
                removed.add(room);
                return None;
            }
        };
        let at = rooms.iter().position(|joined| joined.room == *room)?;
        let joined = rooms.swap_remove(at);
        let (worker, namespace, user) =
            (entry.worker, Arc::clone(&entry.namespace), entry.user.clone());
        self.count_out(&namespace, room, worker);
        if let Some(worker) = self.workers.get(&worker) {
            worker.leave.do_send(LeaveRooms { socket, room: Some(Arc::clone(room)) });
        }
        let key = (namespace, joined.room);
        if let (Some(user), Visibility::Visible) = (&user, joined.visibility) {
            self.presence.leave(&key, user, Gone::Left);
        }
        Some(key)
    }

    pub(super) fn sockets_of_user(&self, namespace: &str, user: &str) -> SmallVec<[SocketId; 2]> {
        self.users.get(namespace).and_then(|users| users.get(user)).cloned().unwrap_or_default()
    }

    pub(super) fn send_to(&self, socket: SocketId, what: Outgoing) {
        let worker = self.sockets.get(&socket).and_then(|entry| self.workers.get(&entry.worker));
        if let Some(worker) = worker {
            worker.send.do_send(SendTo { socket, what });
        }
    }

    /// Sets the timers that publish the changes of presence, now or later.
    pub(super) fn watch_presence(&mut self, ctx: &mut Context<Self>) {
        if self.presence.has_news() && !self.is_collecting {
            self.is_collecting = true;
            ctx.run_later(self.presence.settings.collect, |hub, _| {
                hub.is_collecting = false;
                let events = hub.presence.news().into_iter().map(Arc::new).collect();
                hub.route(events, None);
            });
        }
        if let (Some(at), false) = (self.presence.next_lapse(), self.is_lapsing) {
            self.is_lapsing = true;
            let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            ctx.run_later(wait, |hub, ctx| {
                hub.is_lapsing = false;
                hub.presence.lapse(Instant::now());
                hub.watch_presence(ctx);
            });
        }
    }

    fn targets(&self, event: &Event) -> SmallVec<[WorkerId; 8]> {
        if event.rooms.is_empty() {
            return self.workers.keys().copied().collect();
        }
        let mut targets = SmallVec::new();
        let Some(rooms) = self.rooms.get(&event.namespace) else { return targets };
        for (worker, _) in event.rooms.iter().filter_map(|room| rooms.get(room)).flatten() {
            if !targets.contains(worker) {
                targets.push(*worker);
            }
        }
        targets
    }

    /// Sends events to the workers that have sockets for them, one message per worker.
    pub(super) fn route(&mut self, events: Vec<Arc<Event>>, permit: Option<&SharedPermit>) {
        self.routed += events.len() as u64;
        let mut batches: SmallVec<[(WorkerId, Batch); 8]> = SmallVec::new();
        for event in events {
            match event.position() {
                Some(position) => {
                    self.position = position;
                    self.tail.push(position.id, &event);
                }
                None => event.routed_at(self.position),
            }
            for worker in self.targets(&event) {
                match batches.iter_mut().find(|(id, _)| *id == worker) {
                    Some((_, batch)) => batch.push(Arc::clone(&event)),
                    None => batches.push((worker, Batch::from_iter([Arc::clone(&event)]))),
                }
            }
        }
        for (worker, events) in batches {
            if let Some(worker) = self.workers.get(&worker) {
                worker.deliver.do_send(Deliver { events, permit: permit.cloned() });
            }
        }
    }
}

//! The actor itself: its tables, and what each message does to them. `whom`: what is meant for
//! certain sockets; `census`: how many there are.

mod census;
mod whom;

use std::collections::HashMap;
use std::num::NonZeroI64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use smallvec::SmallVec;

use super::messages::{
    Arrive, Barred, Begin, Disconnect, Enter, Entered, Entrance, Join, Leave, Publish, WorkerUp,
};
use super::{Event, Outlet, Share, SocketId, WorkerId};
use crate::outlet::{Attach, Deliver, Detach, Drain, TakeOver};
use crate::presence::{Gone, Place, Presence, PresenceSettings};
use crate::recovery::Position;
use crate::tail::Tail;
use census::Counts;

struct Entry {
    worker: WorkerId,
    namespace: Arc<str>,
    sid: Arc<str>,
    user: Option<Arc<str>>,
    attachment: Option<NonZeroI64>,
    way: Way,
}

enum Way {
    /// It is on its way in. Rooms that it is put out of meanwhile; its replay looks at them too.
    Coming(Barred),
    In(SmallVec<[Stay; 2]>),
}

impl Way {
    /// Its rooms, once it is in.
    fn stays(&self) -> &[Stay] {
        match self {
            Self::Coming(_) => &[],
            Self::In(stays) => stays,
        }
    }
}

/// A socket in a room.
struct Stay {
    room: Arc<str>,
    entrance: Entrance,
}

/// Members of a room per worker.
type Spread = SmallVec<[(WorkerId, u32); 2]>;

/// Each user's sockets.
type Users = HashMap<Arc<str>, SmallVec<[SocketId; 2]>>;

/// Events for one worker, in order.
type Batch = SmallVec<[Arc<Event>; 1]>;

pub(super) struct Hub {
    workers: HashMap<WorkerId, Addr<Outlet>>,
    sockets: HashMap<SocketId, Entry>,
    /// By the name that a client knows.
    sids: HashMap<Arc<str>, SocketId>,
    /// By namespace, then by room.
    rooms: HashMap<Arc<str>, HashMap<Arc<str>, Spread>>,
    /// By namespace, then by user.
    users: HashMap<Arc<str>, Users>,
    presence: Presence,
    counts: Counts,
    /// The last event that was routed.
    position: Position,
    tail: Arc<Tail>,
    /// Changes are being collected; they go out when this timer ends.
    collecting: bool,
    /// A timer is set for the next lost line that counts as a leave.
    lapsing: bool,
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
            position: Position::default(),
            tail,
            rooms: HashMap::new(),
            users: HashMap::new(),
            presence: Presence::new(presence),
            counts: Counts::default(),
            collecting: false,
            lapsing: false,
        }
    }

    /// Gives the room's name as all its members hold it: one text for them all.
    fn enter(&mut self, namespace: &Arc<str>, room: Arc<str>, worker: WorkerId) -> Arc<str> {
        let entry = self.rooms.entry(Arc::clone(namespace)).or_default().entry(room);
        let room = Arc::clone(entry.key());
        let spread = entry.or_default();
        match spread.iter_mut().find(|(id, _)| *id == worker) {
            Some((_, members)) => *members += 1,
            None => spread.push((worker, 1)),
        }
        room
    }

    fn exit(&mut self, namespace: &Arc<str>, room: &Arc<str>, worker: WorkerId) {
        let Some(rooms) = self.rooms.get_mut(namespace) else { return };
        let Some(spread) = rooms.get_mut(room) else { return };
        if let Some(at) = spread.iter().position(|(id, _)| *id == worker) {
            // `at` was found in this very list.
            spread[at].1 -= 1;
            if spread[at].1 == 0 {
                spread.swap_remove(at);
            }
        }
        if spread.is_empty() {
            rooms.remove(room);
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

    fn tell<M>(&self, worker: WorkerId, message: M)
    where
        Outlet: Handler<M>,
        M: Message<Result = ()> + Send + 'static,
    {
        if let Some(outlet) = self.workers.get(&worker) {
            outlet.do_send(message);
        }
    }
}

impl Handler<WorkerUp> for Hub {
    type Result = ();

    /// A worker whose thread died has taken its sockets along: they are forgotten when its
    /// successor comes.
    fn handle(&mut self, WorkerUp { worker, outlet }: WorkerUp, ctx: &mut Self::Context) {
        self.workers.insert(worker, outlet);
        let dead: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, outlet)| !outlet.connected())
            .map(|(id, _)| *id)
            .collect();
        for id in dead {
            self.workers.remove(&id);
            let gone: Vec<_> = self
                .sockets
                .iter()
                .filter(|(_, entry)| entry.worker == id)
                .map(|(socket, _)| *socket)
                .collect();
            for socket in gone {
                self.forget(socket, Gone::Lost);
            }
        }
        self.watch(ctx);
    }
}

impl Hub {
    fn forget(&mut self, socket: SocketId, gone: Gone) -> Option<WorkerId> {
        let entry = self.sockets.remove(&socket)?;
        self.counts.left(&entry.namespace);
        if self.sids.get(&entry.sid) == Some(&socket) {
            self.sids.remove(&entry.sid);
        }
        for stay in entry.way.stays() {
            self.exit(&entry.namespace, &stay.room, entry.worker);
            if let (Some(user), Entrance::Seen) = (&entry.user, stay.entrance) {
                self.presence.leave(
                    &(Arc::clone(&entry.namespace), Arc::clone(&stay.room)),
                    user,
                    gone,
                );
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

    /// Takes one socket out of one room, if it is there.
    fn put_out(&mut self, socket: SocketId, room: &Arc<str>) -> Option<Place> {
        let entry = self.sockets.get_mut(&socket)?;
        let rooms = match &mut entry.way {
            Way::In(rooms) => rooms,
            Way::Coming(barred) => {
                barred.add(room);
                return None;
            }
        };
        let at = rooms.iter().position(|stay| stay.room == *room)?;
        let stay = rooms.swap_remove(at);
        let (worker, namespace, user) =
            (entry.worker, Arc::clone(&entry.namespace), entry.user.clone());
        self.exit(&namespace, room, worker);
        self.tell(worker, Detach { socket, room: Some(Arc::clone(room)) });
        let place = (namespace, stay.room);
        if let (Some(user), Entrance::Seen) = (&user, stay.entrance) {
            self.presence.leave(&place, user, Gone::Left);
        }
        Some(place)
    }

    /// Sees to it that what presence has to tell, now or later, is told.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        if self.presence.has_news() && !self.collecting {
            self.collecting = true;
            ctx.run_later(self.presence.settings.collect, |hub, _| {
                hub.collecting = false;
                let events = hub.presence.news().into_iter().map(Arc::new).collect();
                hub.route(events, None);
            });
        }
        if let (Some(at), false) = (self.presence.next_lapse(), self.lapsing) {
            self.lapsing = true;
            let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            ctx.run_later(wait, |hub, ctx| {
                hub.lapsing = false;
                hub.presence.lapse(Instant::now());
                hub.watch(ctx);
            });
        }
    }

    fn route(&mut self, events: Vec<Arc<Event>>, share: Option<&Share>) {
        self.counts.routed(events.len());
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
            self.tell(worker, Deliver { events, share: share.cloned() });
        }
    }
}

impl Handler<Begin> for Hub {
    type Result = ();

    fn handle(&mut self, Begin { position, last }: Begin, _: &mut Self::Context) {
        let first = last.first().and_then(Event::position);
        self.tail.begin(first.map_or(position.id, |first| first.id - 1));
        for event in last.into_iter().map(Arc::new) {
            if let Some(place) = event.position() {
                self.tail.push(place.id, &event);
            }
        }
        self.position = position;
    }
}

impl Handler<Arrive> for Hub {
    type Result = ();

    fn handle(&mut self, arrive: Arrive, ctx: &mut Self::Context) {
        let Arrive { socket, worker, namespace, sid, user, attachment, barred } = arrive;
        if let Some(older) = self.sids.insert(Arc::clone(&sid), socket)
            && let Some(worker) = self.forget(older, Gone::Lost)
        {
            self.tell(worker, TakeOver(older));
            self.watch(ctx);
        }
        self.counts.arrived(&namespace);
        if let Some(user) = &user {
            self.users
                .entry(Arc::clone(&namespace))
                .or_default()
                .entry(Arc::clone(user))
                .or_default()
                .push(socket);
        }
        self.sockets.insert(
            socket,
            Entry {
                worker,
                namespace,
                sid,
                user,
                attachment: attachment.and_then(NonZeroI64::new),
                way: Way::Coming(barred),
            },
        );
    }
}

impl Handler<Enter> for Hub {
    type Result = ();

    fn handle(&mut self, Enter { socket, mut rooms, done }: Enter, ctx: &mut Self::Context) {
        let Some(entry) = self.sockets.get_mut(&socket) else { return };
        if let Way::Coming(barred) = &entry.way {
            rooms.retain(|(room, _)| !barred.has(room));
        }
        let (worker, namespace, user) =
            (entry.worker, Arc::clone(&entry.namespace), entry.user.clone());
        let mut present = Vec::new();
        let mut stays: SmallVec<[Stay; 2]> = SmallVec::new();
        for (room, entrance) in rooms {
            let room = self.enter(&namespace, room, worker);
            if entrance == Entrance::Seen {
                let place = (Arc::clone(&namespace), Arc::clone(&room));
                if let Some(user) = &user {
                    self.presence.enter(&place, user);
                }
                present.push((Arc::clone(&room), self.presence.of(&place)));
            }
            stays.push(Stay { room, entrance });
        }
        let rooms = stays.iter().map(|stay| Arc::clone(&stay.room)).collect();
        if let Some(entry) = self.sockets.get_mut(&socket) {
            entry.way = Way::In(stays);
        }
        self.tell(worker, Attach { socket, rooms, position: self.position });
        self.watch(ctx);
        // The session may have ended while it waited; its Disconnect is on the way.
        let _ = done.send(Entered { position: self.position, present });
    }
}

impl Handler<Disconnect> for Hub {
    type Result = ();

    fn handle(&mut self, Disconnect { socket, lost }: Disconnect, ctx: &mut Self::Context) {
        let gone = if lost { Gone::Lost } else { Gone::Left };
        if let Some(worker) = self.forget(socket, gone) {
            self.tell(worker, Detach { socket, room: None });
        }
        self.watch(ctx);
    }
}

impl Handler<Join> for Hub {
    type Result = ();

    fn handle(&mut self, Join { socket, room, entrance, done }: Join, ctx: &mut Self::Context) {
        let Some(entry) = self.sockets.get(&socket) else { return };
        let (worker, place, user) =
            (entry.worker, (Arc::clone(&entry.namespace), Arc::clone(&room)), entry.user.clone());
        // Nobody has a handle on it before it is in.
        let Way::In(rooms) = &entry.way else { return };
        if !rooms.iter().any(|stay| stay.room == room) {
            let room = self.enter(&place.0, room, worker);
            if let Some(Entry { way: Way::In(rooms), .. }) = self.sockets.get_mut(&socket) {
                rooms.push(Stay { room: Arc::clone(&room), entrance });
            }
            self.tell(
                worker,
                Attach { socket, rooms: SmallVec::from_iter([room]), position: self.position },
            );
            if let (Some(user), Entrance::Seen) = (user, entrance) {
                self.presence.enter(&place, &user);
                self.watch(ctx);
            }
        }
        done(self.presence.of(&place));
    }
}

impl Handler<Leave> for Hub {
    type Result = ();

    fn handle(&mut self, Leave { socket, room, done }: Leave, ctx: &mut Self::Context) {
        // Who was not there is not told who is.
        let present = self.put_out(socket, &room).map(|place| self.presence.of(&place));
        self.watch(ctx);
        done(present.unwrap_or_default());
    }
}

impl Handler<Publish> for Hub {
    type Result = ();

    fn handle(&mut self, Publish { events, share, routed }: Publish, _: &mut Self::Context) {
        self.route(events, share.as_ref());
        routed();
    }
}

impl Handler<Drain> for Hub {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Self::Context) {
        for worker in self.workers.keys() {
            self.tell(*worker, drain);
        }
    }
}

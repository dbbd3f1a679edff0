//! The hub: one actor a process. It knows which socket is on which worker, and which workers have members of a room; it puts every event
//! before those workers' outlets, once each, and does work in proportion to them, not to the sockets.
//!
//! It never reads a database, never encodes, and never waits. Joining is authorised above it; leaving costs a socket its own rooms.
//! One room's events pass this one mailbox and then one outlet's, first in, first out: so all its members see one order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::frame::Event;
use super::outlet::{Attach, Deliver, Detach, Drain, Outlet};

/// One connection in one namespace, as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(u64);

/// One worker thread's outlet. A worker that was started anew has another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkerId(u64);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl SocketId {
    pub(super) fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A share of the budget of bytes in flight; dropping it gives it back.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

/// Anyone's way to the hub.
#[derive(Clone)]
pub struct HubHandle {
    hub: Addr<Hub>,
    budget: Arc<Semaphore>,
    budget_size: usize,
}

impl HubHandle {
    /// Starts the hub on a thread of its own. `budget`: bytes of events that may be between their publishers and the sockets' queues.
    #[must_use]
    pub fn start(budget: usize) -> Self {
        let arbiter = Arbiter::new();
        let hub = Hub::start_in_arbiter(&arbiter.handle(), |_| Hub::default());
        Self { hub, budget: Arc::new(Semaphore::new(budget)), budget_size: budget }
    }

    /// Waits for a share of the budget. Take it before the event is made, and tie it to the event ([`Event::with_share`]).
    pub async fn admit(&self, bytes: usize) -> Permit {
        // More than the whole would wait for ever; the whole is the most that one event can take.
        let bytes = u32::try_from(bytes.min(self.budget_size)).unwrap_or(u32::MAX);
        Permit(Arc::clone(&self.budget).acquire_many_owned(bytes).await.ok())
    }

    /// Routes events, in this order, behind all that were published before. `routed` runs when every outlet has them in its mailbox, so what a
    /// session sends from then on comes after them.
    pub fn publish(&self, events: Vec<Event>, routed: impl FnOnce() + Send + 'static) {
        self.hub.do_send(Publish { events: events.into_iter().map(Arc::new).collect(), routed: Box::new(routed) });
    }

    /// Routes one event and waits until that is done.
    pub async fn emit(&self, event: Event) {
        let (done, routed) = oneshot::channel();
        self.publish(vec![event], move || {
            let _ = done.send(());
        });
        // A hub that is gone has nobody to tell.
        let _ = routed.await;
    }

    /// Begins the end: every worker closes its sockets in batches within that time.
    pub fn drain(&self, within: Duration) {
        self.hub.do_send(Drain { within });
    }

    pub(super) fn worker(&self, outlet: &Addr<Outlet>) -> WorkerId {
        let worker = WorkerId(NEXT.fetch_add(1, Ordering::Relaxed));
        self.hub.do_send(WorkerUp { worker, outlet: outlet.clone() });
        worker
    }

    /// Enters a socket with its first rooms. When this returns, `hello` stands in its outlet's mailbox before any event.
    ///
    /// It is on its way before the future is polled, so that a [`HubHandle::disconnect`] of the same socket can not overtake it.
    pub(super) fn connect(
        &self,
        socket: SocketId,
        worker: WorkerId,
        namespace: Arc<str>,
        rooms: Vec<Arc<str>>,
        hello: Bytes,
    ) -> impl Future<Output = ()> + use<> {
        let (done, routed) = oneshot::channel();
        self.hub.do_send(Connect { socket, worker, namespace, rooms: SmallVec::from_vec(rooms), hello, done });
        async move {
            // A hub that is gone has nobody to wait for.
            let _ = routed.await;
        }
    }

    pub(super) fn disconnect(&self, socket: SocketId) {
        self.hub.do_send(Disconnect { socket });
    }

    pub(super) async fn join(&self, socket: SocketId, room: Arc<str>) {
        let (done, routed) = oneshot::channel();
        self.hub.do_send(Join { socket, room, done });
        let _ = routed.await;
    }

    pub(super) async fn leave(&self, socket: SocketId, room: Arc<str>) {
        let (done, routed) = oneshot::channel();
        self.hub.do_send(Leave { socket, room, done });
        let _ = routed.await;
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct WorkerUp {
    worker: WorkerId,
    outlet: Addr<Outlet>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Connect {
    socket: SocketId,
    worker: WorkerId,
    namespace: Arc<str>,
    rooms: SmallVec<[Arc<str>; 2]>,
    hello: Bytes,
    done: oneshot::Sender<()>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Disconnect {
    socket: SocketId,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Join {
    socket: SocketId,
    room: Arc<str>,
    done: oneshot::Sender<()>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Leave {
    socket: SocketId,
    room: Arc<str>,
    done: oneshot::Sender<()>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Publish {
    events: Vec<Arc<Event>>,
    routed: Box<dyn FnOnce() + Send>,
}

struct Entry {
    worker: WorkerId,
    namespace: Arc<str>,
    rooms: SmallVec<[Arc<str>; 2]>,
}

/// Members of a room per worker.
type Spread = SmallVec<[(WorkerId, u32); 2]>;

/// Events for one worker, in order.
type Batch = SmallVec<[Arc<Event>; 1]>;

#[derive(Default)]
struct Hub {
    workers: HashMap<WorkerId, Addr<Outlet>>,
    sockets: HashMap<SocketId, Entry>,
    /// By namespace, then by room.
    rooms: HashMap<Arc<str>, HashMap<Arc<str>, Spread>>,
}

impl Actor for Hub {
    type Context = Context<Self>;
}

impl Hub {
    fn enter(&mut self, namespace: &Arc<str>, room: &Arc<str>, worker: WorkerId) {
        let spread = self.rooms.entry(Arc::clone(namespace)).or_default().entry(Arc::clone(room)).or_default();
        match spread.iter_mut().find(|(id, _)| *id == worker) {
            Some((_, members)) => *members += 1,
            None => spread.push((worker, 1)),
        }
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

    /// A worker whose thread died has taken its sockets along: they are forgotten when its successor comes.
    fn handle(&mut self, WorkerUp { worker, outlet }: WorkerUp, _: &mut Self::Context) {
        self.workers.insert(worker, outlet);
        let dead: Vec<_> = self.workers.iter().filter(|(_, outlet)| !outlet.connected()).map(|(id, _)| *id).collect();
        for id in dead {
            self.workers.remove(&id);
            let gone: Vec<_> = self.sockets.iter().filter(|(_, entry)| entry.worker == id).map(|(socket, _)| *socket).collect();
            for socket in gone {
                self.forget(socket);
            }
        }
    }
}

impl Hub {
    fn forget(&mut self, socket: SocketId) -> Option<WorkerId> {
        let entry = self.sockets.remove(&socket)?;
        for room in &entry.rooms {
            self.exit(&entry.namespace, room, entry.worker);
        }
        Some(entry.worker)
    }
}

impl Handler<Connect> for Hub {
    type Result = ();

    fn handle(&mut self, Connect { socket, worker, namespace, rooms, hello, done }: Connect, _: &mut Self::Context) {
        for room in &rooms {
            self.enter(&namespace, room, worker);
        }
        self.tell(worker, Attach { socket, rooms: rooms.clone(), hello: Some(hello) });
        self.sockets.insert(socket, Entry { worker, namespace, rooms });
        // The session may have ended while it waited; its Disconnect is on the way.
        let _ = done.send(());
    }
}

impl Handler<Disconnect> for Hub {
    type Result = ();

    fn handle(&mut self, Disconnect { socket }: Disconnect, _: &mut Self::Context) {
        if let Some(worker) = self.forget(socket) {
            self.tell(worker, Detach { socket, room: None });
        }
    }
}

impl Handler<Join> for Hub {
    type Result = ();

    fn handle(&mut self, Join { socket, room, done }: Join, _: &mut Self::Context) {
        if let Some(entry) = self.sockets.get_mut(&socket)
            && !entry.rooms.contains(&room)
        {
            entry.rooms.push(Arc::clone(&room));
            let (worker, namespace) = (entry.worker, Arc::clone(&entry.namespace));
            self.enter(&namespace, &room, worker);
            self.tell(worker, Attach { socket, rooms: SmallVec::from_iter([room]), hello: None });
        }
        let _ = done.send(());
    }
}

impl Handler<Leave> for Hub {
    type Result = ();

    fn handle(&mut self, Leave { socket, room, done }: Leave, _: &mut Self::Context) {
        if let Some(entry) = self.sockets.get_mut(&socket)
            && let Some(at) = entry.rooms.iter().position(|own| *own == room)
        {
            entry.rooms.swap_remove(at);
            let (worker, namespace) = (entry.worker, Arc::clone(&entry.namespace));
            self.exit(&namespace, &room, worker);
            self.tell(worker, Detach { socket, room: Some(room) });
        }
        let _ = done.send(());
    }
}

impl Handler<Publish> for Hub {
    type Result = ();

    fn handle(&mut self, Publish { events, routed }: Publish, _: &mut Self::Context) {
        let mut batches: SmallVec<[(WorkerId, Batch); 8]> = SmallVec::new();
        for event in events {
            for worker in self.targets(&event) {
                match batches.iter_mut().find(|(id, _)| *id == worker) {
                    Some((_, batch)) => batch.push(Arc::clone(&event)),
                    None => batches.push((worker, Batch::from_iter([Arc::clone(&event)]))),
                }
            }
        }
        for (worker, batch) in batches {
            self.tell(worker, Deliver(batch));
        }
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

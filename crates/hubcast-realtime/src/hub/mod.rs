//! The hub: one actor a process, and everyone's way to it. It knows which socket is on which worker
//! and whose it is, and which workers have members of a room; it puts every event before those
//! workers' outlets, once each, and does work in proportion to them, not to the sockets.
//!
//! It never reads a database, never encodes, and never waits. Joining is authorised above it;
//! leaving costs a socket its own rooms. One room's events pass this one mailbox and then one
//! outlet's, first in, first out: so all its members see one order.

mod actor;
mod messages;

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::client::{ClientHandle, Close};
use super::frame::Event;
use super::outlet::{Drain, Outgoing, Outlet};
use super::payload::Payload;
use super::presence::Present;
use super::recovery::Position;
use super::settings::Settings;
use super::tail::Tail;
use actor::Hub;
pub(super) use messages::{Arrive, Barred, Entered, Entrance};
use messages::{
    Ask, Begin, Describe, Disconnect, Dismiss, Enter, Evict, Find, Join, Known, Leave, Publish,
    Say, TakeCensus, Tell, TellUser, WorkerUp,
};

/// One connection in one namespace, as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
///
/// ```
/// use hubcast_realtime::{Close, Event, HubHandle, Payload, Whom};
///
/// # async fn example(hub: HubHandle) -> Result<(), Box<dyn std::error::Error>> {
/// // To a room, but not to who is also in another; to all of a namespace; to a user, wherever it is signed in.
/// hub.emit(Event::new("/", "said", Payload::of("hello")?, ["tea"]).except(["quiet"]), None).await;
/// hub.emit(Event::to_all("/admin", "picture", Payload::bytes(vec![0xff, 0xd8])), None).await;
/// hub.emit_to_user("/", &"ann".into(), "bell", Payload::of(&3)?).await;
/// // What is worth nothing a moment later.
/// hub.emit(Event::new("/", "cursor", Payload::json("[10,20]"), ["tea"]).volatile(), None).await;
/// // Sockets are found, moved and ended.
/// for socket in hub.sockets("/", Whom::room("tea")).await {
///     socket.enter("coffee", |_| {});
/// }
/// hub.disconnect_all("/", Whom::user("ann"), Close::Connection);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HubHandle {
    hub: Addr<Hub>,
    tail: Arc<Tail>,
    budget: Arc<Semaphore>,
    budget_size: usize,
}

/// Sockets of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// All of them.
    All,
    /// Those in a room.
    Room(Arc<str>),
    /// A user's, by its [`Welcome::identity`](super::Welcome::identity).
    User(Value),
}

impl Whom {
    /// Those in a room.
    #[must_use]
    pub fn room(name: &str) -> Self {
        Self::Room(name.into())
    }

    /// A user's, by its identity: `5`, `"ann"`.
    #[must_use]
    pub fn user(identity: impl Into<Value>) -> Self {
        Self::User(identity.into())
    }
}

/// How many there are at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Sockets by namespace, those on their way in too. A namespace that nobody has ever been in is
    /// not there.
    pub sockets: BTreeMap<String, usize>,
    /// Rooms with someone in them.
    pub rooms: usize,
    /// Events routed since the start.
    pub events: u64,
}

/// What holds a share of the budget (or several, together) until the events have left.
pub type Share = Arc<dyn Any + Send + Sync>;

/// What a program says to its own gateways about certain sockets.
pub type Signal = Arc<dyn Any + Send + Sync>;

impl HubHandle {
    /// Starts the hub on a thread of its own.
    #[must_use]
    pub fn start(settings: &Settings) -> Self {
        let arbiter = Arbiter::new();
        let (budget, presence) = (settings.publish_budget, settings.presence);
        let tail = Arc::new(Tail::default());
        let kept = Arc::clone(&tail);
        let hub = Hub::start_in_arbiter(&arbiter.handle(), move |_| Hub::new(presence, kept));
        Self { hub, tail, budget: Arc::new(Semaphore::new(budget)), budget_size: budget }
    }

    /// Where the log stands, and its last events, each at its own place: before anything is
    /// published, and before anyone can resume.
    pub fn begin(&self, position: Position, last: Vec<Event>) {
        self.hub.do_send(Begin { position, last });
    }

    /// Waits for a share of the budget. Take it before the event is made, and publish the event
    /// with it.
    pub async fn admit(&self, bytes: usize) -> Permit {
        // More than the whole would wait for ever; the whole is the most that one event can take.
        let bytes = u32::try_from(bytes.min(self.budget_size)).unwrap_or(u32::MAX);
        Permit(Arc::clone(&self.budget).acquire_many_owned(bytes).await.ok())
    }

    /// Routes events, in this order, behind all that were published before. The share goes back
    /// when all of them have left the outlets. `routed` runs when every outlet has them in its
    /// mailbox, so what a session sends from then on comes after them.
    pub fn publish(
        &self,
        events: Vec<Event>,
        share: Option<Share>,
        routed: impl FnOnce() + Send + 'static,
    ) {
        self.hub.do_send(Publish {
            events: events.into_iter().map(Arc::new).collect(),
            share,
            routed: Box::new(routed),
        });
    }

    /// Routes one event and waits until that is done.
    pub async fn emit(&self, event: Event, share: Option<Permit>) {
        let (done, routed) = oneshot::channel();
        self.publish(vec![event], share.map(|share| Arc::new(share) as Share), move || {
            let _ = done.send(());
        });
        // A hub that is gone has nobody to tell.
        let _ = routed.await;
    }

    /// Sends an event to all sockets of a user, by its
    /// [`Welcome::identity`](super::Welcome::identity), in its place among all that is published,
    /// and waits until it is routed. It is not stored.
    ///
    /// For a room or a namespace, publish an [`Event`].
    pub async fn emit_to_user(
        &self,
        namespace: &str,
        user: &Value,
        name: impl Into<Cow<'static, str>>,
        payload: impl Into<Payload>,
    ) {
        let event = Event::to_all(namespace, name, payload);
        let share = Arc::new(self.admit(event.size()).await);
        let (done, routed) = oneshot::channel();
        self.hub.do_send(TellUser {
            user: user.to_string().into(),
            event: Arc::new(event),
            share,
            done,
        });
        // A hub that is gone has nobody to tell.
        let _ = routed.await;
    }

    /// The sockets of this process that are in now; not those on their way in. Joining, leaving, an
    /// event or the end is then a matter of each [`ClientHandle`].
    pub async fn sockets(&self, namespace: &str, whom: Whom) -> Vec<ClientHandle> {
        let (names, mut found) = mpsc::unbounded_channel();
        self.hub.do_send(Find { namespace: namespace.into(), whom, names });
        let mut sockets = Vec::new();
        // Ends when the last worker has answered.
        while let Some(socket) = found.recv().await {
            sockets.push(socket);
        }
        let (done, described) = oneshot::channel();
        self.hub.do_send(Describe { sockets, done });
        // A hub that is gone has nobody.
        let described = described.await.unwrap_or_default();
        let handle = |Known { socket, sid, user, attachment }| ClientHandle {
            socket,
            sid,
            user,
            attachment,
            hub: self.clone(),
        };
        described.into_iter().map(handle).collect()
    }

    /// Ends sockets, behind all that was published to them before: their sessions are not resumed.
    pub fn disconnect_all(&self, namespace: &str, whom: Whom, close: Close) {
        self.hub.do_send(Dismiss { namespace: namespace.into(), whom, close });
    }

    /// Has [`Gateway::signalled`](super::Gateway::signalled) called for sockets, a user's also
    /// while they are on their way in, behind all that was published to them before. For what only
    /// the gateway's own data of a socket can tell.
    pub fn signal(&self, namespace: &str, whom: Whom, signal: Signal) {
        self.hub.do_send(Say { namespace: namespace.into(), whom, signal });
    }

    /// Begins the end: every worker closes its sockets in batches within that time.
    pub fn drain(&self, within: Duration) {
        self.hub.do_send(Drain { within });
    }

    /// Puts all of a user's sockets out of a room, by its
    /// [`Welcome::identity`](super::Welcome::identity), behind all that was published before and
    /// ahead of all that comes later.
    pub fn evict(&self, namespace: &str, user: &Value, room: &str) {
        self.hub.do_send(Evict {
            namespace: namespace.into(),
            user: user.to_string().into(),
            room: room.into(),
        });
    }

    /// Who is in a room.
    pub async fn present(&self, namespace: &str, room: &str) -> Present {
        let (done, present) = oneshot::channel();
        self.hub.do_send(Ask { namespace: namespace.into(), room: room.into(), done });
        // A hub that is gone has nobody in it.
        present.await.unwrap_or_default()
    }

    /// How many there are, in this process.
    pub async fn census(&self) -> Census {
        let (done, census) = oneshot::channel();
        self.hub.do_send(TakeCensus { done });
        // A hub that is gone has nobody.
        census.await.unwrap_or_default()
    }

    pub(super) fn worker(&self, outlet: &Addr<Outlet>) -> WorkerId {
        let worker = WorkerId(NEXT.fetch_add(1, Ordering::Relaxed));
        self.hub.do_send(WorkerUp { worker, outlet: outlet.clone() });
        worker
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// A socket is on its way in. One that is there under the same `sid` is taken over: it is cut,
    /// and hears nothing more.
    ///
    /// It is on its way before anything is waited for, so that a [`HubHandle::disconnect`] of the
    /// same socket can not overtake it.
    pub(super) fn arrive(&self, arrive: Arrive) {
        self.hub.do_send(arrive);
    }

    /// Enters a socket that has arrived into its first rooms, but for those that it was put out of
    /// meanwhile. What is routed from then on comes to its outlet. `None`: it has been taken over.
    pub(super) async fn enter(
        &self,
        socket: SocketId,
        rooms: Vec<(Arc<str>, Entrance)>,
    ) -> Option<Entered> {
        let (done, entered) = oneshot::channel();
        self.hub.do_send(Enter { socket, rooms, done });
        entered.await.ok()
    }

    /// The socket has left; `lost`: its line broke, and its user may be back in a moment.
    pub(super) fn disconnect(&self, socket: SocketId, lost: bool) {
        self.hub.do_send(Disconnect { socket, lost });
    }

    pub(super) fn join(
        &self,
        socket: SocketId,
        room: Arc<str>,
        entrance: Entrance,
        done: impl FnOnce(Present) + Send + 'static,
    ) {
        self.hub.do_send(Join { socket, room, entrance, done: Box::new(done) });
    }

    pub(super) fn leave(
        &self,
        socket: SocketId,
        room: Arc<str>,
        done: impl FnOnce(Present) + Send + 'static,
    ) {
        self.hub.do_send(Leave { socket, room, done: Box::new(done) });
    }

    pub(super) fn tell(&self, socket: SocketId, what: Outgoing) {
        self.hub.do_send(Tell { socket, what });
    }
}

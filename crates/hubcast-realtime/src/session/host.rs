//! The data that sessions share: [`Shared`] by all of a server, [`Host`] by those of one worker.
//! Generic over the session's type, which this file does not know.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use tokio::sync::Semaphore;

use super::gateway::Gateway;
use super::log::Log;
use super::newcomers::Newcomers;
use super::owner::Owner;
use crate::connection::gauges::Gauges;
use crate::core::protocol::{ENGINE, Protocol};
use crate::core::recovery::PidKey;
use crate::core::settings::{MAX_HELD, Settings};
use crate::hub::handle::HubHandle;
use crate::worker::session_actor::SessionActor;
use crate::worker::sockets::Sockets;
use crate::worker::worker::Worker;

/// The log and the key that resume sessions.
pub(crate) struct Recovery {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) key: PidKey,
    /// Held while a resumed socket is registered with the hub and the log, so that of two sockets
    /// with the same session both consider the same one the later.
    pub(crate) order: Mutex<()>,
}

/// The data that all sessions of a server share.
pub(crate) struct Shared<S: SessionActor> {
    pub(crate) settings: Arc<Settings>,
    pub(crate) gateways: HashMap<Arc<str>, Arc<dyn Gateway>>,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) engines: Engines<S>,
    pub(super) newcomers: Newcomers,
    pub(crate) gauges: Gauges,
    /// A permit for each refused connection that waits for its close frame.
    pub(super) held: Arc<Semaphore>,
    draining: AtomicBool,
}

impl<S: SessionActor> Shared<S> {
    pub(crate) fn new(
        settings: Settings,
        gateways: HashMap<Arc<str>, Arc<dyn Gateway>>,
        recovery: Option<Recovery>,
    ) -> Self {
        Self {
            settings: Arc::new(settings),
            gateways,
            recovery,
            engines: Engines(Mutex::default()),
            newcomers: Newcomers::default(),
            gauges: Gauges::default(),
            held: Arc::new(Semaphore::new(MAX_HELD)),
            draining: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Returns the gateway of a namespace, under the name that clients of that protocol use.
    pub(super) fn gateway(
        &self,
        protocol: Protocol,
        namespace: &str,
    ) -> Option<(Arc<str>, Arc<dyn Gateway>)> {
        let is_namespace = namespace != ENGINE || protocol == Protocol::EngineIo;
        let (name, gateway) = self.gateways.get_key_value(namespace).filter(|_| is_namespace)?;
        Some((Arc::clone(name), Arc::clone(gateway)))
    }

    /// Returns true if the server serves bare Engine.IO.
    pub(crate) fn has_engine(&self) -> bool {
        self.gateways.contains_key(ENGINE)
    }
}

/// A polling session, and to whom it belongs.
type Engine<S> = (Addr<S>, Owner);

/// The polling sessions of a server by their Engine.IO id, on whichever worker they live.
pub(crate) struct Engines<S: SessionActor>(Mutex<HashMap<Box<str>, Engine<S>>>);

impl<S: SessionActor> Engines<S> {
    pub(super) fn insert(&self, id: String, session: Addr<S>, owner: Owner) {
        self.all().insert(id.into(), (session, owner));
    }

    pub(crate) fn get(&self, id: &str) -> Option<Engine<S>> {
        self.all().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        self.all().remove(id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, Engine<S>>> {
        // No code that holds the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The data that the sessions of one worker share.
pub(crate) struct Host<S: SessionActor> {
    pub(crate) worker: Rc<Worker>,
    pub(super) sockets: Rc<Sockets<S>>,
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: SessionActor> Host<S> {
    /// Starts the current thread's worker.
    pub(crate) fn start(shared: Arc<Shared<S>>, hub: HubHandle) -> Rc<Self> {
        let (worker, sockets) = Worker::start(Arc::clone(&shared.settings), hub);
        Rc::new(Self { worker, sockets, shared })
    }
}

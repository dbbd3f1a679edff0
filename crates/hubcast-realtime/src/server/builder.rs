//! Puts a server together: namespaces, admission, recovery.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::admission::{Connects, Policy};
use super::gate::{Gate, Urgent};
use super::server::Server;
use crate::connection::seats::Seats;
use crate::core::protocol::ENGINE;
use crate::core::recovery::PidKey;
use crate::core::settings::Settings;
use crate::hub::handle::HubHandle;
use crate::session::gateway::Gateway;
use crate::session::host::{Recovery, Shared};
use crate::session::log::Log;

/// Builds a [`Server`].
///
/// ```
/// use std::sync::Arc;
/// use hubcast_realtime::{HubHandle, Server, Settings};
/// # use hubcast_realtime::Gateway;
/// # fn example(main: Arc<dyn Gateway>, admin: Arc<dyn Gateway>) {
/// let settings = Settings::default();
/// let hub = HubHandle::start(&settings);
/// let server = Server::builder(settings, hub)
///     .namespace("/", main)
///     .namespace("/admin", admin)
///     .build();
/// # }
/// ```
#[must_use]
pub struct Builder {
    settings: Settings,
    hub: HubHandle,
    gateways: HashMap<Arc<str>, Arc<dyn Gateway>>,
    policy: Policy,
    recovery: Option<Recovery>,
    urgent: Option<Urgent>,
}

impl Server {
    /// Starts to build a server with these limits, whose events are published through that hub.
    pub fn builder(settings: Settings, hub: HubHandle) -> Builder {
        Builder {
            settings,
            hub,
            gateways: HashMap::new(),
            policy: Policy::default(),
            recovery: None,
            urgent: None,
        }
    }
}

impl Builder {
    /// Serves a namespace, for Socket.IO and for the plain protocol. Without its leading slash the
    /// name gets one. Clients cannot join other namespaces.
    pub fn namespace(mut self, name: &str, gateway: Arc<dyn Gateway>) -> Self {
        let name = if name.starts_with('/') { name.into() } else { format!("/{name}").into() };
        self.gateways.insert(name, gateway);
        self
    }

    /// Serves bare Engine.IO at `/engine.io/`. The gateway gets each message as an event `message`
    /// with one argument, a string or bytes; each event that it emits, under any name, is sent as a
    /// message. The hub keeps the sockets under the namespace [`ENGINE`]. A polling client reads
    /// text with U+001E in it as two messages: that is a limit of Engine.IO.
    pub fn engine(mut self, gateway: Arc<dyn Gateway>) -> Self {
        self.gateways.insert(ENGINE.into(), gateway);
        self
    }

    /// Sets the Origins that may connect and the proxies that are trusted. By default only the
    /// server's own Origin may connect, and no proxy is trusted.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Resumes sessions from this log. The key signs the `pid` with which clients resume.
    pub fn resuming(self, log: Arc<dyn Log>, key: PidKey) -> Self {
        Self { recovery: Some(Recovery { log, key, order: Mutex::default() }), ..self }
    }

    /// Sets which requests come in although every seat for a connection is taken: those of probes,
    /// and of operators. By default none do.
    pub fn urgent(self, urgent: Urgent) -> Self {
        Self { urgent: Some(urgent), ..self }
    }

    /// Returns the server, which does not listen yet.
    #[must_use]
    pub fn build(self) -> Server {
        let Self { settings, hub, gateways, mut policy, recovery, urgent } = self;
        if settings.tls.is_some() {
            policy.scheme = "https";
        }
        let seats = Seats::new(settings.connections);
        let gate = Gate::new(policy, seats, settings.connect_rate.map(Connects::new), urgent);
        let shared = Shared::new(settings, gateways, recovery);
        Server::new(Arc::new(shared), Arc::new(gate), hub)
    }
}

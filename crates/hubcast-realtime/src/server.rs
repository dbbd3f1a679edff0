//! The listener and its worker threads. A worker is an ordinary actix-web application, with an
//! upgrade door beside it and an outlet behind it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::Addr;
use actix_codec::Framed;
use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response, h1};
use actix_rt::net::TcpStream;
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::web::ServiceConfig;
use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio_rustls::TlsAcceptor;

use super::admission::{Connects, Policy};
use super::connections::{Connections, Gauges};
use super::frame::Protocol;
use super::gateway::Gateway;
use super::hub::HubHandle;
use super::log::Log;
use super::outlet::Worker;
use super::recovery::PidKey;
use super::session::Session;
use super::settings::Settings;
use super::transport::accept::{self, Stream};
use super::transport::{polling, upgrade};

/// Where Engine.IO alone stands among the namespaces: no client can name it.
pub const ENGINE: &str = "engine.io";
/// How long a REST request may still take once the sockets are closed.
const STOP_TIMEOUT: u64 = 2;

/// What sessions are resumed by.
pub(super) struct Recovery {
    pub(super) log: Arc<dyn Log>,
    pub(super) key: PidKey,
    /// Held while hub and log are told of a socket that comes back: of two, both take the same for
    /// the later.
    pub(super) order: Mutex<()>,
}

/// What all workers share.
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) gateways: HashMap<Arc<str>, Arc<dyn Gateway>>,
    pub(super) policy: Policy,
    pub(super) recovery: Option<Recovery>,
    pub(super) engines: Engines,
    connects: Option<Connects>,
    draining: AtomicBool,
    pub(super) open: Gauges,
}

impl Shared {
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn count_connect(&self, address: IpAddr) -> Result<(), Duration> {
        self.connects.as_ref().map_or(Ok(()), |connects| connects.check(address))
    }

    /// The gateway of a namespace, as that protocol can name it.
    pub(super) fn gateway(
        &self,
        protocol: Protocol,
        namespace: &str,
    ) -> Option<(Arc<str>, Arc<dyn Gateway>)> {
        let is_namespace = namespace != ENGINE || protocol == Protocol::EngineIo;
        let (name, gateway) = self.gateways.get_key_value(namespace).filter(|_| is_namespace)?;
        Some((Arc::clone(name), Arc::clone(gateway)))
    }

    /// Whether Engine.IO is served with nothing on top.
    pub(super) fn has_engine(&self) -> bool {
        self.gateways.contains_key(ENGINE)
    }
}

/// Sessions that polling requests find by their engine's id, on whichever worker they live.
#[derive(Default)]
pub(super) struct Engines(Mutex<HashMap<Box<str>, Addr<Session>>>);

impl Engines {
    pub(super) fn insert(&self, id: String, session: Addr<Session>) {
        self.all().insert(id.into(), session);
    }

    pub(super) fn get(&self, id: &str) -> Option<Addr<Session>> {
        self.all().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        self.all().remove(id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, Addr<Session>>> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an application takes into its routes with `configure`: the paths of Socket.IO's polling.
pub type Routes = Box<dyn FnOnce(&mut ServiceConfig)>;

/// A token bucket for one socket's events.
pub(super) struct Bucket(Box<DefaultDirectRateLimiter>);

impl Bucket {
    pub(super) fn direct(quota: Quota) -> Self {
        Self(Box::new(RateLimiter::direct(quota)))
    }

    /// Counts one. `Err`: too many, and how long to wait.
    pub(super) fn check(&self) -> Result<(), Duration> {
        self.0.check().map_err(|not_until| {
            not_until.wait_time_from(governor::clock::DefaultClock::default().now())
        })
    }
}

/// A Socket.IO and WebSocket server: gateways by namespace, and one hub.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    hub: HubHandle,
}

/// A server in the making.
///
/// ```
/// use std::sync::Arc;
/// use hubcast_realtime::{HubHandle, Server, Settings};
/// # use hubcast_realtime::Gateway;
/// # fn example(main: Arc<dyn Gateway>, admin: Arc<dyn Gateway>) {
/// let settings = Settings::default();
/// let hub = HubHandle::start(&settings);
/// let server = Server::builder(settings, hub).namespace("/", main).namespace("/admin", admin).build();
/// # }
/// ```
#[must_use]
pub struct Builder {
    settings: Settings,
    hub: HubHandle,
    gateways: HashMap<Arc<str>, Arc<dyn Gateway>>,
    policy: Policy,
    recovery: Option<Recovery>,
}

impl Builder {
    /// Serves a namespace, for Socket.IO and for the plain protocol; all others are invalid. Its
    /// name begins with a slash, which is put there where it is missing.
    pub fn namespace(mut self, name: &str, gateway: Arc<dyn Gateway>) -> Self {
        let name = if name.starts_with('/') { name.into() } else { format!("/{name}").into() };
        self.gateways.insert(name, gateway);
        self
    }

    /// Serves Engine.IO with nothing on top, at `/engine.io/`. Its gateway gets each message as an
    /// event `message` with one argument, a string or bytes; what it emits, under whatever name, is
    /// sent as a message. The hub knows its sockets under the namespace [`ENGINE`]. Text with
    /// U+001E in it can not be told from two messages by a client that polls: that is Engine.IO's
    /// own limit.
    pub fn engine(mut self, gateway: Arc<dyn Gateway>) -> Self {
        self.gateways.insert(ENGINE.into(), gateway);
        self
    }

    /// Which Origins and which proxies count; without it, our own and none.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Sessions can be resumed from this log. The key signs what clients resume them by.
    pub fn resuming(self, log: Arc<dyn Log>, key: PidKey) -> Self {
        Self { recovery: Some(Recovery { log, key, order: Mutex::default() }), ..self }
    }

    /// The server, which is not listening yet.
    #[must_use]
    pub fn build(self) -> Server {
        let Self { settings, hub, gateways, mut policy, recovery } = self;
        if settings.tls.is_some() {
            policy.scheme = "https";
        }
        let shared = Shared {
            connects: settings.connect_rate.map(Connects::new),
            settings: Arc::new(settings),
            gateways,
            policy,
            engines: Engines::default(),
            recovery,
            draining: AtomicBool::new(false),
            open: Gauges::default(),
        };
        Server { shared: Arc::new(shared), hub }
    }
}

impl Server {
    /// A server with these limits, whose events are published through that hub.
    pub fn builder(settings: Settings, hub: HubHandle) -> Builder {
        Builder {
            settings,
            hub,
            gateways: HashMap::new(),
            policy: Policy::default(),
            recovery: None,
        }
    }

    /// The hub that events are published through.
    #[must_use]
    pub fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.shared.open.now()
    }

    /// Serves on `listener` with that many worker threads, each with an application from `app`
    /// beside the socket paths. It handles no signals: stop it with [`Server::drain`] and then the
    /// handle's `stop(true)`.
    ///
    /// # Errors
    /// When the listener can not be used.
    pub fn listen<F, I, S, B>(
        &self,
        listener: TcpListener,
        workers: usize,
        app: F,
    ) -> std::io::Result<actix_server::Server>
    where
        F: Fn(Routes) -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Response<BoxBody>> + 'static,
        S::InitError: Debug,
        S::Response: Into<Response<B>> + 'static,
        B: MessageBody + 'static,
    {
        let server = self.clone();
        let builder = actix_server::Server::build()
            .workers(workers)
            .disable_signals()
            .shutdown_timeout(STOP_TIMEOUT);
        let builder = builder.listen("hubcast", listener, move || {
            let worker = Worker::start(Arc::clone(&server.shared), server.hub.clone());
            let polling = Rc::clone(&worker);
            let routes: Routes = Box::new(move |app| polling::configure(&polling, app));
            let upgrade =
                fn_service(move |(request, framed): (Request, Framed<Stream, h1::Codec>)| {
                    let worker = Rc::clone(&worker);
                    async move {
                        upgrade::accept(worker, request, framed).await;
                        Ok::<(), actix_web::Error>(())
                    }
                });
            let tls = server.shared.settings.tls.clone().map(TlsAcceptor::from);
            let accept = fn_service(move |tcp: TcpStream| {
                let tls = tls.clone();
                async move { accept::accept(tcp, tls).await.map_err(DispatchError::Io) }
            });
            let http = HttpService::build()
                // An EOF ends a request: else a cancelled poll would never be noticed.
                .h1_allow_half_closed(false)
                .client_request_timeout(Duration::from_secs(10))
                .upgrade(upgrade)
                .h1(map_config(app(routes), |()| AppConfig::default()));
            accept.and_then(http)
        })?;
        Ok(builder.run())
    }

    /// Refuses new connections, tells every socket, and closes all in batches. Returns when none is
    /// left, or after `within`.
    pub async fn drain(&self, within: Duration) {
        self.shared.draining.store(true, Ordering::Release);
        self.hub.drain(within);
        let end = Instant::now() + within;
        while self.connections().total() > 0 && Instant::now() < end {
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

//! The listener and its worker threads. A worker is an ordinary actix-web application, with an upgrade door beside it and an outlet behind it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::Addr;
use actix_codec::Framed;
use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response, h1};
use actix_rt::net::TcpStream;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web::ServiceConfig;
use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio_rustls::TlsAcceptor;

use super::admission::{Connects, Policy};
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

/// How long a REST request may still take once the sockets are closed.
const STOP_TIMEOUT: u64 = 2;

/// What sessions are resumed by.
pub(super) struct Recovery {
    pub(super) log: Arc<dyn Log>,
    pub(super) key: PidKey,
    /// Held while hub and log are told of a socket that comes back: of two, both take the same for the later.
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
    open: [AtomicUsize; 2],
}

impl Shared {
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn count_connect(&self, address: IpAddr) -> Result<(), Duration> {
        self.connects.as_ref().map_or(Ok(()), |connects| connects.check(address))
    }

    pub(super) fn opened(&self, protocol: Protocol) {
        self.gauge(protocol).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self, protocol: Protocol) {
        self.gauge(protocol).fetch_sub(1, Ordering::Relaxed);
    }

    fn gauge(&self, protocol: Protocol) -> &AtomicUsize {
        let [socketio, plain] = &self.open;
        match protocol {
            Protocol::SocketIo { .. } => socketio,
            Protocol::Plain => plain,
        }
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
        self.0.check().map_err(|not_until| not_until.wait_time_from(governor::clock::DefaultClock::default().now()))
    }
}

/// A Socket.IO and WebSocket server: gateways by namespace, and one hub.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    hub: HubHandle,
}

impl Server {
    /// A server that is not listening yet. With a log, sessions can be resumed; the key signs what clients resume them by.
    #[must_use]
    pub fn new(
        settings: Settings,
        policy: Policy,
        hub: HubHandle,
        gateways: Vec<(&str, Arc<dyn Gateway>)>,
        log: Option<(Arc<dyn Log>, PidKey)>,
    ) -> Self {
        let shared = Shared {
            connects: settings.connect_rate.map(Connects::new),
            settings: Arc::new(settings),
            gateways: gateways.into_iter().map(|(name, gateway)| (Arc::from(name), gateway)).collect(),
            policy,
            engines: Engines::default(),
            recovery: log.map(|(log, key)| Recovery { log, key, order: Mutex::default() }),
            draining: AtomicBool::new(false),
            open: Default::default(),
        };
        Self { shared: Arc::new(shared), hub }
    }

    /// The hub that events are published through.
    #[must_use]
    pub fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// Open connections: Socket.IO, plain.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        let [socketio, plain] = &self.shared.open;
        (socketio.load(Ordering::Relaxed), plain.load(Ordering::Relaxed))
    }

    /// Serves on `listener` with that many worker threads, each with an application from `app` beside the socket paths. It handles no
    /// signals: stop it with [`Server::drain`] and then the handle's `stop(true)`.
    ///
    /// # Errors
    /// When the listener can not be used.
    pub fn listen<F, I, S, B>(&self, listener: TcpListener, workers: usize, app: F) -> std::io::Result<actix_server::Server>
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
        let builder = actix_server::Server::build().workers(workers).disable_signals().shutdown_timeout(STOP_TIMEOUT);
        let builder = builder.listen("hubcast", listener, move || {
            let worker = Worker::start(Arc::clone(&server.shared), server.hub.clone());
            let polling = Rc::clone(&worker);
            let routes: Routes = Box::new(move |app| polling::configure(&polling, app));
            let upgrade = fn_service(move |(request, framed): (Request, Framed<Stream, h1::Codec>)| {
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

    /// Refuses new connections, tells every socket, and closes all in batches. Returns when none is left, or after `within`.
    pub async fn drain(&self, within: Duration) {
        self.shared.draining.store(true, Ordering::Release);
        self.hub.drain(within);
        let end = Instant::now() + within;
        while self.connections() != (0, 0) && Instant::now() < end {
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

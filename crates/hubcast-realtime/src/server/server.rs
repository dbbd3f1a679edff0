//! The listener and its worker threads. Each worker thread has an ordinary actix-web application, a
//! handler for upgrades, and a fan-out.

use std::fmt::Debug;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_codec::Framed;
use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response, h1};
use actix_rt::net::TcpStream;
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::web::ServiceConfig;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::gate::{Entry, Gate};
use super::transports::accept::{self, Stream};
use super::transports::{door, polling, upgrade};
use crate::connection::gauges::Connections;
use crate::core::settings::{HEAD_TIMEOUT, LINGER};
use crate::hub::handle::HubHandle;
use crate::session::host::{Host, Shared};
use crate::session::session::Session;

/// How many seconds a REST request may still take after the sockets are closed.
const STOP_TIMEOUT: u64 = 2;

/// The routes of polling, for an application to add with `configure`.
pub type Routes = Box<dyn FnOnce(&mut ServiceConfig)>;

/// A Socket.IO and WebSocket server: gateways by namespace, and one hub.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared<Session>>,
    gate: Arc<Gate>,
    hub: HubHandle,
    /// Sent to the HTTP connections that are open at the end of a drain.
    idle: Arc<watch::Sender<()>>,
}

impl Server {
    pub(super) fn new(shared: Arc<Shared<Session>>, gate: Arc<Gate>, hub: HubHandle) -> Self {
        Self { shared, gate, hub, idle: Arc::default() }
    }

    /// Returns the hub through which events are published.
    #[must_use]
    pub fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// Returns the numbers of open connections.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.shared.gauges.now()
    }

    /// Serves on `listener` with that many worker threads, each with an application from `app`
    /// beside the socket paths. The server handles no signals: stop it with [`Server::drain`] and
    /// then the returned handle's `stop(true)`.
    ///
    /// # Errors
    /// Fails if the listener cannot be used.
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
            .shutdown_timeout(STOP_TIMEOUT)
            // The seats are the limit.
            .max_concurrent_connections(self.gate.seats.accepted().div_ceil(workers.max(1)));
        let builder =
            builder.listen("hubcast", listener, move || {
                let host = Host::start(Arc::clone(&server.shared), server.hub.clone());
                let entry = Rc::new(Entry { host, gate: Arc::clone(&server.gate) });
                let polling = Rc::clone(&entry);
                let routes: Routes = Box::new(move |app| polling::configure(&polling, app));
                let upgrade =
                    fn_service(move |(request, framed): (Request, Framed<Stream, h1::Codec>)| {
                        let entry = Rc::clone(&entry);
                        async move {
                            upgrade::accept(entry, request, framed).await;
                            Ok::<(), actix_web::Error>(())
                        }
                    });
                let tls = server.shared.settings.tls.clone().map(TlsAcceptor::from);
                let idle = Arc::clone(&server.idle);
                let (gate, settings) =
                    (Arc::clone(&server.gate), Arc::clone(&server.shared.settings));
                let accept = fn_service(move |tcp: TcpStream| {
                    let (tls, gate, settings) =
                        (tls.clone(), Arc::clone(&gate), Arc::clone(&settings));
                    async move {
                        accept::accept(tcp, tls, &gate, settings).await.map_err(DispatchError::Io)
                    }
                });
                let (gate, settings) = (Arc::clone(&server.gate), &server.shared.settings);
                let body_timeout = settings.body_timeout;
                let app = map_config(app(routes), |()| AppConfig::default());
                let app = apply_fn_factory(app, move |request: Request, app: &S::Service| {
                    door::pass(&gate, body_timeout, request, app)
                });
                let http = HttpService::build()
                    // An EOF ends a request, because a cancelled poll would otherwise never be
                    // noticed.
                    .h1_allow_half_closed(false)
                    .client_request_timeout(HEAD_TIMEOUT)
                    .client_disconnect_timeout(LINGER)
                    .keep_alive(settings.keep_alive)
                    .on_connect_ext(|stream: &Stream, data| {
                        data.insert(Arc::clone(stream.seat()));
                    })
                    .graceful_shutdown_signal(move || ended(idle.subscribe()))
                    .upgrade(upgrade)
                    .h1(app);
                accept.and_then(http)
            })?;
        Ok(builder.run())
    }

    /// Refuses new connections, sends every socket `server:shutdown`, and closes all connections in
    /// batches. Returns when none is left, or after `within`. HTTP connections without a request
    /// are closed then, and others after their request.
    pub async fn drain(&self, within: Duration) {
        self.shared.start_draining();
        self.hub.drain(within);
        let end = Instant::now() + within;
        while self.connections().total() > 0 && Instant::now() < end {
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
        self.idle.send_replace(());
    }
}

/// Waits for the end of [`Server::drain`].
async fn ended(mut idle: watch::Receiver<()>) {
    // An error means that the server is gone.
    let _ = idle.changed().await;
}

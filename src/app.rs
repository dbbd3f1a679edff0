//! Starts the parts in order (database, hub, services, gateways, REST, listener), and on a signal
//! stops them in reverse.

mod descriptors;
mod opening;
mod realtime_settings;
mod reload;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, web};
use socket2::{Domain, Socket, Type};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::auth::{self, Tokens};
use crate::config::{self, LimitSettings, Open, Opener, Rate, Settings};
use crate::error::Error;
use crate::gateway::QueryUser;
use crate::http::pages::{PageFacts, Pages};
use crate::realtime::{self, HubHandle, Server};
use crate::service::invitations::AddingRules;
use crate::service::publish::{HubPublisher, NextEventOptions};
use crate::service::quotas::Quotas;
use crate::service::recovery::{self, RecoverySettings};
use crate::service::{
    AccountRules, CustomerRates, Services, ShopRules, SignInRates, accounts, broadcasts, demo,
    order_holds, stats, tokens,
};
use crate::{gateway, http};

use realtime_settings::{limits, policy};

/// Time over which sockets are closed in batches. Running REST requests have two seconds more.
const DRAIN: Duration = Duration::from_secs(7);
/// The most connections that wait to be accepted. The kernel may have a lower limit.
const BACKLOG: i32 = 4096;

/// Runs the server until SIGTERM or SIGINT. The exit code is 0 after a clean stop, and 1 after a
/// failure, which is logged.
#[must_use]
pub fn serve(settings: Settings) -> ExitCode {
    let outcome = actix_rt::System::new().block_on(run(settings));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything else, because a SIGHUP without a handler ends the process.
    let hangup = signal(SignalKind::hangup())?;
    let stops = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let (host, port) = (settings.server.host.as_str(), settings.server.port);
    let listener =
        bind(host, port).map_err(|error| format!("cannot listen on {host}:{port}: {error}"))?;
    let metrics = settings.server.metrics_address.map(listen_for_metrics).transpose()?;
    let key = auth::load_key(
        settings.auth.key(settings.server.environment.environment, &settings.database.url)?,
    )?;
    let (tls, tls_files) = settings.tls.server()?.map(|tls| (tls.config, tls.files)).unzip();
    let limits = realtime::Settings { tls, ..limits(&settings) };
    let scheme = if limits.tls.is_some() { "https" } else { "http" };
    let hub = HubHandle::start(&limits);
    let database = settings.database.clone().opened_by(Opener::Server);
    let next = NextEventOptions::default();
    let publisher = Arc::new(HubPublisher::new(hub.clone(), next.clone()));
    let Some(db) = opening::open(&database, publisher, &listener, &limits).await? else {
        return Ok(());
    };
    let (log, pid_key) = recovery::start(&db, recovery_settings(&settings)).await?;
    let checker = Tokens::new(&key, &settings.auth)?;
    let rules = account_rules(&settings);
    let services = Arc::new(Services::new(db.clone(), checker, hub.clone(), next, &rules));
    let reloading = reload::start(&services, tls_files, hangup).await;
    check_accounts(&settings, &services).await?;
    let tasks = start_tasks(&services);

    let policy = policy(&settings, scheme);
    let mut server = Server::builder(limits, hub)
        .policy(policy.clone())
        .resuming(log, pid_key)
        .urgent(http::urgent(&services, &policy));
    for (namespace, gateway) in gateway::all(&services, query_user(&settings)) {
        server = server.namespace(namespace, gateway);
    }
    let server = server.build();
    let rest_limits = web::Data::new(http::RestLimits::new(&settings.limits));
    let readiness = web::Data::new(http::Readiness::default());
    let (services, policy, ready) =
        (web::Data::from(services), web::Data::new(policy), readiness.clone());
    let counted = web::Data::new(server.clone());
    let socketio_path = &settings.realtime.socketio_path;
    let asyncapi = web::Data::new(http::docs::AsyncApi::new(|url| {
        gateway::asyncapi::document(url, socketio_path)
    }));
    let metrics = metrics
        .map(|listener| http::metrics::serve(listener, settings.server.keep_alive, &server))
        .transpose()?;
    let own_metrics = metrics.is_some();
    let pages = pages(&settings);
    let workers = workers(&settings);
    let address = listener.local_addr()?;
    let running = server.listen(listener, workers, move |sockets: realtime::Routes| {
        App::new()
            .app_data(services.clone())
            .app_data(policy.clone())
            .app_data(rest_limits.clone())
            .app_data(ready.clone())
            .app_data(counted.clone())
            .app_data(asyncapi.clone())
            .wrap(from_fn(http::headers::guard))
            .wrap(from_fn(http::log_request))
            .wrap(http::cors::cors(&policy))
            .wrap(from_fn(http::cors::strip_cors_headers))
            .configure(sockets)
            .configure(http::routes)
            .configure(|app| {
                if !own_metrics {
                    http::metrics::route(app);
                }
                if let Some(pages) = &pages {
                    pages.route(app);
                }
            })
    })?;
    let handle = running.handle();
    let metrics = metrics.map(|server| (server.handle(), actix_rt::spawn(server)));
    let broadcasting_stats = actix_rt::spawn(stats::run(server.clone()));
    let mut running = actix_rt::spawn(running);
    tracing::info!(workers, "listening on {scheme}://{address}");

    until_stopped(stops, &mut running).await?;
    tracing::info!("stopping");
    readiness.stop();
    broadcasting_stats.abort();
    server.drain(DRAIN).await;
    handle.stop(true).await;
    if let Some((handle, _)) = metrics {
        handle.stop(true).await;
    }
    tasks.iter().for_each(JoinHandle::abort);
    reloading.abort();
    // Blocks until the writer's last batch is written. Nothing else runs any more.
    db.close();
    tracing::info!("stopped");
    Ok(())
}

/// Starts the tasks that run beside the requests, and that may be aborted at any time.
fn start_tasks(services: &Arc<Services>) -> [JoinHandle<()>; 4] {
    [
        actix_rt::spawn(tokens::watch(Arc::clone(services))),
        actix_rt::spawn(accounts::report_failures(Arc::clone(services))),
        actix_rt::spawn(broadcasts::run(Arc::clone(services))),
        actix_rt::spawn(order_holds::run(Arc::clone(services))),
    ]
}

/// Returns on SIGTERM or SIGINT, also on one that came while the server started.
async fn until_stopped<T: std::fmt::Debug>(
    [mut terminate, mut interrupt]: [Signal; 2],
    running: &mut JoinHandle<T>,
) -> Result<(), Box<dyn std::error::Error>> {
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = running => Err(format!("the listener ended by itself: {ended:?}").into()),
    }
}

fn recovery_settings(settings: &Settings) -> RecoverySettings {
    RecoverySettings {
        window: settings.realtime.recovery_window,
        retention: settings.realtime.event_retention,
    }
}

fn account_rules(settings: &Settings) -> AccountRules {
    AccountRules {
        sign_in_rates: SignInRates {
            pair: settings.limits.rate_login,
            address: settings.limits.rate_login_address,
            register: settings.limits.rate_register,
        },
        customer_rates: customer_rates(&settings.limits),
        registration: settings.registration(),
        adding: AddingRules {
            membership: settings.membership(),
            most: settings.limits.invitation_limit,
        },
        shop: ShopRules {
            catalog: settings.catalog(),
            customer_payments: settings.customer_payments(),
            order_hold: settings.order_hold(),
        },
        quotas: Quotas::new(&settings.limits),
        socket_token_end: settings.access.socket_token_end,
    }
}

/// The rates of one customer, over all sockets and calls.
fn customer_rates(limits: &LimitSettings) -> CustomerRates {
    const NEW_SOCKET_EACH: Duration = Duration::from_millis(100);
    const LEAST_NEW_SOCKETS: usize = 20;
    // As many sockets as are allowed can come back at once, and half of them again.
    let sockets = (limits.sockets_per_user.saturating_mul(3) / 2).max(LEAST_NEW_SOCKETS);
    CustomerRates {
        publish: limits.rate_publish.0,
        events: limits.rate_events_of_user(),
        connects: Rate::one_each(NEW_SOCKET_EACH, u32::try_from(sockets).unwrap_or(u32::MAX)),
    }
}

/// Refuses to be in production with the demo accounts, whose password everyone knows; elsewhere
/// makes them, if the settings say so. Warns of what the settings leave open.
async fn check_accounts(settings: &Settings, services: &Services) -> Result<(), String> {
    warn_of_what_is_open(settings);
    if settings.is_production() {
        let found = demo::with_public_password(&services.db, &services.passwords).await;
        return match found.map_err(|error| error.to_string())?.as_slice() {
            [] => Ok(()),
            accounts => Err(demo::refusal(accounts)),
        };
    }
    if settings.server.demo {
        prepare_demo(services).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Logs what the settings leave open. Outside of production most of it is usual.
fn warn_of_what_is_open(settings: &Settings) {
    for Open { setting, what, .. } in config::open(settings) {
        if settings.is_production() || setting == "JWT_AUDIENCE" {
            tracing::warn!("{setting}: {what}");
        }
    }
}

/// Adds the demo accounts and their data.
async fn prepare_demo(services: &Services) -> Result<(), Error> {
    demo::prepare(services).await?;
    if services.tokens.can_sign().is_err() {
        tracing::warn!(
            "nobody can sign in to the demo accounts, because others sign the tokens; \
             `hubcast user link` links a token's subject to one of them"
        );
    }
    Ok(())
}

/// The test page, unless it is off; the log then names the setting that turns it on.
fn pages(settings: &Settings) -> Option<Pages> {
    if settings.page.is_on(settings.server.environment.environment) {
        return Some(Pages::new(&PageFacts {
            currency: &settings.page.currency,
            demo: settings.server.demo,
            payments: settings.customer_payments(),
            socketio_path: &settings.realtime.socketio_path,
        }));
    }
    tracing::info!("the test page at / is off; TEST_CLIENT=on turns it on");
    None
}

/// Whether sockets may name their user in the query (ALLOW_QUERY_USER). If so, logs a warning.
fn query_user(settings: &Settings) -> QueryUser {
    if !settings.rules.allow_query_user {
        return QueryUser::Refused;
    }
    tracing::warn!(
        "ALLOW_QUERY_USER is set: any socket can be any customer by ?userId=; never use this where \
         others can connect"
    );
    QueryUser::Allowed
}

fn workers(settings: &Settings) -> usize {
    let cores = || std::thread::available_parallelism().ok();
    settings.server.workers.or_else(cores).map_or(1, usize::from)
}

/// Binds the listener for /metrics, and logs its address, which the system chooses for port 0.
fn listen_for_metrics(address: SocketAddr) -> Result<TcpListener, String> {
    let failed = |error| format!("cannot listen on METRICS_ADDR {address}: {error}");
    let listener = bind(&address.ip().to_string(), address.port()).map_err(failed)?;
    tracing::info!("metrics on http://{}/metrics", listener.local_addr().map_err(failed)?);
    Ok(listener)
}

/// Binds with a long backlog: after a restart, all clients connect at once.
fn bind(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        let bound =
            Socket::new(Domain::for_address(address), Type::STREAM, None).and_then(|socket| {
                socket.set_reuse_address(true)?;
                socket.bind(&address.into())?;
                socket.listen(BACKLOG)?;
                Ok(socket.into())
            });
        match bound {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

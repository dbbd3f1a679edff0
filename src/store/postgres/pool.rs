//! Connections to PostgreSQL: made within a time limit and pooled. When there are none, [`Health`]
//! has the reason, in words that `/readyz` may show.

mod tls;

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use hubcast_realtime::throttled;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::PostgresUrl;
use crate::store::OpenError;
use crate::store::conn::Conn;
use crate::store::fault::NO_ANSWER;

/// Limit of a job, from when it was queued, and of one statement of the appender.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Limit of making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed attempt to connect; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The time after which an idle connection is probed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Begins, commits and rolls back transactions.
pub(super) type TransactionManager = <AsyncPgConnection as AsyncConnection>::TransactionManager;

const UNREACHABLE: &str = "The database cannot be reached";

pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    health: Arc<Health>,
}

impl Connector {
    pub(super) fn new(url: &PostgresUrl, health: Arc<Health>) -> Result<Self, OpenError> {
        let mut config = url.config.clone();
        if config.get_application_name().is_none() {
            config.application_name("hubcast");
        }
        config.keepalives_idle(KEEPALIVE);
        Ok(Self { config, tls: tls::connector(&url.tls)?, health })
    }

    /// Connects, within [`CONNECT_TIMEOUT`]. While the database is away only one attempt is made
    /// per pause; other callers fail at once.
    pub(super) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        self.health
            .may_connect()
            .map_err(|reason| ConnectionError::BadConnection(reason.into()))?;
        let (reason, fault) = match tokio::time::timeout(CONNECT_TIMEOUT, self.establish()).await {
            Ok(Ok(conn)) => {
                self.health.connected();
                return Ok(conn);
            }
            Ok(Err(failed)) => failed,
            Err(_) => (NO_ANSWER, "it took too long".to_owned()),
        };
        self.health.failed(reason);
        // The fault's own text says more than the reason, and holds neither password nor URL.
        throttled!(warn, by = &fault, fault, "cannot connect to the database");
        Err(ConnectionError::BadConnection(format!("{reason}: {fault}")))
    }

    async fn establish(&self) -> Result<AsyncPgConnection, (&'static str, String)> {
        let mut connected = self.config.connect(self.tls.clone()).await;
        if let Err(fault) = &connected
            && self.config.get_ssl_mode() == SslMode::Prefer
            && is_about_tls(fault)
        {
            let fault = error_chain(fault);
            throttled!(
                warn,
                by = &fault,
                fault,
                "TLS with the database failed; sslmode=prefer continues in the clear"
            );
            connected =
                self.config.clone().ssl_mode(SslMode::Disable).connect(self.tls.clone()).await;
        }
        let (client, connection) =
            connected.map_err(|fault| (reason(&fault), error_chain(&fault)))?;
        let conn = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
        let mut conn = conn.map_err(|fault| (UNREACHABLE, error_chain(&fault)))?;
        conn.batch_execute(&session_settings())
            .await
            .map_err(|fault| (UNREACHABLE, error_chain(&fault)))?;
        Ok(conn)
    }
}

/// Returns true if a connection without TLS may succeed: TLS failed, or the server refuses TLS
/// clients, as `hostnossl` in pg_hba.conf does. The driver itself continues in the clear only when
/// the server offers no TLS; libpq does so in these cases too.
fn is_about_tls(fault: &tokio_postgres::Error) -> bool {
    tls::reason(fault).is_some()
        || fault.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// Joins the fault and its causes, which its own text leaves out, into one line.
fn error_chain(fault: &dyn Error) -> String {
    let (mut texts, mut next) = (vec![fault.to_string()], fault.source());
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.dedup();
    texts.join(": ").replace('\n', "; ")
}

/// Settings of each connection. A statement or transaction that this server abandons ends by
/// itself, a little later than the server would end it, and blocks nobody for longer. No statement
/// here is worth compiling (`jit`).
fn session_settings() -> String {
    let (statement, transaction) = (
        (TIME_LIMIT + Duration::from_secs(2)).as_millis(),
        (TIME_LIMIT + Duration::from_secs(5)).as_millis(),
    );
    format!(
        "SET statement_timeout = {statement}; \
         SET idle_in_transaction_session_timeout = {transaction}; \
         SET jit = off"
    )
}

fn reason(fault: &tokio_postgres::Error) -> &'static str {
    match fault.code().map(SqlState::code) {
        None => tls::reason(fault).unwrap_or(UNREACHABLE),
        Some(code) if code.starts_with("28") => "The database refuses the user or the password",
        Some("3D000") => "The database does not exist",
        Some("53300") => "The database has no connection left",
        Some("57P03") => "The database is starting up or shutting down",
        Some(_) => "The database refuses connections",
    }
}

/// Whether the database can be used, and if not, why.
#[derive(Default)]
pub struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    /// Why the last attempt to connect failed.
    reason: Option<&'static str>,
    failures: u32,
    /// No attempt is made before this.
    pause_until: Option<Instant>,
    /// Committed events could not be appended to the log recently.
    log_stalled: bool,
}

impl Health {
    /// The current problem, in words for `/readyz`.
    pub fn problem(&self) -> Option<&'static str> {
        let state = self.state();
        state.reason.or(if state.log_stalled {
            Some("Events cannot be added to the log")
        } else {
            None
        })
    }

    pub(super) fn set_log_stalled(&self, stalled: bool) {
        self.state().log_stalled = stalled;
    }

    fn may_connect(&self) -> Result<(), &'static str> {
        let state = self.state();
        match (state.reason, state.pause_until) {
            (Some(reason), Some(until)) if Instant::now() < until => Err(reason),
            _ => Ok(()),
        }
    }

    fn connected(&self) {
        let mut state = self.state();
        (state.reason, state.failures, state.pause_until) = (None, 0, None);
    }

    fn failed(&self, reason: &'static str) {
        let mut state = self.state();
        state.reason = Some(reason);
        state.pause_until = Some(
            Instant::now() + LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(state.failures.min(8))),
        );
        state.failures += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code in this module panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool, with the reason when it has no connection.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool<AsyncPgConnection>,
    health: Arc<Health>,
}

impl Connections {
    pub(super) fn new(connector: Connector, size: usize) -> Result<Self, OpenError> {
        let health = Arc::clone(&connector.health);
        let connector = Arc::new(connector);
        let mut settings = ManagerConfig::default();
        // A check before each use would cost a round trip; a closed connection is noticed without
        // one.
        settings.recycling_method = RecyclingMethod::Fast;
        settings.custom_setup = Box::new(move |_url| {
            let connector = Arc::clone(&connector);
            Box::pin(async move { connector.connect().await })
                as Pin<Box<dyn Future<Output = _> + Send>>
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", settings);
        let pool = Pool::builder(manager).max_size(size).build().map_err(OpenError::database)?;
        Ok(Self { pool, health })
    }

    /// Returns a connection, or the reason why there is none.
    pub(super) async fn get(&self) -> Result<Conn, &'static str> {
        match self.pool.get().await {
            Ok(conn) => Ok(Conn::Postgres(Box::new(conn))),
            Err(_) => Err(self.health.problem().unwrap_or(UNREACHABLE)),
        }
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }
}

/// Closes a connection in an unknown state instead of returning it to the pool.
pub(super) fn discard(conn: Conn) {
    if let Conn::Postgres(conn) = conn {
        drop(Object::take(*conn));
    }
}

/// The PostgreSQL connection; this module gets no other.
pub(super) fn connection(conn: &mut Conn) -> &mut AsyncPgConnection {
    match conn {
        Conn::Postgres(conn) => conn,
        Conn::Sqlite(_) => unreachable!("this module makes no SQLite connection"),
    }
}

//! Connections to PostgreSQL: made within a time limit, counted, and pooled. When there are none, a
//! caller gets the reason, in words that `/readyz` may show.
//!
//! A connection counts until PostgreSQL has closed it, and so also while the server ends what its
//! client has given up: a COMMIT that waits for a standby outlives every time limit, and would hold
//! one server process after another if its place were free at once.

pub(super) mod pooler;
mod tls;

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use hubcast_realtime::throttled;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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
/// The time after which an idle connection is probed by the kernel, and how often and how many
/// times before it is given up; and the limit of what was sent and is not acknowledged. So the
/// place of a connection whose network is gone is free again after a minute.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVES: u32 = 3;

/// Begins, commits and rolls back transactions.
pub(super) type TransactionManager = <AsyncPgConnection as AsyncConnection>::TransactionManager;

const UNREACHABLE: &str = "The database cannot be reached";

pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    attempts: Attempts,
    /// A permit for each connection that may be open.
    slots: Arc<Semaphore>,
    keeps_sessions: Arc<AtomicBool>,
}

impl Connector {
    /// Makes at most `size` connections at a time.
    pub(super) fn new(url: &PostgresUrl, size: usize) -> Result<Self, OpenError> {
        let mut config = url.config.clone();
        if config.get_application_name().is_none() {
            config.application_name("hubcast");
        }
        config
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE_EVERY)
            .keepalives_retries(KEEPALIVES)
            .tcp_user_timeout(KEEPALIVE * 2);
        Ok(Self {
            config,
            tls: tls::connector(&url.tls)?,
            attempts: Attempts::default(),
            slots: Arc::new(Semaphore::new(size)),
            keeps_sessions: Arc::default(),
        })
    }

    /// Another connector to the same database, with places of its own.
    pub(super) fn another(&self, size: usize) -> Self {
        Self {
            config: self.config.clone(),
            tls: self.tls.clone(),
            attempts: Attempts::default(),
            slots: Arc::new(Semaphore::new(size)),
            keeps_sessions: Arc::clone(&self.keeps_sessions),
        }
    }

    /// A connection stays the same session of PostgreSQL from its begin to its end, so it may have
    /// settings of its own. Until this is called, none are made.
    pub(super) fn keep_sessions(&self) {
        self.keeps_sessions.store(true, Ordering::Release);
    }

    /// Waits for a place, and connects, within [`CONNECT_TIMEOUT`]. While the database is away only
    /// one attempt is made per pause; other callers fail at once.
    pub(super) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let refuse = |reason: &str| ConnectionError::BadConnection(reason.into());
        self.attempts.may_connect().map_err(refuse)?;
        // The semaphore is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| refuse(UNREACHABLE))?;
        // Other callers may have failed meanwhile.
        self.attempts.may_connect().map_err(refuse)?;
        let (reason, error) =
            match tokio::time::timeout(CONNECT_TIMEOUT, self.establish(slot)).await {
                Ok(Ok(conn)) => {
                    self.attempts.connected();
                    return Ok(conn);
                }
                Ok(Err(failed)) => failed,
                Err(_) => (NO_ANSWER, ConnectionError::BadConnection("it took too long".into())),
            };
        self.attempts.failed(reason);
        // The fault's own text says more than the reason, and holds neither password nor URL.
        let fault = error.to_string();
        throttled!(warn, by = &fault, fault, "cannot connect to the database");
        Err(match error {
            ConnectionError::BadConnection(_) => {
                ConnectionError::BadConnection(format!("{reason}: {fault}"))
            }
            other => other,
        })
    }

    /// Like [`Connector::connect`], with a reason in words for `/readyz`.
    pub(super) async fn connect_or_reason(&self) -> Result<AsyncPgConnection, &'static str> {
        let connected = self.connect().await;
        connected.map_err(|_| self.attempts.reason().unwrap_or(UNREACHABLE))
    }

    async fn establish(
        &self,
        slot: OwnedSemaphorePermit,
    ) -> Result<AsyncPgConnection, (&'static str, ConnectionError)> {
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
        let (client, connection) = connected.map_err(|fault| {
            (reason(&fault), ConnectionError::BadConnection(error_chain(&fault)))
        })?;
        // Ends when the client is dropped and has its last answer, or when the line is broken.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database was lost");
            }
            drop(slot);
        });
        let conn = AsyncPgConnection::try_from(client).await;
        let mut conn = conn.map_err(|fault| (UNREACHABLE, fault))?;
        if self.keeps_sessions.load(Ordering::Acquire) {
            conn.batch_execute(&session_settings()).await.map_err(|fault| {
                (UNREACHABLE, ConnectionError::CouldntSetupConfiguration(fault))
            })?;
        }
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

/// How the last attempts to connect ended.
#[derive(Default)]
struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    /// Why the last attempt failed.
    reason: Option<&'static str>,
    failures: u32,
    /// No attempt is made before this.
    pause_until: Option<Instant>,
}

impl Attempts {
    fn may_connect(&self) -> Result<(), &'static str> {
        let state = self.state();
        match (state.reason, state.pause_until) {
            (Some(reason), Some(until)) if Instant::now() < until => Err(reason),
            _ => Ok(()),
        }
    }

    fn reason(&self) -> Option<&'static str> {
        self.state().reason
    }

    fn connected(&self) {
        *self.state() = State::default();
    }

    fn failed(&self, reason: &'static str) {
        let mut state = self.state();
        state.reason = Some(reason);
        state.pause_until = Some(
            Instant::now() + LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(state.failures.min(8))),
        );
        state.failures = state.failures.saturating_add(1);
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
    connector: Arc<Connector>,
}

impl Connections {
    /// A pool of as many connections as the connector makes.
    pub(super) fn new(connector: Connector) -> Result<Self, OpenError> {
        let size = connector.slots.available_permits();
        let connector = Arc::new(connector);
        let connects = Arc::clone(&connector);
        let mut settings = ManagerConfig::default();
        // A check before each use would cost a round trip; a closed connection is noticed without
        // one.
        settings.recycling_method = RecyclingMethod::Fast;
        settings.custom_setup = Box::new(move |_url| {
            let connector = Arc::clone(&connects);
            Box::pin(async move { connector.connect().await })
                as Pin<Box<dyn Future<Output = _> + Send>>
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", settings);
        let pool = Pool::builder(manager).max_size(size).build().map_err(OpenError::database)?;
        Ok(Self { pool, connector })
    }

    /// Returns a connection, or the reason why there is none. Waits while all are in use; the
    /// caller has the time limit.
    pub(super) async fn get(&self) -> Result<Conn, &'static str> {
        match self.pool.get().await {
            Ok(conn) => Ok(Conn::Postgres(Box::new(conn))),
            // The connection failed just now, or the last attempt did.
            Err(_) => Err(self.connector.attempts.reason().unwrap_or(UNREACHABLE)),
        }
    }

    /// Like [`Connections::get`], for the appender, which keeps its connection.
    pub(super) async fn get_for_appender(&self) -> Result<Conn, &'static str> {
        let mut conn = self.get().await?;
        if self.connector.keeps_sessions.load(Ordering::Acquire) {
            // The outbox grows and shrinks faster than the planner's statistics: a table that once
            // was small would be scanned from end to end.
            let set = connection(&mut conn).batch_execute("SET enable_seqscan = off").await;
            if set.is_err() {
                discard(conn);
                return Err(NO_ANSWER);
            }
        }
        Ok(conn)
    }
}

/// Closes a connection in an unknown state instead of returning it to the pool. It still counts
/// until the server has ended what runs on it.
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

//! The settings: one documented field each, as plain data. No other module reads the environment.
//!
//! `cli` parses them: a flag wins over the environment, and the environment over `.env`. `app` and
//! the commands get the groups that they need. The doc of a field is its text in `--help` and in
//! `docs/settings.md`. This module imports no other module of the crate.
//!
//! `parse.rs` has the notations of values, `database.rs` DATABASE_URL, `auth.rs` and `keys/` the
//! keys of tokens, `tls.rs` the files of TLS, `page.rs` the test page, `path.rs` the names of
//! files, `private.rs` their readers, `origins.rs` CORS_ORIGINS, `proxies.rs` TRUSTED_PROXIES,
//! `limits.rs` rates and caps, `rules.rs` what customers may do, `production.rs` what
//! HUBCAST_ENV=production changes.

mod auth;
mod database;
mod keys;
mod limits;
mod origins;
mod page;
mod parse;
mod path;
mod private;
mod production;
mod proxies;
mod rules;
mod tls;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

pub use auth::{AuthSettings, KeySource, MIN_SECRET, SECRET_FILE, SubjectMeaning};
pub use database::{DatabaseUrl, PostgresUrl, Tls};
pub use keys::{
    KeyFile, KeyUrl, KeyUrls, MAX_KEYS, MAX_KEYS_TEXT, PublicKey, PublicKeySource, PublicKeys,
    algorithm_named,
};
pub use limits::LimitSettings;
pub use origins::Origins;
pub use page::{Currency, PageSettings};
pub use parse::{ByteRate, Rate, Secret, Words, duration};
pub use path::real_path;
pub use private::{NotPrivate, check_folder, keep_own, keep_private, no_follow, not_opened};
pub use production::{Open, PROFILE, ProfileRow, open};
pub use proxies::TrustedProxies;
pub use rules::{Catalog, CustomerPayments, Membership, OrderHold, Registration, RuleSettings};
pub use tls::{TlsFiles, TlsSettings};

/// A setting that cannot be used, and how to mend it. The process prints this one line and exits 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSetting {
    /// Its name in the environment, such as `JWT_SECRET`.
    pub setting: &'static str,
    /// Advice for the operator. Never contains the value of a secret.
    pub mend: String,
}

impl std::fmt::Display for BadSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.setting, self.mend)
    }
}

impl std::error::Error for BadSetting {}

/// All settings of `hubcast serve`.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub tls: TlsSettings,
    #[command(flatten)]
    pub database: DatabaseSettings,
    #[command(flatten)]
    pub auth: AuthSettings,
    #[command(flatten)]
    pub realtime: RealtimeSettings,
    #[command(flatten)]
    pub access: AccessSettings,
    #[command(flatten)]
    pub limits: LimitSettings,
    #[command(flatten)]
    pub rules: RuleSettings,
    #[command(flatten)]
    pub page: PageSettings,
    #[command(flatten)]
    pub log: LogSettings,
}

/// The default of SOCKETIO_PATH.
pub const SOCKETIO_PATH: &str = "/socket.io";

/// The least time that an event is kept beyond RECOVERY_WINDOW.
const RETENTION_MARGIN: Duration = Duration::from_secs(60);

impl Settings {
    /// Checks the rules that involve more than one setting, and returns the first violation.
    pub fn check(&self) -> Result<(), BadSetting> {
        self.check_production()?;
        if self.realtime.event_retention
            < self.realtime.recovery_window.saturating_add(RETENTION_MARGIN)
        {
            let mend = "has to be at least RECOVERY_WINDOW and one minute, or sessions would be \
                        resumed with a gap"
                .to_owned();
            return Err(BadSetting { setting: "EVENT_RETENTION", mend });
        }
        self.tls.server()?;
        self.auth.key(self.server.environment.environment, &self.database.url).map(drop)
    }
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address or host name to listen on. REST, Socket.IO and plain WebSocket share one port
    #[arg(long, env = "HOST", default_value = "127.0.0.1", value_parser = parse::host)]
    pub host: String,
    /// Port to listen on. 0 takes a free port, and the log names it
    #[arg(long, env = "PORT", default_value_t = 3000, value_parser = parse::port)]
    pub port: u16,
    /// Number of threads that serve connections, 1 to 1024 [default: one per core]
    #[arg(long, env = "WORKERS", value_parser = parse::workers)]
    pub workers: Option<NonZeroUsize>,
    /// Time that an HTTP connection without a request is kept open: ms, s, m or h. Longer than the
    /// idle time of the proxies and clients in front, so that it is they who close
    #[arg(long, env = "KEEP_ALIVE", default_value = "75s", value_parser = parse::duration)]
    pub keep_alive: Duration,
    /// Separate address and port for /metrics, over HTTP, such as 127.0.0.1:9100; the main port
    /// then has no /metrics. Port 0 takes a free port, and the log names it
    /// [default: on the main port]
    #[arg(long = "metrics-addr", env = "METRICS_ADDR", value_parser = parse::address)]
    pub metrics_address: Option<SocketAddr>,
    #[command(flatten)]
    pub environment: EnvironmentSetting,
    /// Add demo accounts (admin@demo.test, alice@demo.test and bob@demo.test, password
    /// `demo-password`) with products, orders, notifications, a project and a conversation. Refused
    /// in production
    #[arg(long, env = "HUBCAST_DEMO", action = ArgAction::SetTrue, value_parser = parse::flag)]
    pub demo: bool,
}

/// A group of its own, because the command that makes tokens needs it too.
#[derive(Debug, Clone, Copy, Args)]
pub struct EnvironmentSetting {
    /// `production` refuses what is unsafe there: demo accounts, users by query, a missing or short
    /// JWT_SECRET; `hubcast check-config` prints all that it changes. The other two values change
    /// nothing
    #[arg(long = "env", env = "HUBCAST_ENV", value_enum)]
    pub environment: Option<Environment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    Production,
    Development,
    Test,
}

/// The database. Every command that uses it takes this group.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// `sqlite://PATH` for the bundled SQLite, relative to the working directory unless PATH begins
    /// with `/`; only one server can use the file, and a second one exits 1. Or
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=` `disable`, `prefer`
    /// (default), `require`, `verify-ca` or `verify-full`, and `sslrootcert=` the path of a PEM
    /// file or `system`, as in libpq. Only `verify-full` is safe against an attacker in the
    /// network. The `verify` modes use the system's root certificates unless `sslrootcert` names
    /// others; `~/.postgresql` is not read
    #[arg(long = "database-url", env = "DATABASE_URL", default_value = "sqlite://data/hubcast.db")]
    pub url: DatabaseUrl,
    /// What an answered write survives on SQLite: `full` survives a loss of power, `normal` only a
    /// crash of the process
    #[arg(
        long = "sqlite-synchronous", env = "SQLITE_SYNCHRONOUS", value_enum,
        default_value_t = Synchronous::Full
    )]
    pub synchronous: Synchronous,
    /// Most connections of one server to PostgreSQL, 4 to 1000, in all. One is for the health
    /// check, one for the log; the rest is for reads and writes, which wait while all are in use
    #[arg(
        long = "database-pool", env = "DATABASE_POOL", default_value_t = 21,
        value_parser = clap::value_parser!(u32).range(4..=1000)
    )]
    pub pool: u32,
    /// Do not run migrations at the start. If the schema is out of date, the server exits 1, as
    /// commands other than `migrate` always do
    #[arg(long = "no-migrate", action = ArgAction::SetFalse)]
    pub migrate: bool,
    /// Not a setting: `serve` and `migrate` set this.
    #[arg(skip)]
    pub opener: Opener,
}

impl DatabaseSettings {
    #[must_use]
    pub fn opened_by(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// Returns true for a server: it locks its SQLite file, begins an epoch, and is asked whether
    /// it is ready.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.opener == Opener::Server
    }
}

/// What opens the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opener {
    /// A command, maybe beside a running server. It migrates only a new database.
    #[default]
    Command,
    /// `hubcast migrate`.
    Migration,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Synchronous {
    Full,
    Normal,
}

/// The path, timeouts and limits of connections. The first five have Socket.IO's names and
/// meanings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sockets")]
pub struct RealtimeSettings {
    /// Path of Socket.IO, which clients name in their option `path`
    #[arg(
        long = "socketio-path", env = "SOCKETIO_PATH", default_value = SOCKETIO_PATH,
        value_parser = parse::socketio_path
    )]
    pub socketio_path: String,
    /// Time between two pings to a client, in milliseconds, as in Socket.IO
    #[arg(
        long = "ping-interval-ms", env = "PING_INTERVAL_MS", default_value = "25000",
        value_parser = parse::millis
    )]
    pub ping_interval: Duration,
    /// Time to wait for the pong before the connection is closed, in milliseconds, as in Socket.IO
    #[arg(
        long = "ping-timeout-ms", env = "PING_TIMEOUT_MS", default_value = "20000",
        value_parser = parse::millis
    )]
    pub ping_timeout: Duration,
    /// Largest message that a client may send: bytes, KiB or MiB
    #[arg(long, env = "MAX_PAYLOAD", default_value = "1000000", value_parser = parse::size)]
    pub max_payload: usize,
    /// Time that a connection has to join a namespace or to sign in, in milliseconds; also the time
    /// within which a message in several frames has to be complete
    #[arg(
        long = "connect-timeout-ms", env = "CONNECT_TIMEOUT_MS", default_value = "45000",
        value_parser = parse::millis
    )]
    pub connect_timeout: Duration,
    /// Most bytes that wait for one client, in bytes, KiB or MiB. A client that falls further
    /// behind is disconnected
    #[arg(long, env = "OUTBOX_LIMIT", default_value = "1MiB", value_parser = parse::size)]
    pub outbox_limit: usize,
    /// Time after which a client that reads nothing, while bytes wait for it, is disconnected: ms,
    /// s, m or h
    #[arg(long, env = "STALL_TIMEOUT", default_value = "10s", value_parser = parse::duration)]
    pub stall_timeout: Duration,
    /// Most users in a room for which presence events are sent. In a larger room, joining and
    /// leaving is not announced
    #[arg(long, env = "PRESENCE_LIMIT", default_value = "200", value_parser = parse::count)]
    pub presence_limit: usize,
    /// Send `notification` also as `notification:new`, and `error` also as `exception`, their older
    /// names: on or off
    #[arg(
        long, env = "EVENT_ALIASES", default_value = "on", value_parser = parse::flag,
        action = ArgAction::Set
    )]
    pub event_aliases: bool,
    /// Time within which a client can resume its session after a lost connection: ms, s, m or h
    #[arg(long, env = "RECOVERY_WINDOW", default_value = "2m", value_parser = parse::duration)]
    pub recovery_window: Duration,
    /// Time that stored events are kept, at least RECOVERY_WINDOW and one minute: ms, s, m or h
    #[arg(long, env = "EVENT_RETENTION", default_value = "24h", value_parser = parse::duration)]
    pub event_retention: Duration,
}

/// Origins, proxies and the ends of tokens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// Origins whose pages may call this server, as a comma list, or `*` for any. Applies to REST,
    /// polling and WebSocket alike. `https://*.example.com` is every name below that domain, but
    /// not the domain itself; `http://localhost:*` every port; `null` and `file://` are pages of
    /// files, of apps and in sandboxes. With these and with `*`, cookies do not count
    /// [default: same origin only]
    #[arg(long, env = "CORS_ORIGINS", default_value = "", hide_default_value = true)]
    pub cors_origins: Origins,
    /// What becomes of a socket when its token expires: `close` ends it, with a warning one minute
    /// before; `keep` lets it be, as NestJS does. A logout ends it all the same
    #[arg(long, env = "SOCKET_TOKEN_END", value_enum, default_value_t = SocketTokenEnd::Close)]
    pub socket_token_end: SocketTokenEnd,
    /// Addresses or networks (CIDR) of reverse proxies, as a comma list. Only their Forwarded,
    /// X-Forwarded-For and X-Forwarded-Proto are believed [default: none]
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", hide_default_value = true)]
    pub trusted_proxies: TrustedProxies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SocketTokenEnd {
    Close,
    Keep,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Format of the log on stderr; `auto` is text, with colours on a terminal. RUST_LOG sets the
    /// level (`info` if unset)
    #[arg(long = "log-format", env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

#[cfg(test)]
mod tests;

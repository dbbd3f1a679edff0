//! The settings: one documented field each, as plain data that is passed in. Nobody reads the
//! environment after this.
//!
//! `cli` parses them (flags weigh more than the environment, the environment more than `.env`),
//! `app` and the commands are handed the groups that they need. This module knows no other one;
//! what the values mean in use is said at their fields, how they are written in `parse.rs`,
//! DATABASE_URL in `database.rs`, the keys of tokens in `auth.rs` and `keys.rs`, the files of TLS
//! in `tls.rs`, the test page in `page.rs`.

mod auth;
mod database;
mod keys;
mod page;
mod parse;
mod proxies;
mod tls;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

pub use auth::{AuthSettings, KeySource, SECRET_FILE};
pub use database::{DatabaseUrl, PostgresUrl, Tls};
pub use keys::{PublicKey, PublicKeys};
pub use page::{Currency, PageSettings};
pub use parse::{Origins, Rate, Secret, duration};
pub use proxies::TrustedProxies;
pub use tls::TlsSettings;

/// A setting that cannot be used: which one, and how to mend it. The process exits 2 with this one
/// line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSetting {
    /// As it is written in the environment, e.g. `JWT_SECRET`.
    pub setting: &'static str,
    /// What to do about it; never holds the value of a secret.
    pub mend: String,
}

impl std::fmt::Display for BadSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.setting, self.mend)
    }
}

impl std::error::Error for BadSetting {}

/// Everything that `hubcast serve` takes.
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
    pub page: PageSettings,
    #[command(flatten)]
    pub log: LogSettings,
}

/// Events outlive a session's time by at least so much.
const RETENTION_MARGIN: Duration = Duration::from_secs(60);

impl Settings {
    /// The rules that tie settings to each other.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), BadSetting> {
        let environment = self.server.environment.environment;
        if self.server.demo && environment == Some(Environment::Production) {
            let mend = "is refused with HUBCAST_ENV=production, because its passwords are public; leave it out".to_owned();
            return Err(BadSetting { setting: "HUBCAST_DEMO", mend });
        }
        if self.access.allow_query_user && environment == Some(Environment::Production) {
            let mend = "is refused with HUBCAST_ENV=production, because anyone could then be any user; leave it out".to_owned();
            return Err(BadSetting { setting: "ALLOW_QUERY_USER", mend });
        }
        if self.realtime.event_retention
            < self.realtime.recovery_window.saturating_add(RETENTION_MARGIN)
        {
            let mend = "has to be at least RECOVERY_WINDOW and one minute, or sessions would be resumed with a gap".to_owned();
            return Err(BadSetting { setting: "EVENT_RETENTION", mend });
        }
        self.tls.server()?;
        self.auth.key(environment, &self.database.url).map(drop)
    }
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address or host name to listen on; HTTP, Socket.IO and plain WebSocket share it
    #[arg(long, env = "HOST", default_value = "127.0.0.1", value_parser = parse::host)]
    pub host: String,
    /// Port to listen on; 0 takes a free one, which the log names
    #[arg(long, env = "PORT", default_value_t = 3000, value_parser = parse::port)]
    pub port: u16,
    /// Worker threads that serve connections [default: one per core]
    #[arg(long, env = "WORKERS", value_parser = parse::workers)]
    pub workers: Option<NonZeroUsize>,
    /// Address and port of its own for /metrics, over HTTP, such as 127.0.0.1:9100; port 0 takes a
    /// free one, which the log names [default: with everything else]
    #[arg(long = "metrics-addr", env = "METRICS_ADDR", value_parser = parse::address)]
    pub metrics_address: Option<SocketAddr>,
    #[command(flatten)]
    pub environment: EnvironmentSetting,
    /// Adds demo accounts (admin@demo.test, alice@demo.test, bob@demo.test; password
    /// `demo-password`) and orders; refused in production
    #[arg(long, env = "HUBCAST_DEMO", action = ArgAction::SetTrue, value_parser = parse::flag)]
    pub demo: bool,
}

/// On its own, because commands that make tokens have to know it too.
#[derive(Debug, Clone, Copy, Args)]
pub struct EnvironmentSetting {
    /// `production` turns on the refusals that the other settings speak of
    #[arg(long = "env", env = "HUBCAST_ENV", value_enum)]
    pub environment: Option<Environment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    Production,
    Development,
    Test,
}

/// Where the rows live. Every command that touches the database takes this group.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// `sqlite://PATH` (bundled SQLite; relative to the working directory unless PATH begins with
    /// `/`) or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with libpq's
    /// `?sslmode=disable|prefer|require|verify-ca|verify-full` (`prefer` when left out) and
    /// `&sslrootcert=PATH` or `system` (for `verify-…` the system's roots when left out;
    /// `~/.postgresql` is not looked at)
    #[arg(long = "database-url", env = "DATABASE_URL", default_value = "sqlite://data/hubcast.db")]
    pub url: DatabaseUrl,
    /// What an answered write survives on SQLite: `full` the loss of power, `normal` a crash of the
    /// process
    #[arg(long = "sqlite-synchronous", env = "SQLITE_SYNCHRONOUS", value_enum, default_value_t = Synchronous::Full)]
    pub synchronous: Synchronous,
    /// Do not run migrations; a schema that is behind then ends the command with exit code 1
    #[arg(long = "no-migrate", action = ArgAction::SetFalse)]
    pub migrate: bool,
    /// Whether this is a server: its clients resume on what the log holds, and on SQLite it is the
    /// one on this file. Not a setting: `serve` is, every other command is not.
    #[arg(skip)]
    pub lock: bool,
}

impl DatabaseSettings {
    /// The same, as the one server on its SQLite file.
    #[must_use]
    pub fn locked(mut self) -> Self {
        self.lock = true;
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Synchronous {
    Full,
    Normal,
}

/// Time-outs and bounds of sockets; the first four mean what they mean in Socket.IO.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sockets")]
pub struct RealtimeSettings {
    /// How often a socket is pinged, in milliseconds
    #[arg(long = "ping-interval-ms", env = "PING_INTERVAL_MS", default_value = "25000", value_parser = parse::millis)]
    pub ping_interval: Duration,
    /// How long the pong may take, in milliseconds
    #[arg(long = "ping-timeout-ms", env = "PING_TIMEOUT_MS", default_value = "20000", value_parser = parse::millis)]
    pub ping_timeout: Duration,
    /// Largest message a client may send: bytes, KiB or MiB
    #[arg(long, env = "MAX_PAYLOAD", default_value = "1000000", value_parser = parse::size)]
    pub max_payload: usize,
    /// How long a connection may stay without joining a namespace or signing in, and how long the
    /// rest of a message may take that has begun to come, in milliseconds
    #[arg(long = "connect-timeout-ms", env = "CONNECT_TIMEOUT_MS", default_value = "45000", value_parser = parse::millis)]
    pub connect_timeout: Duration,
    /// How far a reader may fall behind, per socket, before it is cut: bytes, KiB or MiB
    #[arg(long, env = "OUTBOX_LIMIT", default_value = "1MiB", value_parser = parse::size)]
    pub outbox_limit: usize,
    /// How long a reader may take not one byte while bytes wait for it, before it is cut: ms, s, m
    /// or h
    #[arg(long, env = "STALL_TIMEOUT", default_value = "10s", value_parser = parse::duration)]
    pub stall_timeout: Duration,
    /// Above so many users in a room, nobody is told who comes and goes there
    #[arg(long, env = "PRESENCE_LIMIT", default_value = "200", value_parser = parse::count)]
    pub presence_limit: usize,
    /// Whether events that have an older name (notification:new, exception) also go out under it:
    /// on or off
    #[arg(long, env = "EVENT_ALIASES", default_value = "on", value_parser = parse::flag, action = ArgAction::Set)]
    pub event_aliases: bool,
    /// How long a lost session can be resumed: ms, s, m or h
    #[arg(long, env = "RECOVERY_WINDOW", default_value = "2m", value_parser = parse::duration)]
    pub recovery_window: Duration,
    /// How long stored events are kept, at least RECOVERY_WINDOW and a minute: ms, s, m or h
    #[arg(long, env = "EVENT_RETENTION", default_value = "24h", value_parser = parse::duration)]
    pub event_retention: Duration,
}

/// Who may come, and how often.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// Origins that may call, as a comma list, or `*` for any; one setting for REST, polling and
    /// WebSocket [default: same origin only]
    #[arg(long, env = "CORS_ORIGINS", default_value = "", hide_default_value = true)]
    pub cors_origins: Origins,
    /// Events that one socket may send: N/s or N/m, optionally ,BURST (which is N when left out)
    #[arg(long, env = "RATE_EVENTS", default_value = "100/s,200")]
    pub rate_events: Rate,
    /// Sign-ins and registrations per account and address: N/s or N/m, optionally ,BURST
    #[arg(long, env = "RATE_LOGIN", default_value = "30/m")]
    pub rate_login: Rate,
    /// New sockets per address: N/s or N/m, optionally ,BURST
    #[arg(long, env = "RATE_CONNECT", default_value = "200/s,20000")]
    pub rate_connect: Rate,
    /// Addresses or networks (CIDR), as a comma list, whose X-Forwarded-For and X-Forwarded-Proto
    /// count [default: none]
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", hide_default_value = true)]
    pub trusted_proxies: TrustedProxies,
    /// For development only: a socket without a token may come with ?userId= of an existing user,
    /// as a customer; refused in production
    #[arg(long, env = "ALLOW_QUERY_USER", action = ArgAction::SetTrue, value_parser = parse::flag)]
    pub allow_query_user: bool,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// `auto` is text, with colours on a terminal. RUST_LOG says what is logged (`info` when unset)
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
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Probe {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(flags: &[&str]) -> Settings {
        Probe::try_parse_from([&["probe"], flags].concat())
            .map(|probe| probe.settings)
            .expect("flags parse")
    }

    #[test]
    fn what_is_for_development_is_refused_in_production() {
        for (flag, setting) in
            [("--demo", "HUBCAST_DEMO"), ("--allow-query-user", "ALLOW_QUERY_USER")]
        {
            let flags = [flag, "--env", "production", "--jwt-secret", "s"];
            assert_eq!(settings(&flags).check().expect_err("refused").setting, setting);
        }
    }

    #[test]
    fn events_are_kept_longer_than_sessions() {
        let check = |window, retention| {
            settings(&[
                "--jwt-secret",
                "s",
                "--recovery-window",
                window,
                "--event-retention",
                retention,
            ])
            .check()
            .map_err(|bad| bad.setting)
        };
        assert_eq!(check("2m", "3m"), Ok(()));
        assert_eq!(check("2m", "179s"), Err("EVENT_RETENTION"));
    }

    #[test]
    fn settings_do_not_print_secrets() {
        let settings = settings(&[
            "--jwt-secret",
            "hush-hush",
            "--database-url",
            "postgres://u:hush-hush@h/d",
        ]);
        assert!(!format!("{settings:?}").contains("hush-hush"));
    }
}

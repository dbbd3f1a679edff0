//! The schema's version: embedded migrations, run or only checked at the start. Blocks; called
//! before any runtime runs.
//!
//! PostgreSQL is reached through diesel-async's blocking wrapper, so libpq is not needed. Of
//! several servers that start at once one migrates and the others wait: on SQLite for the write
//! lock, on PostgreSQL for an advisory lock, which ends with the transaction of the migration.
//! Where nothing is pending, nothing is locked and nothing written.

use std::time::{Duration, Instant};

use diesel::backend::Backend;
use diesel::connection::{Connection, SimpleConnection};
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Integer, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{OptionalExtension, QueryableByName, RunQueryDsl};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::config::{DatabaseSettings, Opener};
use crate::store::OpenError;

pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
pub(super) const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// What is done about pending migrations.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pending {
    /// They run. A migration of another process is waited for, for this time at most (PostgreSQL).
    Run(Duration),
    /// They run if the database is new, and nothing is waited for: a command leaves the schema of
    /// a running server alone.
    RunIfNew,
    /// The database is not opened.
    Refuse,
}

impl Pending {
    pub(super) fn of(settings: &DatabaseSettings) -> Self {
        match (settings.migrate, settings.opener) {
            (false, _) => Self::Refuse,
            (true, Opener::Command) => Self::RunIfNew,
            (true, Opener::Migration | Opener::Server) => Self::Run(PATIENCE),
        }
    }

    /// The time that another process is waited for, or `None` if nothing is to run.
    fn patience(self, is_new: bool) -> Option<Duration> {
        match self {
            Self::Run(patience) => Some(patience),
            Self::RunIfNew if is_new => Some(Duration::ZERO),
            Self::RunIfNew | Self::Refuse => None,
        }
    }
}

pub(super) fn sqlite(conn: &mut SqliteConnection, pending: Pending) -> Result<(), OpenError> {
    let has_table: Found = diesel::sql_query(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations') \
         AS found",
    )
    .get_result(conn)
    .map_err(OpenError::database)?;
    let applied = if has_table.found { diesel::sql_query(APPLIED).load(conn) } else { Ok(vec![]) };
    if !is_pending::<Sqlite>(&SQLITE, &applied.map_err(OpenError::database)?)? {
        return Ok(());
    }
    if pending.patience(!has_table.found).is_none() {
        return Err(OpenError::SchemaBehind);
    }
    // Checks again under the write lock: another process may have migrated.
    conn.immediate_transaction(|conn| {
        conn.run_pending_migrations(SQLITE).map_err(MigrationFailure::Migration)?;
        Ok(())
    })
    .map_err(|failed: MigrationFailure| match failed {
        MigrationFailure::Busy => OpenError::Migrating(None),
        MigrationFailure::Migration(fault) => OpenError::Database(fault.to_string()),
        MigrationFailure::Transaction(fault) => OpenError::database(fault),
    })
}

enum MigrationFailure {
    /// Another process has the lock.
    Busy,
    Migration(Box<dyn std::error::Error + Send + Sync>),
    Transaction(diesel::result::Error),
}

impl From<diesel::result::Error> for MigrationFailure {
    fn from(fault: diesel::result::Error) -> Self {
        Self::Transaction(fault)
    }
}

/// A row of one truth value.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

const APPLIED: &str = "SELECT version FROM __diesel_schema_migrations";

/// The version of a migration that has run.
#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Returns true if a migration is pending. diesel's own question makes the table of migrations
/// first; a role may have no right to that, and a standby takes no writes.
fn is_pending<DB: Backend>(
    source: &impl MigrationSource<DB>,
    applied: &[Applied],
) -> Result<bool, OpenError> {
    let known = source.migrations().map_err(OpenError::database)?;
    let has_run = |version: &str| applied.iter().any(|applied| applied.version == version);
    Ok(!known.iter().all(|migration| has_run(&migration.name().version().to_string())))
}

/// The advisory lock of a migration; an arbitrary number. Advisory locks are per database.
const LOCK: i64 = 0x6875_6263_6173_7401;
/// How long a migration of another process is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked for meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Must be called on a thread that may block. Consumes the connection.
pub(super) fn postgres(conn: AsyncPgConnection, pending: Pending) -> Result<(), OpenError> {
    postgres_on(&mut conn.into(), pending)
}

/// Like [`postgres`], and leaves the connection to the caller.
pub(super) fn postgres_on(
    conn: &mut AsyncConnectionWrapper<AsyncPgConnection>,
    pending: Pending,
) -> Result<(), OpenError> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        let has_table: Found = diesel::sql_query(
            "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS found",
        )
        .get_result(conn)
        .map_err(OpenError::database)?;
        let applied =
            if has_table.found { diesel::sql_query(APPLIED).load(conn) } else { Ok(vec![]) };
        if !is_pending::<Pg>(&POSTGRES, &applied.map_err(OpenError::database)?)? {
            return Ok(());
        }
        let Some(patience) = pending.patience(!has_table.found) else {
            return Err(OpenError::SchemaBehind);
        };
        match conn.transaction(migrate_if_alone) {
            Ok(()) => return Ok(()),
            Err(MigrationFailure::Busy) => {}
            Err(MigrationFailure::Migration(fault)) => {
                return Err(OpenError::Database(fault.to_string()));
            }
            Err(MigrationFailure::Transaction(fault)) => return Err(OpenError::database(fault)),
        }
        let holder = holder(conn)?;
        if begun.elapsed() >= patience {
            return Err(OpenError::Migrating(holder));
        }
        if !said {
            let seconds = patience.as_secs();
            tracing::warn!(
                holder,
                "another process migrates the database; waiting for it, for {seconds} s at most"
            );
        }
        said = true;
        std::thread::sleep(ASK_EVERY);
    }
}

/// Takes the lock and runs what is pending then: another process may have migrated.
fn migrate_if_alone(
    conn: &mut AsyncConnectionWrapper<AsyncPgConnection>,
) -> Result<(), MigrationFailure> {
    let lock = format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS found");
    let Found { found: locked } = diesel::sql_query(lock).get_result(conn)?;
    if !locked {
        return Err(MigrationFailure::Busy);
    }
    // A migration has no time limit.
    conn.batch_execute("SET LOCAL statement_timeout = 0")?;
    conn.run_pending_migrations(POSTGRES).map_err(MigrationFailure::Migration)?;
    Ok(())
}

/// The process of PostgreSQL that holds the lock; `None` if none does any more.
fn holder(conn: &mut AsyncConnectionWrapper<AsyncPgConnection>) -> Result<Option<i32>, OpenError> {
    #[derive(QueryableByName)]
    struct Holder {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let (high, low) = (LOCK >> 32, LOCK & 0xffff_ffff);
    let query = format!(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND classid = {high} AND objid = {low} AND database = \
         (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let found: Option<Holder> =
        diesel::sql_query(query).get_result(conn).optional().map_err(OpenError::database)?;
    Ok(found.map(|holder| holder.pid))
}

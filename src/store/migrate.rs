//! The schema's version: embedded migrations, run or only checked at the start. Blocks; called
//! before any runtime runs.
//!
//! PostgreSQL is reached through diesel-async's blocking wrapper, so libpq is not needed. Of
//! several servers that start at once one migrates and the others wait: on SQLite for the write
//! lock, on PostgreSQL for an advisory lock.

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::store::OpenError;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

pub(super) fn sqlite(conn: &mut SqliteConnection, run: bool) -> Result<(), OpenError> {
    if !conn.has_pending_migration(SQLITE).map_err(OpenError::database)? {
        return Ok(());
    }
    if !run {
        return Err(OpenError::SchemaBehind);
    }
    // Checks again under the write lock: another process may have migrated.
    conn.immediate_transaction(|conn| {
        conn.run_pending_migrations(SQLITE).map_err(MigrationFailure::Migration)?;
        Ok(())
    })
    .map_err(|failed: MigrationFailure| match failed {
        MigrationFailure::Migration(fault) => OpenError::Database(fault.to_string()),
        MigrationFailure::Transaction(fault) => OpenError::database(fault),
    })
}

enum MigrationFailure {
    Migration(Box<dyn std::error::Error + Send + Sync>),
    Transaction(diesel::result::Error),
}

impl From<diesel::result::Error> for MigrationFailure {
    fn from(fault: diesel::result::Error) -> Self {
        Self::Transaction(fault)
    }
}

/// The advisory lock of a migration or a check; an arbitrary number. Advisory locks are per
/// database.
const LOCK: i64 = 0x6875_6263_6173_7401;

/// Must be called on a thread that may block. Consumes the connection.
pub(super) fn postgres(conn: AsyncPgConnection, run: bool) -> Result<(), OpenError> {
    let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
    // A migration has no time limit, and so neither has a wait for one. The end of the connection
    // releases the lock.
    let lock = format!("SET statement_timeout = 0; SELECT pg_advisory_lock({LOCK})");
    conn.batch_execute(&lock).map_err(OpenError::database)?;
    if !conn.has_pending_migration(POSTGRES).map_err(OpenError::database)? {
        return Ok(());
    }
    if !run {
        return Err(OpenError::SchemaBehind);
    }
    conn.run_pending_migrations(POSTGRES).map(|_| ()).map_err(OpenError::database)
}

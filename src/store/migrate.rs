//! The schema's version: embedded migrations, run or only checked at start. Blocking; called before
//! any runtime of ours runs.
//!
//! PostgreSQL is reached through diesel-async's blocking wrapper, so libpq is not needed. Of
//! several servers that start at once one migrates and the others wait for it: on SQLite for the
//! write lock, on PostgreSQL for a lock of that name alone.

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
    // Looked at again under the write lock: another process may be at it.
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

/// Held by whoever migrates or looks whether it has to; the number has no meaning. A database has
/// one of its own.
const LOCK: i64 = 0x6875_6263_6173_7401;

/// To be called on a thread of a runtime where one may block. The connection is not used further.
pub(super) fn postgres(conn: AsyncPgConnection, run: bool) -> Result<(), OpenError> {
    let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
    // A migration takes as long as it takes, and who waits for another's waits as long. The end of
    // the connection gives the lock back.
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

//! The schema's version: embedded migrations, run or only checked at start. Blocking; called before any runtime of ours runs.
//!
//! PostgreSQL is reached through diesel-async's blocking wrapper, so libpq is not needed. Several servers that start at once are not kept
//! apart there yet; on SQLite the write lock does that.

use diesel::connection::Connection;
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
        conn.run_pending_migrations(SQLITE).map_err(Failed::Migration)?;
        Ok(())
    })
    .map_err(|failed: Failed| match failed {
        Failed::Migration(fault) => OpenError::Database(fault.to_string()),
        Failed::Transaction(fault) => OpenError::database(fault),
    })
}

enum Failed {
    Migration(Box<dyn std::error::Error + Send + Sync>),
    Transaction(diesel::result::Error),
}

impl From<diesel::result::Error> for Failed {
    fn from(fault: diesel::result::Error) -> Self {
        Self::Transaction(fault)
    }
}

pub(super) fn postgres(url: &str, run: bool) -> Result<(), OpenError> {
    let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::establish(url).map_err(OpenError::database)?;
    if !conn.has_pending_migration(POSTGRES).map_err(OpenError::database)? {
        return Ok(());
    }
    if !run {
        return Err(OpenError::SchemaBehind);
    }
    conn.run_pending_migrations(POSTGRES).map(|_| ()).map_err(OpenError::database)
}

//! Finds out if writes work, for `/readyz`: every two seconds, on a connection of its own, with a
//! small write that is committed. Only a COMMIT shows that a standby which has to confirm it does,
//! and only a table that grows shows that the disk has room: the WAL has room of its own.

use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::deserialize::QueryableByName;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::store::fault::{DISK_FULL, NO_ANSWER, NO_WRITES, READ_ONLY, is_disk_full};
use crate::store::health::{Health, LATE, PROBE_EVERY};
use crate::store::postgres::pool::Connector;

/// The message when a write is made and its COMMIT is not answered.
const NO_COMMIT: &str = "The database does not confirm writes; a standby may be missing";

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether transactions can write here, whether this role may write a message to the WAL and make
/// temporary tables, as everyone may unless the owner of the database has revoked that.
const STATE: &str = "SELECT current_setting('transaction_read_only')::BOOLEAN AS read_only, \
     coalesce(bool_or(has_function_privilege(oid, 'EXECUTE')), FALSE) AS may_write, \
     has_database_privilege(current_database(), 'TEMPORARY') AS may_grow \
     FROM pg_proc WHERE proname = 'pg_logical_emit_message'";

/// A transaction that needs a COMMIT like any other, and no table: no lock, no row to remove.
const WRITE: &str = "SELECT pg_logical_emit_message(TRUE, 'hubcast', '')";

/// Grows a temporary table, on the disk of the database, by a page. The table writes nothing to the
/// WAL, and is empty again after each transaction.
const GROW: &str = "SET temp_tablespaces = ''; \
     CREATE TEMPORARY TABLE IF NOT EXISTS hubcast_probe (n INT) ON COMMIT DELETE ROWS; \
     INSERT INTO pg_temp.hubcast_probe VALUES (1)";

#[derive(QueryableByName)]
struct State {
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Bool)]
    may_write: bool,
    #[diesel(sql_type = Bool)]
    may_grow: bool,
}

/// Runs until it is aborted.
pub(super) async fn run(connector: Connector, health: Arc<Health>) {
    let mut probe = Probe { connector, conn: None, if_late: NO_ANSWER, health };
    loop {
        let problem = match tokio::time::timeout(LATE, probe.attempt()).await {
            Ok(found) => found.err(),
            Err(_) => Some(probe.if_late),
        };
        probe.health.report(problem);
        if problem.is_some_and(|problem| problem != READ_ONLY) {
            // It counts until the server has ended what runs on it; only then this connects again.
            probe.conn = None;
        }
        tokio::time::sleep(if problem.is_some() { PAUSE } else { PROBE_EVERY }).await;
    }
}

struct Probe {
    /// With one place.
    connector: Connector,
    /// `None` after a failure.
    conn: Option<AsyncPgConnection>,
    /// The problem, if the present step takes too long. It outlives an attempt: after a COMMIT that
    /// was given up, the next attempt waits for the end of that one.
    if_late: &'static str,
    health: Arc<Health>,
}

impl Probe {
    async fn attempt(&mut self) -> Result<(), &'static str> {
        self.health.begin(self.if_late);
        if self.conn.is_none() {
            self.conn = Some(self.connector.connect_or_reason().await?);
        }
        let Some(conn) = &mut self.conn else { return Err(NO_ANSWER) };
        self.if_late = NO_ANSWER;
        let state = state(conn).await.map_err(|error| problem(&error))?;
        if state.read_only {
            return Err(READ_ONLY);
        }
        let (grow, write) = (state.may_grow.then_some(GROW), state.may_write.then_some(WRITE));
        self.if_late = NO_COMMIT;
        self.health.begin(NO_COMMIT);
        // One transaction, because it is one message.
        let statements = [grow, write].into_iter().flatten().collect::<Vec<_>>().join("; ");
        conn.batch_execute(&statements).await.map_err(|error| problem(&error))?;
        self.if_late = NO_ANSWER;
        Ok(())
    }
}

/// Returns true if transactions cannot write here: on a standby, or by default.
pub(super) async fn is_read_only(conn: &mut AsyncPgConnection) -> QueryResult<bool> {
    state(conn).await.map(|state| state.read_only)
}

async fn state(conn: &mut AsyncPgConnection) -> QueryResult<State> {
    diesel::sql_query(STATE).get_result(conn).await
}

/// What a fault of the database means, in words for `/readyz`.
fn problem(error: &DieselError) -> &'static str {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => READ_ONLY,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            if is_disk_full(information.as_ref()) { DISK_FULL } else { NO_WRITES }
        }
        _ => NO_ANSWER,
    }
}

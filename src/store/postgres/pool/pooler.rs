//! Poolers between this server and PostgreSQL, such as PgBouncer. In session mode one is not
//! noticed. In transaction mode each transaction may run in another process of PostgreSQL, and what
//! a session has (settings, prepared statements) stays behind. A pooler that takes prepared
//! statements along will do; one that does not breaks every other query, and is refused.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{ConnectionError, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::store::OpenError;
use crate::store::fault::NO_ANSWER;

/// How often the connections are compared, since other clients of the pooler use its processes too.
const ROUNDS: usize = 3;
/// Limit of one statement.
const LIMIT: Duration = Duration::from_secs(5);

diesel::define_sql_function! {
    /// The number of the process that runs this query.
    fn pg_backend_pid() -> diesel::sql_types::Integer;
}

/// Returns true if a connection is one session of PostgreSQL, as it is without a pooler: its
/// process stays the same, and is no other connection's. Fails if prepared statements are lost.
///
/// The second connection holds a transaction open, and with it the process that the first one has
/// used last; so the first one's next query runs in another process.
pub(in crate::store::postgres) async fn keeps_sessions(
    first: &mut AsyncPgConnection,
    second: &mut AsyncPgConnection,
) -> Result<bool, OpenError> {
    let mut kept = true;
    for _ in 0..ROUNDS {
        let before = process(first).await.map_err(lost)?;
        limited(second.batch_execute("BEGIN")).await.map_err(OpenError::database)?;
        let other = process(second).await.map_err(lost)?;
        // The same statement again, which is prepared by now.
        let after = process(first).await;
        limited(second.batch_execute("ROLLBACK")).await.map_err(OpenError::database)?;
        kept &= after.map_err(lost)? == before && other != before;
    }
    Ok(kept)
}

async fn process(conn: &mut AsyncPgConnection) -> QueryResult<i32> {
    limited(diesel::select(pg_backend_pid()).get_result(conn)).await
}

/// Why a first connection could not be made. Its first queries are prepared too, so they may fail
/// in the same way.
pub(in crate::store::postgres) fn opening(fault: ConnectionError) -> OpenError {
    match fault {
        ConnectionError::CouldntSetupConfiguration(fault) => lost(fault),
        other => OpenError::database(other),
    }
}

/// The fault of a query that cannot fail, on a connection that works.
fn lost(fault: DieselError) -> OpenError {
    match fault {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            OpenError::Pooler(information.message().to_owned())
        }
        other => OpenError::database(other),
    }
}

async fn limited<T>(statement: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
    tokio::time::timeout(LIMIT, statement).await.unwrap_or_else(|_| {
        Err(DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand,
            Box::new(NO_ANSWER.to_owned()),
        ))
    })
}

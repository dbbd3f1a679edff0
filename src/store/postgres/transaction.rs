//! One job on one connection: a read, or a write as a transaction whose last statement inserts its
//! events into the outbox. A job's time limit starts when its caller begins to wait, and each job
//! is answered, whatever happens to the database.

pub(super) mod batch;

use std::rc::Rc;

use diesel_async::{RunQueryDsl, TransactionManager as _};
use hubcast_realtime::throttled;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::store::Tx;
use crate::store::conn::guarded;
use crate::store::fault::{BUSY, NO_ANSWER, UNCONFIRMED};
use crate::store::job::{QueuedRead, QueuedWrite};
use crate::store::postgres::context::PgContext;
use crate::store::postgres::outbox::{Origin, OutboxInsert};
use crate::store::postgres::pool::{
    Connections, TIME_LIMIT, TransactionManager, connection, discard,
};

/// Connections tried before giving up, when they turn out to be closed.
const TRIES: usize = 3;

pub(super) async fn run_read(context: Rc<PgContext>, read: QueuedRead) {
    let QueuedRead { mut job, since } = read;
    let until = Instant::from_std(since + TIME_LIMIT);
    let mut conn =
        match timeout_at(until, context.connections.get()).await.unwrap_or(Err(NO_ANSWER)) {
            Ok(conn) => conn,
            Err(reason) => return job.answer(Some(Error::Unavailable(reason))),
        };
    let Ok(ran) = timeout_at(until, guarded(job.run(&mut conn))).await else {
        discard(conn);
        return job.answer(Some(Error::Unavailable(NO_ANSWER)));
    };
    // After a panic a query may still be running on the connection.
    let gone = ran.is_none() || (job.failed_internally() && conn.is_gone().await);
    let replaced_by = (gone && ran.is_some()).then_some(Error::Unavailable(NO_ANSWER));
    if gone {
        discard(conn);
    }
    job.answer(replaced_by);
}

pub(super) async fn run_write(context: Rc<PgContext>, write: QueuedWrite) {
    let QueuedWrite { mut job, permit, since } = write;
    let until = Instant::from_std(since + TIME_LIMIT);
    let mut tx =
        match timeout_at(until, begin(&context.connections)).await.unwrap_or(Err(NO_ANSWER)) {
            Ok(tx) => tx,
            Err(reason) => return job.answer(Some(Error::Unavailable(reason))),
        };
    let Ok(ran) = timeout_at(until, guarded(job.run(&mut tx))).await else {
        discard(tx.conn);
        return job.answer(Some(Error::Unavailable(NO_ANSWER)));
    };
    if ran != Some(true) {
        let gone = roll_back(tx).await;
        let replaced_by =
            (gone && job.failed_internally()).then_some(Error::Unavailable(NO_ANSWER));
        return job.answer(replaced_by);
    }
    let steps = std::mem::take(&mut tx.steps);
    if steps.is_empty() {
        let committed = commit_without_events(tx, until).await;
        let replaced_by = (!committed).then_some(Error::Unavailable(UNCONFIRMED));
        return job.answer(replaced_by);
    }
    let (mut insert, origin) = (OutboxInsert::default(), context.write_numbers.next());
    let local = insert.add(origin, steps);
    context.pending.register(origin, local, job, permit, until.into_std());
    commit_with_events(&context, tx, insert, &[origin], until).await;
}

/// Commits writes that are registered in `pending`, with their rows for the outbox. The appender
/// answers them when it announces their events; this answers them when the commit fails. Returns
/// true if they are committed.
pub(super) async fn commit_with_events(
    context: &PgContext,
    mut tx: Tx,
    insert: OutboxInsert,
    origins: &[Origin],
    until: Instant,
) -> bool {
    let outcome =
        timeout_at(until, commit(&mut tx, Some(insert))).await.unwrap_or(CommitOutcome::Unknown);
    if !matches!(outcome, CommitOutcome::Committed) {
        discard(tx.conn);
    }
    for origin in origins {
        match outcome {
            CommitOutcome::Committed => context.pending.committed(*origin),
            CommitOutcome::RolledBack => context.pending.failed(*origin, Error::Unavailable(BUSY)),
            CommitOutcome::Unknown => context.pending.lost(*origin),
        }
    }
    let committed = matches!(outcome, CommitOutcome::Committed);
    if committed {
        context.appender_wakeup.notify_one();
    }
    committed
}

/// Commits a transaction without events. Returns true if it is committed.
pub(super) async fn commit_without_events(mut tx: Tx, until: Instant) -> bool {
    let committed =
        matches!(timeout_at(until, commit(&mut tx, None)).await, Ok(CommitOutcome::Committed));
    if !committed {
        discard(tx.conn);
    }
    committed
}

/// The outcome of a COMMIT.
enum CommitOutcome {
    Committed,
    RolledBack,
    /// COMMIT was sent, and no answer came.
    Unknown,
}

pub(super) async fn begin(connections: &Connections) -> Result<Tx, &'static str> {
    for _ in 0..TRIES {
        let mut conn = connections.get().await?;
        match TransactionManager::begin_transaction(connection(&mut conn)).await {
            Ok(()) => return Ok(Tx::new(conn)),
            Err(error) => {
                tracing::debug!(%error, "a pooled connection turned out to be closed");
                discard(conn);
            }
        }
    }
    Err(NO_ANSWER)
}

/// Returns true if the connection was lost.
pub(super) async fn roll_back(mut tx: Tx) -> bool {
    let until = Instant::now() + TIME_LIMIT / 2;
    let rolled_back =
        timeout_at(until, TransactionManager::rollback_transaction(connection(&mut tx.conn))).await;
    let gone = !matches!(rolled_back, Ok(Ok(())));
    if gone {
        discard(tx.conn);
    }
    gone
}

async fn commit(tx: &mut Tx, insert: Option<OutboxInsert>) -> CommitOutcome {
    let conn = connection(&mut tx.conn);
    if let Some(insert) = insert
        && let Err(error) = insert.execute(conn).await
    {
        throttled!(error, by = error.to_string(), %error, "a write was rolled back");
        return CommitOutcome::RolledBack;
    }
    match TransactionManager::commit_transaction(conn).await {
        Ok(()) => CommitOutcome::Committed,
        Err(error) => {
            throttled!(
                warn,
                by = error.to_string(),
                %error,
                "a write's COMMIT was not confirmed"
            );
            CommitOutcome::Unknown
        }
    }
}

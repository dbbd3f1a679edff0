//! PostgreSQL: one thread with an async runtime, a connection pool, a transaction per write, and an
//! appender. Any number of servers may share one database. Only [`Db`](crate::store::Db) starts it.
//!
//! PostgreSQL assigns sequence numbers before the commit and out of order, so log ids are assigned
//! afterwards: a write inserts its events into `outbox`, and the appender moves them into `events`
//! under the lock of `log_head`, with gap-free ids, and announces them. A write is answered when
//! its own events have been announced. docs/ARCHITECTURE.md explains why the order is correct.
//!
//! | file | owns |
//! | --- | --- |
//! | `pool` | connections, and the reason when there are none; TLS; poolers in between |
//! | `probe` | whether writes work, for `/readyz` |
//! | `context` | the state that the tasks of the thread share |
//! | `transaction` | one write or read on one connection; many writes of one kind as one |
//! | `outbox` | rows to be moved to the log later; this server's writes that wait for them |
//! | `appender` | moves the outbox into the log, and announces the log in order |
//! | `epochs` | what an appender knows of the log: its epochs, and whether it is still the same |

mod appender;
mod context;
mod epochs;
mod outbox;
mod pool;
mod probe;
mod transaction;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;

use crate::config::{DatabaseSettings, PostgresUrl};
use crate::store::health::Health;
use crate::store::job::{BatchKind, Message, QueuedRead, QueuedWrite};
use crate::store::migrate::Pending;
use crate::store::postgres::appender::Appender;
use crate::store::postgres::context::PgContext;
use crate::store::postgres::pool::{Connections, Connector, pooler};
use crate::store::postgres::transaction::batch;
use crate::store::{OpenError, Publisher, migrate};

/// Connections of the pool (DATABASE_POOL) that are for no read and no write: the appender's, and
/// that of the probe for `/readyz`.
const RESERVED: u32 = 2;
/// How often overdue writes are looked for.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// How long closing waits for committed events to be announced. Another server, or the next start,
/// announces the rest.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The PostgreSQL backend, to be run on a thread of its own.
pub(super) struct Server {
    runtime: Runtime,
    connections: Connections,
    /// Of a server: connects for the probe.
    probing: Option<Connector>,
    /// `None` for a command on a database that takes no writes.
    appender: Option<Appender>,
    /// Concurrent writes and reads, each on a connection.
    writes: u32,
    reads: u32,
    health: Arc<Health>,
    publisher: Arc<dyn Publisher>,
}

impl Server {
    /// Connects, migrates or checks the schema, and finds the end of the log. Blocks; must not be
    /// called within a runtime.
    pub(super) fn open(
        url: &PostgresUrl,
        settings: &DatabaseSettings,
        publisher: Arc<dyn Publisher>,
        health: Arc<Health>,
    ) -> Result<Self, OpenError> {
        let working = settings.pool.saturating_sub(RESERVED).max(2);
        let reads = (working / 3).max(1);
        // One place of the pool is the appender's.
        let connector = Connector::new(url, working as usize + 1)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|fault| OpenError::File("the database's runtime".into(), fault))?;
        let (connections, probing, appender) = runtime.block_on(async {
            let mut conn = connector.connect().await.map_err(pooler::opening)?;
            check_pooler(&connector, &mut conn).await?;
            let read_only = probe::is_read_only(&mut conn).await.map_err(OpenError::database)?;
            if read_only && settings.is_server() {
                return Err(OpenError::ReadOnly);
            }
            // Migrations block, so they run on a blocking thread while this one drives the
            // connection.
            let pending = if read_only { Pending::Refuse } else { Pending::of(settings) };
            let migrated =
                tokio::task::spawn_blocking(move || migrate::postgres(conn, pending)).await;
            migrated.map_err(OpenError::database)??;
            let probing = settings.is_server().then(|| connector.another(1));
            let connections = Connections::new(connector)?;
            if read_only {
                return Ok((connections, probing, None));
            }
            let conn = connections.get_for_appender().await.map_err(OpenError::database)?;
            let begins_log_for = settings.is_server().then_some(&*publisher);
            let appender =
                Appender::start(conn, begins_log_for).await.map_err(OpenError::database)?;
            Ok((connections, probing, Some(appender)))
        })?;
        let writes = working - reads;
        Ok(Self { runtime, connections, probing, appender, writes, reads, health, publisher })
    }

    /// Runs until both queues are closed and every queued job is finished. Blocks.
    pub(super) fn run(
        self,
        writes: mpsc::Receiver<Message<QueuedWrite>>,
        reads: mpsc::Receiver<Message<QueuedRead>>,
    ) {
        let Self { runtime, connections, probing, appender, health, publisher, .. } = self;
        let probing = probing.map(|connector| probe::run(connector, Arc::clone(&health)));
        let context = Rc::new(PgContext::new(connections, health, publisher));
        LocalSet::new().block_on(&runtime, async {
            let probing = probing.map(tokio::task::spawn_local);
            let sweeper = tokio::task::spawn_local(sweep(Rc::clone(&context)));
            let appender = appender
                .map(|appender| tokio::task::spawn_local(appender.run(Rc::clone(&context))));
            let (batches, batch_queue) = mpsc::channel(batch::MAX_BATCH);
            let share = || Rc::clone(&context);
            let writes =
                serve(writes, self.writes, move |write| route(share(), batches.clone(), write));
            let reads = serve(reads, self.reads, |read| transaction::run_read(share(), read));
            tokio::join!(writes, reads, batch::serve(share(), batch_queue));
            context.closed.set(true);
            context.appender_wakeup.notify_one();
            if let Some(appender) = appender
                && tokio::time::timeout(CLOSE_TIMEOUT, appender).await.is_err()
            {
                tracing::warn!(
                    "the last committed events were not announced; the next start announces them"
                );
            }
            context.pending.close();
            sweeper.abort();
            if let Some(probing) = probing {
                probing.abort();
            }
        });
    }
}

/// Refuses a pooler that loses prepared statements. Behind one that keeps them, connections get no
/// settings of their own, which other clients of the pooler would get too.
async fn check_pooler(
    connector: &Connector,
    conn: &mut AsyncPgConnection,
) -> Result<(), OpenError> {
    let mut second = connector.connect().await.map_err(pooler::opening)?;
    if pooler::keeps_sessions(conn, &mut second).await? {
        connector.keep_sessions();
    } else {
        tracing::warn!(
            "DATABASE_URL leads through a pooler in transaction mode: the time limits of \
             statements and of idle transactions are the pooler's to set"
        );
    }
    Ok(())
}

/// Runs a queue's jobs, at most `at_once` at a time, until it is closed and all are finished.
async fn serve<J, F: Future<Output = ()> + 'static>(
    mut queue: mpsc::Receiver<Message<J>>,
    at_once: u32,
    run: impl Fn(J) -> F,
) {
    let slots = Arc::new(Semaphore::new(at_once as usize));
    // Takes a slot before a job: what cannot run yet stays in the bounded queue.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match queue.recv().await {
            Some(Message::Job(job)) => {
                let running = run(job);
                tokio::task::spawn_local(async move {
                    running.await;
                    drop(slot);
                });
            }
            Some(Message::Close) => queue.close(),
            None => break,
        }
    }
    // When all slots are back, no job runs.
    let _ = slots.acquire_many(at_once).await;
}

/// Sends a write to the batches of its kind, or runs it alone.
async fn route(
    context: Rc<PgContext>,
    batches: mpsc::Sender<(BatchKind, QueuedWrite)>,
    write: QueuedWrite,
) {
    match write.job.kind() {
        Some(kind) => {
            // The receiver lives as long as this queue.
            let _ = batches.send((kind, write)).await;
        }
        None => transaction::run_write(context, write).await,
    }
}

async fn sweep(context: Rc<PgContext>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        context.pending.sweep();
    }
}

//! PostgreSQL: one thread with a runtime, a pool, a transaction per write, and an appender. Any
//! number of servers may share a database.
//!
//! PostgreSQL hands out numbers before the commit and out of order, so the log's ids are given
//! behind it: a write puts its events into `outbox`, and the appender moves them into `events`
//! under the lock of `log_head`, with gap-free ids, and announces them. A write is answered when
//! its own events have been announced. docs/ARCHITECTURE.md tells why the order is right.
//!
//! | file | owns |
//! | --- | --- |
//! | `pool` | connections, and why there are none |
//! | `tls` | whom we take for the database |
//! | `write`, `together` | one write or read, from a connection to the answer; many writes of one kind as one |
//! | `outbox` | what a write leaves for the log |
//! | `pending` | this server's writes between COMMIT and announcement |
//! | `appender` | rounds: from the outbox into the log, and on to the announcer |
//! | `log` | the appender's statements |
//! | `announce` | events in order, and what this server does local them |
//! | `identity` | which database this is, and its log's epochs |

mod appender;
mod context;
mod epochs;
mod outbox;
mod pool;
mod transaction;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;

use crate::config::{DatabaseSettings, PostgresUrl};
use crate::store::job::BatchKind;
use crate::store::job::{Message, QueuedRead, QueuedWrite};
use crate::store::postgres::appender::Appender;
use crate::store::postgres::context::PgContext;
use crate::store::postgres::pool::{Connections, Connector};
use crate::store::postgres::transaction::batch;
use crate::store::{OpenError, Publisher, migrate};

pub(super) use crate::store::postgres::pool::Health;

/// Writes at one time, each on a connection.
const WRITES: u32 = 14;
/// Reads at one time, each on a connection.
const READS: u32 = 6;
/// How often it is looked for writes whose callers have waited enough.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// How long the end waits for what is committed to be announced. What is not then is announced by
/// another server, or after the next start.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What runs on the PostgreSQL thread.
pub(super) struct Server {
    runtime: Runtime,
    connections: Connections,
    appender: Appender,
    publisher: Arc<dyn Publisher>,
}

impl Server {
    /// Connects, brings the schema up to date, and finds out where the log stands. Blocks; not to
    /// be called within a runtime.
    pub(super) fn open(
        url: &PostgresUrl,
        settings: &DatabaseSettings,
        publisher: Arc<dyn Publisher>,
    ) -> Result<Self, OpenError> {
        let connector = Connector::new(url, Arc::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|fault| OpenError::File("the database's runtime".into(), fault))?;
        let (connections, appender) = runtime.block_on(async {
            let conn = connector.connect().await.map_err(OpenError::database)?;
            // Migrations block: on a thread where they may, while this one drives the connection.
            let migrate = settings.migrate;
            let migrated =
                tokio::task::spawn_blocking(move || migrate::postgres(conn, migrate)).await;
            migrated.map_err(OpenError::database)??;
            let connections = Connections::new(connector, (WRITES + READS + 1) as usize)?;
            let conn = connections.get().await.map_err(OpenError::database)?;
            let told = settings.lock.then_some(&*publisher);
            let appender = Appender::start(conn, told).await.map_err(OpenError::database)?;
            Ok::<_, OpenError>((connections, appender))
        })?;
        Ok(Self { runtime, connections, appender, publisher })
    }

    pub(super) fn health(&self) -> Arc<Health> {
        Arc::clone(self.connections.health())
    }

    /// Until both queues are closed and all that was queued is finished. Blocks; needs a thread of
    /// its own.
    pub(super) fn run(
        self,
        writes: mpsc::Receiver<Message<QueuedWrite>>,
        reads: mpsc::Receiver<Message<QueuedRead>>,
    ) {
        let Self { runtime, connections, appender, publisher } = self;
        let context = Rc::new(PgContext::new(connections, publisher));
        LocalSet::new().block_on(&runtime, async {
            let sweeper = tokio::task::spawn_local(sweep(Rc::clone(&context)));
            let appender = tokio::task::spawn_local(appender.run(Rc::clone(&context)));
            let (together, gathered) = mpsc::channel(batch::MOST);
            let context_of = || Rc::clone(&context);
            let writes = serve(writes, WRITES, move |write| route(context_of(), together.clone(), write));
            let reads = serve(reads, READS, |read| transaction::run_read(Rc::clone(&context), read));
            tokio::join!(writes, reads, batch::serve(Rc::clone(&context), gathered));
            context.closed.set(true);
            context.appender_wakeup.notify_one();
            if tokio::time::timeout(CLOSE_TIMEOUT, appender).await.is_err() {
                tracing::warn!("what was committed last could not be announced; it will be after the next start");
            }
            context.pending.close();
            sweeper.abort();
        });
    }
}

/// Runs a queue's jobs, so many at a time, until it is closed and all are finished.
async fn serve<J, F: Future<Output = ()> + 'static>(
    mut queue: mpsc::Receiver<Message<J>>,
    at_once: u32,
    run: impl Fn(J) -> F,
) {
    let slots = Arc::new(Semaphore::new(at_once as usize));
    // A slot first, then a job: what cannot run yet stays in the bounded queue.
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
    // All slots back: nothing runs any more.
    let _ = slots.acquire_many(at_once).await;
}

/// A write goes together with others of its kind, or by itself.
async fn route(
    context: Rc<PgContext>,
    together: mpsc::Sender<(BatchKind, QueuedWrite)>,
    write: QueuedWrite,
) {
    match write.job.kind() {
        Some(kind) => {
            // Who takes them is there for as long as this queue is.
            let _ = together.send((kind, write)).await;
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

//! The handle to the database: open, read, write, ready, close. The same for SQLite and PostgreSQL;
//! only the threads that run the jobs differ.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::sql_types::Integer;
use diesel::{IntoSql, QueryResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use crate::config::{DatabaseSettings, DatabaseUrl};
use crate::error::Error;
use crate::model::UserId;
use crate::store::batched::{BatchedJob, run_alone};
use crate::store::conn::{Conn, ThreadExecutor, query};
use crate::store::fault::{BUSY, CLOSING, NO_ANSWER, OpenError};
use crate::store::file;
use crate::store::health::Health;
use crate::store::job::{ClosureRead, ClosureWrite, Message, QueuedRead, QueuedWrite, WriteJob};
use crate::store::migrate::Pending;
use crate::store::reader::SharedQueue;
use crate::store::turns::{Turn, Turns, UserTurns};
use crate::store::writer::Writer;
use crate::store::{BatchedWrite, Once, Publisher, Tx, epochs, history, migrate, postgres, reader};

/// The most writes that wait for the writer; further callers wait for a slot.
const WRITE_QUEUE: usize = 1024;
/// The most reads that wait for a reader.
const READ_QUEUE: usize = 1024;
/// How long a caller waits for a slot in a full queue, for budget, and for a turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of read-only connections to SQLite.
const READERS: usize = 2;
/// How long [`Db::ready`] waits for the database.
const READY_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of the publisher's budget that each write takes. What it will announce is known only after
/// it has run; this exceeds the events of a write without large texts.
const WRITE_BUDGET: usize = 4096;

/// A handle to the database. Clones share the threads, which end with [`Db::close`] or with the
/// last handle.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    /// Whose turns the calls of this handle take; `None` takes none.
    turns: Option<Arc<UserTurns>>,
}

struct Shared {
    turns: Turns,
    writes: mpsc::Sender<Message<QueuedWrite>>,
    reads: mpsc::Sender<Message<QueuedRead>>,
    publisher: Arc<dyn Publisher>,
    health: Arc<Health>,
    /// Taken by `close`. On SQLite each thread holds the server's lock until its connection is
    /// closed.
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Db {
    /// Opens the database, takes the server's lock if a server opens it (SQLite), runs or
    /// checks migrations, and starts the threads.
    ///
    /// Blocks; must be called outside any async runtime.
    pub fn open(
        settings: &DatabaseSettings,
        publisher: Arc<dyn Publisher>,
    ) -> Result<Self, OpenError> {
        let (writes, write_queue) = mpsc::channel(WRITE_QUEUE);
        let (reads, read_queue) = mpsc::channel(READ_QUEUE);
        let health = Arc::default();
        let running = match &settings.url {
            DatabaseUrl::Sqlite(path) => {
                let queues = (write_queue, read_queue);
                start_sqlite(path, settings, &publisher, &health, queues)?
            }
            DatabaseUrl::Postgres(url) => {
                let shared = (Arc::clone(&publisher), Arc::clone(&health));
                let server = postgres::Server::open(url, settings, shared.0, shared.1)?;
                let thread =
                    spawn("hubcast-postgres", move || server.run(write_queue, read_queue))?;
                vec![thread]
            }
        };
        Ok(Self {
            turns: None,
            shared: Arc::new(Shared {
                turns: Turns::default(),
                writes,
                reads,
                publisher,
                health,
                running: Mutex::new(running),
            }),
        })
    }

    /// A handle whose calls are a user's: only a few of them are with the database at once, and the
    /// others wait for their turn.
    #[must_use]
    pub fn of(&self, user: UserId) -> Self {
        Self { shared: Arc::clone(&self.shared), turns: Some(self.shared.turns.of(user)) }
    }

    /// Waits for what the handle's user has to wait for.
    async fn turn<F: Future<Output = Turn>>(
        &self,
        wait: impl FnOnce(Arc<UserTurns>) -> F,
    ) -> Result<Option<Turn>, Error> {
        let Some(turns) = &self.turns else { return Ok(None) };
        let turn = tokio::time::timeout(QUEUE_TIMEOUT, wait(Arc::clone(turns))).await;
        turn.map(Some).map_err(|_| Error::Unavailable(BUSY))
    }

    /// Runs queries on a connection that sees everything committed so far. The closure must only
    /// query: it occupies a thread.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer, `Internal` when a query fails otherwise.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut Conn) -> diesel::QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let turn = self.turn(UserTurns::read).await?;
        let work = async move |conn: &mut Conn| {
            let _turn = turn;
            work(conn).await
        };
        let (caller, answer) = oneshot::channel();
        enqueue(
            &self.shared.reads,
            Message::Job(QueuedRead {
                job: Box::new(ClosureRead::new(work, caller)),
                since: Instant::now(),
            }),
        )
        .await?;
        answer.await.unwrap_or(Err(Error::Internal))
    }

    /// Runs a write as one transaction, and returns once it is committed and its events are routed.
    /// An `Err` from the closure rolls everything back. Once queued it runs to its end, even if the
    /// caller stops waiting. Like a read's, the closure must only query.
    ///
    /// # Errors
    /// The closure's own; `KeyReused` for an Idempotency-Key that was used with another body;
    /// `Unavailable` when nothing was written and a retry can succeed, or when a COMMIT was not
    /// confirmed; `Internal` when the closure panics.
    pub async fn write<T, F>(&self, once: Once, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        self.write_large(once, 0, work).await
    }

    /// Like [`Db::write`], for a write that announces about `bytes` bytes of texts.
    pub async fn write_large<T, F>(&self, once: Once, bytes: usize, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        self.submit(Box::new(ClosureWrite::new(once, work, caller)), bytes).await?;
        answer.await.unwrap_or(Err(Error::Internal))
    }

    /// Like [`Db::write_large`], for a frequent kind of write that may run in a batch with others
    /// of its kind.
    pub async fn write_batched<V: BatchedWrite>(
        &self,
        once: Once,
        bytes: usize,
        write: V,
    ) -> Result<V::Answer, Error> {
        if once.claim().is_some() {
            return self.write_large(once, bytes, async move |tx| run_alone(write, tx).await).await;
        }
        let (caller, answer) = oneshot::channel();
        self.submit(Box::new(BatchedJob::new(write, caller)), bytes).await?;
        answer.await.unwrap_or(Err(Error::Internal))
    }

    async fn submit(&self, job: Box<dyn WriteJob>, bytes: usize) -> Result<(), Error> {
        // The write has the turn until it is announced, also if its caller stops waiting.
        let turn = self.turn(UserTurns::write).await?;
        let admit =
            tokio::time::timeout(QUEUE_TIMEOUT, self.shared.publisher.admit(WRITE_BUDGET + bytes));
        let permit = admit.await.map_err(|_| Error::Unavailable(BUSY))?;
        let permit = Box::new((permit, turn));
        enqueue(
            &self.shared.writes,
            Message::Job(QueuedWrite { job, permit, since: Instant::now() }),
        )
        .await
    }

    /// Checks that the database answers, and takes writes: says what the last probe or write has
    /// found, and reads.
    ///
    /// # Errors
    /// `Unavailable`, with a reason that anyone may see.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.shared.writes.is_closed() {
            return Err(Error::Unavailable(CLOSING));
        }
        if let Some(problem) = self.shared.health.problem() {
            return Err(Error::Unavailable(problem));
        }
        let asked = self.read(async |conn| {
            query!(conn, |c| diesel::select(1.into_sql::<Integer>()).get_result::<i32>(c))
        });
        match tokio::time::timeout(READY_TIMEOUT, asked).await {
            Ok(answered) => answered.map(|_| ()),
            Err(_) => Err(Error::Unavailable(NO_ANSWER)),
        }
    }

    /// Finishes every queued write, announces it, ends the threads and releases the lock. Later
    /// writes get `Unavailable`. Blocks; the publisher must still be running. A second call does
    /// nothing.
    pub fn close(&self) {
        let running = std::mem::take(
            &mut *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner),
        );
        if running.is_empty() {
            return;
        }
        send_close(&self.shared.reads);
        let mut threads = running.into_iter();
        // The writer's is the first. On SQLite its connection has to be the last: it writes the WAL
        // back into the file when it closes, which those that only read cannot.
        let writer = threads.next();
        // A panicked thread was reported by the panic hook; there is nothing left to end.
        for reader in threads {
            let _ = reader.join();
        }
        send_close(&self.shared.writes);
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

/// Waits while the queue is full; its thread empties it. This is not `blocking_send`, which panics
/// within a runtime.
fn send_close<J>(queue: &mpsc::Sender<Message<J>>) {
    while let Err(TrySendError::Full(_)) = queue.try_send(Message::Close) {
        thread::sleep(Duration::from_millis(1));
    }
}

async fn enqueue<J>(queue: &mpsc::Sender<J>, job: J) -> Result<(), Error> {
    match queue.try_send(job) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(Error::Unavailable(CLOSING)),
        Err(TrySendError::Full(job)) => {
            match tokio::time::timeout(QUEUE_TIMEOUT, queue.send(job)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Error::Unavailable(CLOSING)),
                Err(_) => Err(Error::Unavailable(BUSY)),
            }
        }
    }
}

fn start_sqlite(
    path: &Path,
    settings: &DatabaseSettings,
    publisher: &Arc<dyn Publisher>,
    health: &Arc<Health>,
    (writes, reads): (mpsc::Receiver<Message<QueuedWrite>>, mpsc::Receiver<Message<QueuedRead>>),
) -> Result<Vec<JoinHandle<()>>, OpenError> {
    let path = file::create(path)?;
    let lock = if settings.is_server() { Some(Arc::new(file::lock(&path)?)) } else { None };
    let mut conn = file::connect(&path, settings.synchronous)?;
    migrate::sqlite(&mut conn, Pending::of(settings))?;
    let mut conn = Conn::Sqlite(conn);
    // A command begins its epoch with its first event, because most have none.
    let is_server = settings.is_server();
    let begun: QueryResult<()> = ThreadExecutor::new().run(async {
        if is_server {
            let start = epochs::begin(&mut conn, None).await?;
            publisher.begin(start, history::last(&mut conn, start.id).await?);
        }
        Ok(())
    });
    begun.map_err(OpenError::database)?;
    let readers: Result<Vec<_>, _> =
        (0..READERS).map(|_| file::connect_read_only(&path, settings.synchronous)).collect();
    let readers = readers?;
    if let Some(lock) = &lock {
        lock.check(&path)?;
    }
    let (publisher, health, held) = (Arc::clone(publisher), Arc::clone(health), lock.clone());
    let mut threads = vec![spawn("hubcast-writer", move || {
        Writer::new(conn, is_server, writes, publisher, health).run();
        drop(held);
    })?];
    let queue: SharedQueue = Arc::new(Mutex::new(reads));
    for conn in readers {
        let (queue, held) = (Arc::clone(&queue), lock.clone());
        threads.push(spawn("hubcast-reader", move || {
            reader::run(conn, &queue);
            drop(held);
        })?);
    }
    Ok(threads)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|fault| OpenError::File(name.into(), fault))
}

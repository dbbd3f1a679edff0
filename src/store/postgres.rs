//! PostgreSQL: one thread with a runtime, a pool, and a transaction per write.
//!
//! First form, for one server. Ids come from the row `log_head`, raised by a transaction's last statements, so that commits with events go one
//! after another; a mutex of this process, held from there until the events are published, keeps publish order equal to log order. An outbox
//! with an appender will take its place, and serve several servers.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::LocalSet;

use crate::error::Error;
use crate::store::conn::{Conn, guarded};
use crate::store::fault::BUSY;
use crate::store::job::{Message, QueuedRead, QueuedWrite};
use crate::store::tx::Step;
use crate::store::{Committed, CommittedEvent, OpenError, Publisher, Ticket, Tx, epochs, events};

/// Connections, and so transactions and reads at one time.
const POOL_SIZE: u32 = 16;
/// How long a job waits for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Manager = <AsyncPgConnection as AsyncConnection>::TransactionManager;

/// What runs on the PostgreSQL thread.
pub(super) struct Server {
    pub(super) pool: Pool<AsyncPgConnection>,
    pub(super) writes: mpsc::Receiver<Message<QueuedWrite>>,
    pub(super) reads: mpsc::Receiver<Message<QueuedRead>>,
    pub(super) publisher: Arc<dyn Publisher>,
}

pub(super) fn pool(url: &str) -> Result<Pool<AsyncPgConnection>, OpenError> {
    Pool::builder(AsyncDieselConnectionManager::new(url))
        .max_size(POOL_SIZE as usize)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .build()
        .map_err(OpenError::database)
}

impl Server {
    /// Until both queues are closed and all that was queued is finished. Blocks; needs a thread of its own.
    pub(super) fn run(self, runtime: &tokio::runtime::Runtime) {
        LocalSet::new().block_on(runtime, self.serve());
    }

    async fn serve(mut self) {
        let slots = Arc::new(Semaphore::new(POOL_SIZE as usize));
        let order = Rc::new(Mutex::new(()));
        let (mut writes_open, mut reads_open) = (true, true);
        // A slot first, then a job: what cannot run yet stays in the bounded queues.
        while (writes_open || reads_open)
            && let Ok(slot) = Arc::clone(&slots).acquire_owned().await
        {
            tokio::select! {
                message = self.writes.recv(), if writes_open => match message {
                    Some(Message::Job(write)) => spawn(slot, transact(self.pool.clone(), write, Arc::clone(&self.publisher), Rc::clone(&order))),
                    Some(Message::Close) => self.writes.close(),
                    None => writes_open = false,
                },
                read = self.reads.recv(), if reads_open => match read {
                    Some(Message::Job(read)) => spawn(slot, look_up(self.pool.clone(), read)),
                    Some(Message::Close) => self.reads.close(),
                    None => reads_open = false,
                },
            }
        }
        // All slots back: nothing runs any more.
        let _ = slots.acquire_many(POOL_SIZE).await;
    }
}

fn spawn(slot: OwnedSemaphorePermit, work: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(async move {
        work.await;
        drop(slot);
    });
}

async fn look_up(pool: Pool<AsyncPgConnection>, read: QueuedRead) {
    match pool.get().await {
        Ok(conn) => {
            guarded(read.run(&mut Conn::Postgres(Box::new(conn)))).await;
        }
        Err(error) => {
            tracing::warn!(%error, "no connection for a read");
            read.refuse(Error::Unavailable(BUSY));
        }
    }
}

async fn transact(pool: Pool<AsyncPgConnection>, write: QueuedWrite, publisher: Arc<dyn Publisher>, order: Rc<Mutex<()>>) {
    let QueuedWrite { mut job, ticket } = write;
    let mut tx = match begin(&pool).await {
        Ok(tx) => tx,
        Err(error) => return job.answer(Some(error)),
    };
    let kept = guarded(job.run(&mut tx)).await.unwrap_or(false);
    if !kept {
        // A connection whose rollback fails is broken, and the pool does not take it back.
        let _ = Manager::rollback_transaction(connection(&mut tx)).await;
        return job.answer(None);
    }
    let guard = if tx.steps.is_empty() { None } else { Some(order.lock().await) };
    match seal(&mut tx).await {
        Ok(steps) => {
            drop(tx);
            announce(&*publisher, steps, ticket, Box::new(move || job.answer(None)));
        }
        Err(error) => {
            let _ = Manager::rollback_transaction(connection(&mut tx)).await;
            tracing::error!(%error, "a write was rolled back");
            job.answer(Some(Error::Unavailable(BUSY)));
        }
    }
    drop(guard);
}

fn announce(publisher: &dyn Publisher, steps: Vec<Step<CommittedEvent>>, ticket: Ticket, answer: Box<dyn FnOnce() + Send>) {
    if steps.is_empty() {
        answer();
    } else {
        publisher.publish(Committed::new(steps, vec![ticket]), answer);
    }
}

async fn begin(pool: &Pool<AsyncPgConnection>) -> Result<Tx, Error> {
    let mut conn = pool.get().await.map_err(|error| {
        tracing::warn!(%error, "no connection for a write");
        Error::Unavailable(BUSY)
    })?;
    Manager::begin_transaction(&mut *conn).await?;
    Ok(Tx::new(Conn::Postgres(Box::new(conn))))
}

async fn seal(tx: &mut Tx) -> QueryResult<Vec<Step<CommittedEvent>>> {
    let new = std::mem::take(&mut tx.steps);
    let stored = events::append(&mut tx.conn, epochs::NONE.epoch, new).await?;
    Manager::commit_transaction(connection(tx)).await?;
    Ok(stored)
}

fn connection(tx: &mut Tx) -> &mut AsyncPgConnection {
    match &mut tx.conn {
        Conn::Postgres(conn) => conn,
        Conn::Sqlite(_) => unreachable!("begin makes it with a PostgreSQL connection"),
    }
}

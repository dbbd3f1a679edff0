//! SQLite's writer: one thread, one connection, group commit.
//!
//! It runs all waiting writes in one transaction, a savepoint each, appends their events to the
//! log, commits once, publishes, and answers every caller. So events are published in log order,
//! and one flush serves many writes. A write that fails or panics loses only its own savepoint; a
//! commit that fails fails its whole batch, and nothing of it is announced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{QueryResult, RunQueryDsl};
use hubcast_realtime::throttled;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::store::conn::{Conn, ThreadExecutor, guarded};
use crate::store::fault::{BUSY, LOCKED, NO_ANSWER, sqlite_problem};
use crate::store::health::{Health, PROBE_EVERY};
use crate::store::job::{Message, QueuedWrite, WriteJob};
use crate::store::tx::Step;
use crate::store::{BudgetPermit, Committed, CommittedEvent, Publisher, Tx, events};

/// The most writes in one transaction.
const MAX_BATCH: usize = 256;
/// A batch accepts no further write after this long, so that its first caller does not wait for an
/// endless row of later ones.
const MAX_BATCH_TIME: Duration = Duration::from_millis(5);

/// Declares a statement without parameters. diesel prepares it once; `batch_execute` would parse it
/// each time.
macro_rules! statement {
    ($name:ident, $sql:literal) => {
        #[derive(QueryId)]
        struct $name;

        impl QueryFragment<Sqlite> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }

        impl<C> RunQueryDsl<C> for $name {}
    };
}

// IMMEDIATE takes the write lock at once: any wait for another process happens here, and never in
// the middle of a job.
statement!(Begin, "BEGIN IMMEDIATE");
// A write that changes nothing of use: it needs the lock, and room on the disk.
statement!(
    Probe,
    "INSERT INTO secrets (name, value) VALUES ('probe', randomblob(8)) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value"
);
// The same, as large as a write is: the room that a failed write has left would do for a small one.
statement!(
    LargeProbe,
    "INSERT INTO secrets (name, value) VALUES ('probe', randomblob(65536)) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value"
);
statement!(Commit, "COMMIT");
statement!(Rollback, "ROLLBACK");
statement!(Savepoint, "SAVEPOINT job");
statement!(Release, "RELEASE job");
statement!(RollbackToSavepoint, "ROLLBACK TO job");

pub(super) struct Writer {
    tx: Tx,
    /// True for a command until its first event: what it does not know of the log may have been
    /// replaced since a server last ran.
    begins_epoch: bool,
    queue: mpsc::Receiver<Message<QueuedWrite>>,
    publisher: Arc<dyn Publisher>,
    health: Arc<Health>,
    /// When this thread has last probed the database. `None` if it does not: a command is over
    /// soon.
    probed: Option<Instant>,
    executor: ThreadExecutor,
}

/// The jobs that have run in the open transaction, with their shares of the hub's budget.
#[derive(Default)]
struct Batch {
    jobs: Vec<Box<dyn WriteJob>>,
    permits: Vec<BudgetPermit>,
}

impl Writer {
    /// Must be called on the thread that then calls [`Writer::run`].
    pub(super) fn new(
        conn: Conn,
        is_server: bool,
        queue: mpsc::Receiver<Message<QueuedWrite>>,
        publisher: Arc<dyn Publisher>,
        health: Arc<Health>,
    ) -> Self {
        let (executor, probed) = (ThreadExecutor::new(), is_server.then(Instant::now));
        let (tx, begins_epoch) = (Tx::new(conn), !is_server);
        Self { tx, begins_epoch, queue, publisher, health, probed, executor }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            match self.executor.run_for(PROBE_EVERY, self.queue.recv()) {
                Some(None) => return,
                Some(Some(Message::Close)) => self.queue.close(),
                Some(Some(Message::Job(first))) => {
                    self.run_batch(first);
                    // A batch that committed may have written nothing, so only a probe shows that
                    // a problem is over.
                    if self.health.has_failed() {
                        self.probe();
                    }
                }
                None => self.probe(),
            }
        }
    }

    /// Finds out if writes work, at most once in [`PROBE_EVERY`].
    fn probe(&mut self) {
        if self.probed.is_none_or(|probed| probed.elapsed() < PROBE_EVERY) {
            return;
        }
        let failed = self.health.has_failed();
        let written = self.begin().and_then(|()| {
            if failed { self.execute(LargeProbe) } else { self.execute(Probe) }?;
            self.execute(Commit)
        });
        if written.is_err() {
            // Fails if no transaction is open.
            let _ = self.execute(Rollback);
        }
        self.health.report(written.err().as_ref().map(sqlite_problem));
        // From the end, so that a lock that is held for long is not waited for without a pause.
        self.probed = Some(Instant::now());
    }

    fn begin(&mut self) -> QueryResult<()> {
        self.health.begin(LOCKED);
        self.execute(Begin)?;
        self.health.begin(NO_ANSWER);
        Ok(())
    }

    fn run_batch(&mut self, first: QueuedWrite) {
        if let Err(error) = self.begin() {
            self.health.report(Some(sqlite_problem(&error)));
            throttled!(warn, by = error.to_string(), %error, "cannot begin a transaction");
            first.job.answer(Some(Error::Unavailable(BUSY)));
            // Each queued write would wait for the lock as long as this one did, so refuse them
            // all.
            while let Some(write) = self.next_queued() {
                write.job.answer(Some(Error::Unavailable(BUSY)));
            }
            return;
        }
        let mut batch = Batch::default();
        let ran = self.run_queued(first, &mut batch);
        match ran.and_then(|()| self.append_and_commit()) {
            Ok(steps) => {
                self.health.end();
                self.publish(steps, batch);
            }
            Err(error) => {
                self.health.report(Some(sqlite_problem(&error)));
                let writes = batch.jobs.len();
                throttled!(
                    error,
                    by = error.to_string(),
                    %error,
                    writes,
                    "a batch of writes was rolled back"
                );
                self.tx.steps.clear();
                // SQLite may have rolled back by itself; then this fails, and either way no
                // transaction is open.
                let _ = self.execute(Rollback);
                batch.jobs.into_iter().for_each(|job| job.answer(Some(Error::Unavailable(BUSY))));
            }
        }
    }

    /// Runs the first write and all that are queued, up to the limits. Returns an error only if the
    /// transaction failed, not for a failed job.
    fn run_queued(&mut self, first: QueuedWrite, batch: &mut Batch) -> QueryResult<()> {
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(QueuedWrite { mut job, permit, .. }) = next {
            let ran = self.run_job(job.as_mut());
            batch.jobs.push(job);
            batch.permits.push(permit);
            ran?;
            let full = batch.jobs.len() >= MAX_BATCH || begun.elapsed() >= MAX_BATCH_TIME;
            next = if full { None } else { self.next_queued() };
        }
        Ok(())
    }

    fn next_queued(&mut self) -> Option<QueuedWrite> {
        match self.queue.try_recv() {
            Ok(Message::Job(write)) => Some(write),
            Ok(Message::Close) => {
                self.queue.close();
                None
            }
            Err(_) => None,
        }
    }

    fn run_job(&mut self, job: &mut dyn WriteJob) -> QueryResult<()> {
        self.execute(Savepoint)?;
        let mark = self.tx.steps.len();
        let kept = self.executor.run(guarded(job.run(&mut self.tx))).unwrap_or(false);
        if !kept {
            self.tx.steps.truncate(mark);
            self.execute(RollbackToSavepoint)?;
        }
        self.execute(Release)
    }

    /// Appends to the log, then commits.
    fn append_and_commit(&mut self) -> QueryResult<Vec<Step<CommittedEvent>>> {
        let new = std::mem::take(&mut self.tx.steps);
        let has_events = new.iter().any(events::is_stored);
        let append = events::append(&mut self.tx.conn, self.begins_epoch, new);
        let stored = self.executor.run(append)?;
        self.execute(Commit)?;
        self.begins_epoch &= !has_events;
        Ok(stored)
    }

    fn publish(&self, steps: Vec<Step<CommittedEvent>>, batch: Batch) {
        let Batch { jobs, permits } = batch;
        let answer = move || jobs.into_iter().for_each(|job| job.answer(None));
        if steps.is_empty() {
            answer();
        } else {
            self.publisher.publish(Committed::new(steps, permits), Box::new(answer));
        }
    }

    fn execute(
        &mut self,
        statement: impl QueryFragment<Sqlite> + QueryId + RunQueryDsl<SqliteConnection>,
    ) -> QueryResult<()> {
        match &mut self.tx.conn {
            Conn::Sqlite(conn) => statement.execute(conn).map(|_| ()),
            Conn::Postgres(_) => unreachable!("the writer is made with a SQLite connection"),
        }
    }
}

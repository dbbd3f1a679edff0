//! A read or a write on its way from a caller's task to the thread that runs it, with the caller's
//! types erased so that one queue holds them all.
//!
//! If the caller stops waiting, its write still runs, commits and is announced; its read is
//! skipped.

use std::any::{Any, TypeId};
use std::time::Instant;

use diesel::QueryResult;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::event::NewEvent;
use crate::store::conn::{Conn, LocalFuture};
use crate::store::idempotency::{self, Claim, Claimed, Once, Recheck};
use crate::store::tx::Step;
use crate::store::{BudgetPermit, Tx};

/// A message in a queue of jobs.
pub(super) enum Message<J> {
    Job(J),
    /// Run everything queued, accept nothing more, and end.
    Close,
}

/// A write, its budget, and when its caller began to wait.
pub(super) struct QueuedWrite {
    pub(super) job: Box<dyn WriteJob>,
    pub(super) permit: BudgetPermit,
    pub(super) since: Instant,
}

/// A read, and when its caller began to wait.
pub(super) struct QueuedRead {
    pub(super) job: Box<dyn ReadJob>,
    pub(super) since: Instant,
}

/// A write whose answer type only its caller knows.
pub(super) trait WriteJob: Any + Send {
    /// Runs once, within a savepoint or transaction. Returns true if its changes are to be kept.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalFuture<'a, bool>;

    /// If set, this write can run in a batch with others of its kind, and `run` is then not called.
    fn kind(&self) -> Option<BatchKind> {
        None
    }

    /// Returns true if `run` ended in an internal error, which may come from a lost connection.
    fn failed_internally(&self) -> bool;

    /// Answers the caller with the outcome of `run`, or with the error that replaces it.
    fn answer(self: Box<Self>, replaced_by: Option<Error>);
}

/// The steps of each write of a batch, in the batch's order.
pub(super) type BatchSteps = Vec<Vec<Step<NewEvent>>>;

/// Runs writes of one kind in one transaction.
type RunBatch =
    for<'a> fn(&'a mut Tx, Vec<&'a mut dyn WriteJob>) -> LocalFuture<'a, QueryResult<BatchSteps>>;

/// A kind of write that can be batched, and the function that runs a batch.
#[derive(Clone, Copy)]
pub(super) struct BatchKind {
    id: TypeId,
    /// All writes must be of this kind.
    pub(super) run: RunBatch,
}

impl BatchKind {
    pub(super) fn new(id: TypeId, run: RunBatch) -> Self {
        Self { id, run }
    }
}

impl PartialEq for BatchKind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The outcome of a job, and the caller that waits for it.
pub(super) struct CallerReply<T> {
    /// `None` if the job panicked.
    outcome: Option<Result<T, Error>>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<T> CallerReply<T> {
    pub(super) fn to(caller: oneshot::Sender<Result<T, Error>>) -> Self {
        Self { outcome: None, caller }
    }

    /// Keeps the outcome. Returns true if it is `Ok`.
    pub(super) fn keep(&mut self, outcome: Result<T, Error>) -> bool {
        self.outcome.insert(outcome).is_ok()
    }

    pub(super) fn failed_internally(&self) -> bool {
        matches!(self.outcome, None | Some(Err(Error::Internal)))
    }

    pub(super) fn send(self, replaced_by: Option<Error>) {
        let answer = match replaced_by {
            Some(error) => Err(error),
            None => self.outcome.unwrap_or(Err(Error::Internal)),
        };
        // If the caller has stopped waiting, its answer is dropped.
        let _ = self.caller.send(answer);
    }
}

pub(super) struct ClosureWrite<T, F> {
    claim: Option<Claim>,
    /// Both are taken by `run`.
    recheck: Option<Recheck>,
    work: Option<F>,
    answer: CallerReply<T>,
}

impl<T, F> ClosureWrite<T, F>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn new(once: Once, work: F, caller: oneshot::Sender<Result<T, Error>>) -> Self {
        let (claim, recheck) = match once {
            Once::Unkeyed => (None, None),
            Once::Key(claim) => (Some(claim), None),
            Once::Checked(claim, recheck) => (Some(claim), Some(recheck)),
        };
        Self { claim, recheck, work: Some(work), answer: CallerReply::to(caller) }
    }
}

/// Runs the work under its Idempotency-Key: the first call runs and its answer is kept; later calls
/// get that answer, if they may still have it.
async fn run_once<T, F>(
    tx: &mut Tx,
    claim: &Claim,
    recheck: Option<Recheck>,
    work: F,
) -> Result<T, Error>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error>,
    T: Serialize + DeserializeOwned,
{
    let unreadable = |fault: serde_json::Error| {
        let path = &claim.path;
        tracing::error!(%fault, path, "an Idempotency-Key's kept answer is unreadable");
        Error::Internal
    };
    match idempotency::claim(tx, claim).await? {
        Claimed::First => {
            let answer = work(tx).await?;
            let json = serde_json::to_string(&answer).map_err(unreadable)?;
            idempotency::keep_answer(tx, claim, json).await?;
            Ok(answer)
        }
        Claimed::Repeated(json) => {
            if let Some(recheck) = recheck {
                recheck(tx.conn()).await?;
            }
            serde_json::from_str(&json).map_err(unreadable)
        }
        Claimed::OtherBody => Err(Error::KeyReused),
    }
}

impl<T, F> WriteJob for ClosureWrite<T, F>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalFuture<'a, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            let outcome = match &self.claim {
                None => work(tx).await,
                Some(claim) => run_once(tx, claim, self.recheck.take(), work).await,
            };
            self.answer.keep(outcome)
        })
    }

    fn failed_internally(&self) -> bool {
        self.answer.failed_internally()
    }

    fn answer(self: Box<Self>, replaced_by: Option<Error>) {
        self.answer.send(replaced_by);
    }
}

/// A read whose answer type only its caller knows.
pub(super) trait ReadJob: Send {
    /// Runs once, unless the caller has stopped waiting.
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> LocalFuture<'a, ()>;

    /// See [`WriteJob::failed_internally`].
    fn failed_internally(&self) -> bool;

    /// See [`WriteJob::answer`].
    fn answer(self: Box<Self>, replaced_by: Option<Error>);
}

pub(super) struct ClosureRead<T, F> {
    /// Taken by `run`.
    work: Option<F>,
    answer: CallerReply<T>,
}

impl<T, F> ClosureRead<T, F> {
    pub(super) fn new(work: F, caller: oneshot::Sender<Result<T, Error>>) -> Self {
        Self { work: Some(work), answer: CallerReply::to(caller) }
    }
}

impl<T, F> ReadJob for ClosureRead<T, F>
where
    F: AsyncFnOnce(&mut Conn) -> QueryResult<T> + Send + 'static,
    T: Send + 'static,
{
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> LocalFuture<'a, ()> {
        Box::pin(async move {
            if !self.answer.caller.is_closed()
                && let Some(work) = self.work.take()
            {
                self.answer.keep(work(conn).await.map_err(Error::from));
            }
        })
    }

    fn failed_internally(&self) -> bool {
        self.work.is_none() && self.answer.failed_internally()
    }

    fn answer(self: Box<Self>, replaced_by: Option<Error>) {
        self.answer.send(replaced_by);
    }
}

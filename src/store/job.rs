//! A write or a read on its way from a caller's task to the thread that runs it, with the caller's
//! types erased.
//!
//! A caller that goes away leaves its write behind: it still runs, commits and is announced. A read
//! nobody waits for is skipped.

use std::any::{Any, TypeId};
use std::time::Instant;

use diesel::QueryResult;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::event::NewEvent;
use crate::store::conn::{Conn, LocalFuture};
use crate::store::idempotency::{self, Claim, Claimed, Once};
use crate::store::tx::Step;
use crate::store::{BudgetPermit, Tx};

/// What the queues carry.
pub(super) enum Message<J> {
    Job(J),
    /// Run what is queued, take no more, and end.
    Close,
}

/// A write, its share of the publisher's budget, and when its caller began to wait.
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

/// A write whose answer's type only its caller knows.
pub(super) trait WriteJob: Any + Send {
    /// Runs once, within a savepoint or transaction. True: keep what it did. False: roll back.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalFuture<'a, bool>;

    /// With which others it can be run together, instead of `run`.
    fn kind(&self) -> Option<BatchKind> {
        None
    }

    /// Whether what `run` came to is a fault of ours: then a lost connection may be the true
    /// reason.
    fn is_faulty(&self) -> bool;

    /// Answers the caller: with what `run` came to, or with the error that overtook it.
    fn answer(self: Box<Self>, overtaken: Option<Error>);
}

/// The steps of each write of a batch, in the batch's order.
pub(super) type BatchSteps = Vec<Vec<Step<NewEvent>>>;

/// Runs writes of one kind in one transaction.
type RunBatch =
    for<'a> fn(&'a mut Tx, Vec<&'a mut dyn WriteJob>) -> LocalFuture<'a, QueryResult<BatchSteps>>;

/// Which writes can run together, and how.
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

/// Who waits for a job, and what it came to.
pub(super) struct CallerReply<T> {
    /// Still none when the job panicked.
    outcome: Option<Result<T, Error>>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<T> CallerReply<T> {
    pub(super) fn to(caller: oneshot::Sender<Result<T, Error>>) -> Self {
        Self { outcome: None, caller }
    }

    /// Keeps what the job came to; whether that is no error.
    pub(super) fn keep(&mut self, outcome: Result<T, Error>) -> bool {
        self.outcome.insert(outcome).is_ok()
    }

    pub(super) fn is_faulty(&self) -> bool {
        matches!(self.outcome, None | Some(Err(Error::Internal)))
    }

    pub(super) fn give(self, overtaken: Option<Error>) {
        let answer = match overtaken {
            Some(error) => Err(error),
            None => self.outcome.unwrap_or(Err(Error::Internal)),
        };
        // The caller may have gone; its write stands all the same.
        let _ = self.caller.send(answer);
    }
}

pub(super) struct ClosureWrite<T, F> {
    claim: Option<Claim>,
    /// Taken by `run`.
    work: Option<F>,
    answer: CallerReply<T>,
}

impl<T, F> ClosureWrite<T, F>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    pub(super) fn new(once: Once, work: F, caller: oneshot::Sender<Result<T, Error>>) -> Self {
        let claim = match once {
            Once::No => None,
            Once::Key(claim) => Some(claim),
        };
        Self { claim, work: Some(work), answer: CallerReply::to(caller) }
    }
}

/// The work under its key: the first time it runs and its answer is kept; afterwards the kept
/// answer is the answer.
async fn run_once<T, F>(tx: &mut Tx, claim: &Claim, work: F) -> Result<T, Error>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error>,
    T: Serialize + DeserializeOwned,
{
    let unreadable = |fault: serde_json::Error| {
        tracing::error!(%fault, path = claim.path, "an answer kept for an Idempotency-Key does not fit its type");
        Error::Internal
    };
    match idempotency::claim(tx, claim).await? {
        Claimed::First => {
            let answer = work(tx).await?;
            let json = serde_json::to_string(&answer).map_err(unreadable)?;
            idempotency::keep_answer(tx, claim, &json).await?;
            Ok(answer)
        }
        Claimed::Repeated(json) => serde_json::from_str(&json).map_err(unreadable),
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
                Some(claim) => run_once(tx, claim, work).await,
            };
            self.answer.keep(outcome)
        })
    }

    fn is_faulty(&self) -> bool {
        self.answer.is_faulty()
    }

    fn answer(self: Box<Self>, overtaken: Option<Error>) {
        self.answer.give(overtaken);
    }
}

/// A read whose answer's type only its caller knows.
pub(super) trait ReadJob: Send {
    /// Runs once, unless nobody waits for it any more.
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> LocalFuture<'a, ()>;

    /// As [`WriteJob::is_faulty`].
    fn is_faulty(&self) -> bool;

    /// As [`WriteJob::answer`].
    fn answer(self: Box<Self>, overtaken: Option<Error>);
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

    fn is_faulty(&self) -> bool {
        self.work.is_none() && self.answer.is_faulty()
    }

    fn answer(self: Box<Self>, overtaken: Option<Error>) {
        self.answer.give(overtaken);
    }
}

//! Writes of one kind that PostgreSQL runs as one: one statement for all of them, where each alone
//! would need its own.
//!
//! SQLite's writer already commits writes of all kinds together, and a statement is no round trip
//! there, so it runs each of these alone. On both databases a write with an Idempotency-Key runs
//! alone, because its key has to be claimed first.

use std::any::{Any, TypeId};
use std::future::Future;

use diesel::QueryResult;
use diesel::result::Error as DieselError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::store::Tx;
use crate::store::conn::LocalFuture;
use crate::store::job::{BatchKind, BatchSteps, CallerReply, WriteJob};

/// A kind of write that is frequent enough to be batched.
pub trait BatchedWrite: Send + Sized + 'static {
    /// The answer that the caller gets.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
    /// The outcome of one write of a batch.
    type Done;

    /// Runs the batch in one transaction, as if the writes came one after another, in as many
    /// statements as for one. Returns one result per write, in order; an `Err` means that nothing
    /// was written for it. If this fails as a whole, everything is rolled back, and each write runs
    /// alone.
    fn write_batch(
        tx: &mut Tx,
        batch: &[&Self],
    ) -> impl Future<Output = QueryResult<Vec<Result<Self::Done, Error>>>>;

    /// Translates the database's error of a write that ran alone.
    #[must_use]
    fn translate_error(fault: DieselError) -> Error {
        fault.into()
    }

    /// Emits the events of one write, and makes its answer.
    fn emit_and_answer(done: Self::Done, tx: &mut Tx) -> Self::Answer;
}

/// Runs a batch of one.
pub(super) async fn run_alone<V: BatchedWrite>(write: V, tx: &mut Tx) -> Result<V::Answer, Error> {
    let mut done = V::write_batch(tx, &[&write]).await.map_err(V::translate_error)?;
    // One result per write.
    let done = done.pop().ok_or(Error::Internal)??;
    Ok(V::emit_and_answer(done, tx))
}

pub(super) struct BatchedJob<V: BatchedWrite> {
    /// Taken when it runs alone.
    write: Option<V>,
    answer: CallerReply<V::Answer>,
}

impl<V: BatchedWrite> BatchedJob<V> {
    pub(super) fn new(write: V, caller: oneshot::Sender<Result<V::Answer, Error>>) -> Self {
        Self { write: Some(write), answer: CallerReply::to(caller) }
    }
}

impl<V: BatchedWrite> WriteJob for BatchedJob<V> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalFuture<'a, bool> {
        Box::pin(async move {
            let Some(write) = self.write.take() else { return false };
            self.answer.keep(run_alone(write, tx).await)
        })
    }

    fn kind(&self) -> Option<BatchKind> {
        Some(BatchKind::new(TypeId::of::<V>(), run_batch::<V>))
    }

    fn failed_internally(&self) -> bool {
        self.answer.failed_internally()
    }

    fn answer(self: Box<Self>, replaced_by: Option<Error>) {
        self.answer.send(replaced_by);
    }
}

fn run_batch<'a, V: BatchedWrite>(
    tx: &'a mut Tx,
    jobs: Vec<&'a mut dyn WriteJob>,
) -> LocalFuture<'a, QueryResult<BatchSteps>> {
    Box::pin(async move {
        // A batch holds jobs of one type that have not run, so nothing is filtered out here.
        let mut jobs: Vec<&mut BatchedJob<V>> =
            jobs.into_iter().filter_map(|job| (job as &mut dyn Any).downcast_mut()).collect();
        let writes: Vec<&V> = jobs.iter().filter_map(|job| job.write.as_ref()).collect();
        let done = V::write_batch(tx, &writes).await?;
        let each = jobs.iter_mut().zip(done).map(|(job, done)| {
            job.answer.keep(done.map(|done| V::emit_and_answer(done, tx)));
            std::mem::take(&mut tx.steps)
        });
        Ok(each.collect())
    })
}

//! Writes of one kind that PostgreSQL takes together: a statement for all of them, where each by
//! itself would need its own.
//!
//! SQLite's writer takes writes of all kinds together anyway, and a statement is no round trip
//! there: each of these runs by itself in its turn. So does, on both, one with an Idempotency-Key,
//! whose key has to be claimed first.

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

/// A kind of write that comes often enough to be taken together with others of its kind.
pub trait BatchedWrite: Send + Sized + 'static {
    /// What its caller gets.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
    /// What [`BatchedWrite::write_batch`] has done for one of them.
    type Done;

    /// All of them in one transaction, as if they came one after another; in as many statements as
    /// for one. `Err` for one of them: nothing was written for it. When this fails as a whole, all
    /// of it is undone, and each is tried by itself.
    fn write_batch(
        tx: &mut Tx,
        batch: &[&Self],
    ) -> impl Future<Output = QueryResult<Vec<Result<Self::Done, Error>>>>;

    /// What it means when the database refuses one that came by itself.
    #[must_use]
    fn refused(fault: DieselError) -> Error {
        fault.into()
    }

    /// Emits what is to be announced of one, and makes its answer.
    fn announce(done: Self::Done, tx: &mut Tx) -> Self::Answer;
}

/// A batch of one.
pub(super) async fn run_alone<V: BatchedWrite>(write: V, tx: &mut Tx) -> Result<V::Answer, Error> {
    let mut done = V::write_batch(tx, &[&write]).await.map_err(V::refused)?;
    // As many as were given.
    let done = done.pop().ok_or(Error::Internal)??;
    Ok(V::announce(done, tx))
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

    fn is_faulty(&self) -> bool {
        self.answer.is_faulty()
    }

    fn answer(self: Box<Self>, overtaken: Option<Error>) {
        self.answer.give(overtaken);
    }
}

fn run_batch<'a, V: BatchedWrite>(
    tx: &'a mut Tx,
    jobs: Vec<&'a mut dyn WriteJob>,
) -> LocalFuture<'a, QueryResult<BatchSteps>> {
    Box::pin(async move {
        // Who brings others brings nothing of them about: a kind's jobs are of its type, and have
        // not run.
        let mut jobs: Vec<&mut BatchedJob<V>> =
            jobs.into_iter().filter_map(|job| (job as &mut dyn Any).downcast_mut()).collect();
        let writes: Vec<&V> = jobs.iter().filter_map(|job| job.write.as_ref()).collect();
        let done = V::write_batch(tx, &writes).await?;
        let each = jobs.iter_mut().zip(done).map(|(job, done)| {
            job.answer.keep(done.map(|done| V::announce(done, tx)));
            std::mem::take(&mut tx.steps)
        });
        Ok(each.collect())
    })
}

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
use crate::event::NewEvent;
use crate::store::Tx;
use crate::store::conn::LocalFuture;
use crate::store::job::{Answer, WriteJob};
use crate::store::tx::Step;

/// A kind of write that comes often enough to be taken together with others of its kind.
pub trait Batched: Send + Sized + 'static {
    /// What its caller gets.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
    /// What [`Batched::together`] has done for one of them.
    type Done;

    /// All of them in one transaction, as if they came one after another; in as many statements as
    /// for one. `Err` for one of them: nothing was written for it. When this fails as a whole, all
    /// of it is undone, and each is tried by itself.
    fn together(
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
pub(super) async fn alone<V: Batched>(verb: V, tx: &mut Tx) -> Result<V::Answer, Error> {
    let mut done = V::together(tx, &[&verb]).await.map_err(V::refused)?;
    // As many as were given.
    let done = done.pop().ok_or(Error::Internal)??;
    Ok(V::announce(done, tx))
}

/// What each of a batch leaves behind its rows, in order.
pub(super) type Steps = Vec<Vec<Step<NewEvent>>>;

/// Which writes can be taken together, and how.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    id: TypeId,
    /// Runs them, all of this kind, in one transaction.
    pub(super) run:
        for<'a> fn(&'a mut Tx, Vec<&'a mut dyn WriteJob>) -> LocalFuture<'a, QueryResult<Steps>>,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

pub(super) struct BatchedWrite<V: Batched> {
    /// Taken when it runs alone.
    verb: Option<V>,
    answer: Answer<V::Answer>,
}

impl<V: Batched> BatchedWrite<V> {
    pub(super) fn new(verb: V, caller: oneshot::Sender<Result<V::Answer, Error>>) -> Self {
        Self { verb: Some(verb), answer: Answer::to(caller) }
    }
}

impl<V: Batched> WriteJob for BatchedWrite<V> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> LocalFuture<'a, bool> {
        Box::pin(async move {
            let Some(verb) = self.verb.take() else { return false };
            self.answer.keep(alone(verb, tx).await)
        })
    }

    fn kind(&self) -> Option<Kind> {
        Some(Kind { id: TypeId::of::<V>(), run: run_together::<V> })
    }

    fn is_faulty(&self) -> bool {
        self.answer.is_faulty()
    }

    fn answer(self: Box<Self>, overtaken: Option<Error>) {
        self.answer.give(overtaken);
    }
}

fn run_together<'a, V: Batched>(
    tx: &'a mut Tx,
    jobs: Vec<&'a mut dyn WriteJob>,
) -> LocalFuture<'a, QueryResult<Steps>> {
    Box::pin(async move {
        // Who brings others brings nothing of them about: a kind's jobs are of its type, and have
        // not run.
        let mut jobs: Vec<&mut BatchedWrite<V>> =
            jobs.into_iter().filter_map(|job| (job as &mut dyn Any).downcast_mut()).collect();
        let verbs: Vec<&V> = jobs.iter().filter_map(|job| job.verb.as_ref()).collect();
        let done = V::together(tx, &verbs).await?;
        let each = jobs.iter_mut().zip(done).map(|(job, done)| {
            job.answer.keep(done.map(|done| V::announce(done, tx)));
            std::mem::take(&mut tx.steps)
        });
        Ok(each.collect())
    })
}

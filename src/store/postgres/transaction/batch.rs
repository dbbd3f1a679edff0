//! Writes of one kind as one transaction: all that were queued while the previous batch ran. When
//! one of them breaks the statement for all, each runs by itself.

use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::store::conn::guarded;
use crate::store::fault::{NO_ANSWER, UNCONFIRMED};
use crate::store::job::BatchKind;
use crate::store::job::QueuedWrite;
use crate::store::postgres::context::PgContext;
use crate::store::postgres::outbox::OutboxInsert;
use crate::store::postgres::pool::{TIME_LIMIT, discard};
use crate::store::postgres::transaction::{
    self, begin, commit_with_events, commit_without_events, roll_back,
};

/// The most writes in one batch, and the most writes that may wait for one.
pub(in crate::store::postgres) const MAX_BATCH: usize = 128;

/// Runs batches until the queue is closed and everything from it is finished.
pub(in crate::store::postgres) async fn serve(
    context: Rc<PgContext>,
    mut queue: mpsc::Receiver<(BatchKind, QueuedWrite)>,
) {
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    while queue.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let mut batches: Vec<(BatchKind, Vec<QueuedWrite>)> = Vec::new();
        for (kind, write) in waiting.drain(..) {
            match batches.iter_mut().find(|(of, _)| *of == kind) {
                Some((_, batch)) => batch.push(write),
                None => batches.push((kind, vec![write])),
            }
        }
        let running: Vec<_> = batches
            .into_iter()
            .map(|(kind, batch)| {
                tokio::task::spawn_local(run_batch(Rc::clone(&context), kind, batch))
            })
            .collect();
        for batch in running {
            // A panicked task was reported by the panic hook, and its callers see their channels
            // close.
            let _ = batch.await;
        }
    }
}

async fn run_batch(context: Rc<PgContext>, kind: BatchKind, mut batch: Vec<QueuedWrite>) {
    let Some(oldest) = batch.iter().map(|write| write.since).min() else { return };
    let until = Instant::from_std(oldest + TIME_LIMIT);
    let mut tx =
        match timeout_at(until, begin(&context.connections)).await.unwrap_or(Err(NO_ANSWER)) {
            Ok(tx) => tx,
            Err(reason) => return refuse(batch, reason),
        };
    let jobs = batch.iter_mut().map(|write| &mut *write.job).collect();
    let Ok(ran) = timeout_at(until, guarded((kind.run)(&mut tx, jobs))).await else {
        discard(tx.conn);
        return refuse(batch, NO_ANSWER);
    };
    let Some(Ok(steps)) = ran else {
        if let Some(Err(error)) = ran {
            let writes = batch.len();
            tracing::debug!(%error, writes, "a batch failed; its writes run one by one");
        }
        if roll_back(tx).await {
            return refuse(batch, NO_ANSWER);
        }
        for write in batch {
            transaction::run_write(Rc::clone(&context), write).await;
        }
        return;
    };
    let (mut insert, mut origins, mut quiet) = (OutboxInsert::default(), Vec::new(), Vec::new());
    for (QueuedWrite { job, permit, since }, steps) in batch.into_iter().zip(steps) {
        if steps.is_empty() {
            quiet.push(job);
            continue;
        }
        let origin = context.write_numbers.next();
        let local = insert.add(origin, steps);
        context.pending.register(origin, local, job, permit, since + TIME_LIMIT);
        origins.push(origin);
    }
    let committed = if origins.is_empty() {
        commit_without_events(tx, until).await
    } else {
        commit_with_events(&context, tx, insert, &origins, until).await
    };
    for job in quiet {
        job.answer((!committed).then_some(Error::Unavailable(UNCONFIRMED)));
    }
}

fn refuse(batch: Vec<QueuedWrite>, reason: &'static str) {
    for write in batch {
        write.job.answer(Some(Error::Unavailable(reason)));
    }
}

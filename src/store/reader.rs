//! SQLite's readers: a few threads with a read-only connection each, and one queue. They see what
//! is committed, and never wait for the writer.

use std::sync::{Arc, Mutex, PoisonError};

use diesel::sqlite::SqliteConnection;
use tokio::sync::mpsc;

use crate::store::conn::{Conn, ThreadExecutor, guarded};
use crate::store::job::{Message, QueuedRead};

/// The receiving end of the queue, shared by the readers. The reader with the lock waits for the
/// next read; the others wait for the lock.
pub(super) type SharedQueue = Arc<Mutex<mpsc::Receiver<Message<QueuedRead>>>>;

/// Runs reads until the queue is closed and empty. A read that panics fails alone.
pub(super) fn run(conn: SqliteConnection, queue: &SharedQueue) {
    let mut conn = Conn::Sqlite(conn);
    let executor = ThreadExecutor::new();
    loop {
        match next(queue) {
            Some(QueuedRead { mut job, .. }) => {
                executor.run(guarded(job.run(&mut conn)));
                job.answer(None);
            }
            None => return,
        }
    }
}

/// Waits for the next read; `None` when the queue is closed and empty.
fn next(queue: &SharedQueue) -> Option<QueuedRead> {
    // A panic of another reader cannot leave the receiver inconsistent.
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match queue.blocking_recv()? {
            Message::Job(read) => return Some(read),
            // Closes under the same lock: otherwise another reader would wait on a queue that
            // nobody can close.
            Message::Close => queue.close(),
        }
    }
}

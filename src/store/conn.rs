//! One query text for two databases. [`Conn`] is the connection, [`query!`] expands a query for both arms, and [`Driver`] runs it on a thread of ours.
//!
//! diesel-async has no connection over several back ends yet. On SQLite its wrapper is told to run each statement at once where it stands
//! ([`Inline`]), so a query never waits, and never leaves its thread (docs/adr/0002). Only `store/` may name the arms.

use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use diesel::sqlite::SqliteConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};

pub(super) type SqliteConn = SyncConnectionWrapper<SqliteConnection, Inline>;
/// Boxed: it is much larger than the other.
pub(super) type PgConn = Box<Object<AsyncPgConnection>>;

/// A connection to either database. Store functions take it as `&mut Conn`.
pub enum Conn {
    #[doc(hidden)]
    Sqlite(SqliteConn),
    #[doc(hidden)]
    Postgres(PgConn),
}

/// Runs one query on whichever database it is: `query!(conn, c => users::table.find(id).first(c).await)`.
macro_rules! query {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::store::conn::Conn::Sqlite($c) => $body,
            $crate::store::conn::Conn::Postgres($c) => $body,
        }
    };
}
pub(super) use query;

/// Runs a blocking call where it stands. Right only on threads that may block: the writer's and the readers'.
pub struct Inline;

impl SpawnBlocking for Inline {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = Result<R, Box<dyn Error + Send + Sync>>> + Send + 'a>>
    where
        R: Send + 'static,
    {
        Box::pin(std::future::ready(Ok(task())))
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// A future that stays on its thread.
pub(super) type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Drives futures on the thread that made it, which sleeps while they wait (queries on SQLite do not).
pub(super) struct Driver(Waker);

impl Driver {
    pub(super) fn new() -> Self {
        Self(Waker::from(Arc::new(Unpark(thread::current()))))
    }

    pub(super) fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&self.0)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a job's future; `None` when it panics, after which it is dropped and must not be polled again. The panic hook has reported it by then.
pub(super) async fn guarded<T>(mut future: LocalFuture<'_, T>) -> Option<T> {
    // A job's state after a panic is seen by no one: its savepoint or transaction is rolled back.
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

//! One query text for two databases. [`Conn`] is the connection, [`query!`] expands a query for
//! both variants, and [`ThreadExecutor`] runs it on one of the store's threads.
//!
//! On PostgreSQL a query is diesel-async's. On SQLite it is plain diesel's and blocks the thread:
//! no wrapper in between, for the reasons and figures of docs/adr/0002. Only `store/` may name the
//! variants.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use diesel::sqlite::SqliteConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

/// How long [`Conn::is_gone`] waits for the server.
const IS_GONE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to either database. Store functions take it as `&mut Conn`.
pub enum Conn {
    #[doc(hidden)]
    Sqlite(SqliteConnection),
    /// Boxed: much larger than the other variant.
    #[doc(hidden)]
    Postgres(Box<Object<AsyncPgConnection>>),
}

impl Conn {
    /// Returns true if the connection is lost. Asks the server, since a query often fails before
    /// the connection is closed; works in a failed transaction too.
    pub(super) async fn is_gone(&mut self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(conn) => {
                let asked = tokio::time::timeout(IS_GONE_TIMEOUT, conn.batch_execute("")).await;
                !matches!(asked, Ok(Ok(())))
            }
        }
    }
}

/// Runs one query on either database: `query!(conn, |c| users::table.find(id).first(c))`.
///
/// diesel and diesel-async use the same method names (`first`, `load`, `execute`, …), so one text
/// serves both. The macro imports the matching trait, and awaits where necessary. Files that use it
/// must import neither `RunQueryDsl`.
macro_rules! query {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::store::conn::Conn::Sqlite($c) => {
                use diesel::RunQueryDsl as _;
                $body
            }
            $crate::store::conn::Conn::Postgres($c) => {
                use diesel_async::RunQueryDsl as _;
                $body.await
            }
        }
    };
}
pub(super) use query;

/// A future that stays on its thread.
pub(super) type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs futures on the thread that made it. The thread sleeps while they wait; queries on SQLite
/// never do.
pub(super) struct ThreadExecutor(Waker);

impl ThreadExecutor {
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

    /// Like [`ThreadExecutor::run`], and gives up after `limit`: the result is then `None`.
    pub(super) fn run_for<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let (mut future, began) = (pin!(future), Instant::now());
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&self.0)) {
                Poll::Ready(output) => return Some(output),
                Poll::Pending => thread::park_timeout(limit.checked_sub(began.elapsed())?),
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

/// Runs a job's future. `None` if it panics; the panic hook has then reported it, and the future
/// must not be polled again.
pub(super) async fn guarded<T>(mut future: LocalFuture<'_, T>) -> Option<T> {
    // Nothing observes a job's state after a panic: its savepoint or transaction is rolled back.
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

//! SQL and the write path: every query of the product, and the one way in which a write becomes
//! rows, log entries and announcements.
//!
//! Service functions call [`Db::read`] and [`Db::write`], and in there the functions of each table
//! family, such as [`orders`]. A write is a closure over a [`Tx`]: it changes rows and calls
//! [`Tx::emit`]. Rows, events and the answer kept for an Idempotency-Key commit together; only then
//! does the [`Publisher`] get the events, as [`Committed`], which nothing else can make. This
//! module knows no socket, no HTTP and no permission.
//!
//! | file | owns |
//! | --- | --- |
//! | `db` | the handle: open, read, write, ready, close |
//! | `job` | a read or a write on its way to the thread that runs it |
//! | `batched` | writes of one kind that PostgreSQL runs as one |
//! | `writer`, `reader` | SQLite's threads: group commit; a few read-only connections |
//! | `postgres` | PostgreSQL's thread: a pool, one transaction per write, the appender |
//! | `conn`, `tx` | one query text for both databases; a write in progress |
//! | `publish` | the interface to the publisher of committed events |
//! | `fault` | what a database error means to a caller |
//! | `health` | whether writes work, for `/readyz` |
//! | `migrate`, `file` | the schema's version; SQLite's file and the server's lock |
//! | `events`, `history` | appending to the log; reading it, and removing old events |
//! | `turns` | how many calls of one user are with the database at once |
//! | `epochs` | stretches of the log, and which offsets are good |
//! | `sessions`, `secrets` | sessions that can be resumed; keys that survive a restart |
//! | `idempotency` | Idempotency-Keys and their answers |
//! | all others | queries, a file per table family |

mod batched;
pub mod blocks;
pub mod broadcasts;
mod conn;
pub mod conversations;
mod db;
mod epochs;
mod events;
mod fault;
mod file;
mod health;
pub mod history;
pub mod idempotency;
pub mod identities;
pub mod invitations;
mod job;
pub mod members;
pub mod messages;
mod migrate;
pub mod notifications;
pub mod orders;
pub mod payments;
mod postgres;
pub mod products;
pub mod projects;
mod publish;
mod reader;
pub mod reviews;
pub mod secrets;
pub mod sessions;
pub mod tokens;
mod turns;
mod tx;
pub mod usage;
pub mod users;
pub mod waitlist;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use batched::BatchedWrite;
pub use conn::Conn;
pub use db::Db;
pub use events::CommittedEvent;
pub use fault::{OpenError, READ_ONLY, is_missing_reference, is_taken};
pub use idempotency::{Claim, Once, Recheck};
pub use publish::{BudgetPermit, Committed, NullPublisher, Publisher};
pub use tx::Tx;

/// The most rows of a list that is part of a larger thing, such as a project's members. All of them
/// are in a list of their own, page by page.
pub const FIRST: i64 = 200;

/// The number of all rows, for a list that is part of a larger thing and has `listed` of them;
/// `None` if it has all.
async fn more_than(
    listed: usize,
    count: impl AsyncFnOnce() -> diesel::QueryResult<i64>,
) -> diesel::QueryResult<Option<i64>> {
    let listed = i64::try_from(listed).unwrap_or(i64::MAX);
    if listed < FIRST {
        return Ok(None);
    }
    Ok(Some(count().await?).filter(|count| *count > listed))
}

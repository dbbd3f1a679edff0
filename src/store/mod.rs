//! SQL and the write path: every query of the product, and the one way in which a write becomes
//! rows, log entries and announcements.
//!
//! Services call [`Db::read`] and [`Db::write`], and in there the functions of each table family,
//! such as [`orders`]. A write is a closure over a [`Tx`]: it changes rows and calls [`Tx::emit`];
//! rows, events and the answer kept for an Idempotency-Key commit together, and only then does the
//! [`Publisher`] get the events, as [`Committed`], which nothing else can make. This module knows
//! no socket, no HTTP and no rule of who may.
//!
//! | file | owns |
//! | --- | --- |
//! | `db` | the handle: open, read, write, ready, close |
//! | `job`, `batched` | a write or a read on its way to the thread that runs it; writes that are taken together |
//! | `writer`, `reader` | SQLite's threads: group commit; a few read-only connections |
//! | `postgres` | PostgreSQL's thread: a pool, one transaction per write |
//! | `conn`, `tx`, `fault` | one query text for both databases; a write in progress; what a database error means |
//! | `migrate`, `file` | the schema's version; SQLite's file, its rights and the server's lock |
//! | `epochs`, `history` | stretches of the log, and which offsets are good; reading the log, and its old end |
//! | `sessions`, `secrets` | what is kept of sockets that may come back; keys that outlive a restart |
//! | `events`, `idempotency`, `users`, `tokens`, `identities`, `orders`, `products`, `waitlist`, `reviews`, `payments`, `notifications`, `broadcasts`, `projects`, `conversations`, `messages` | queries, a file per table family |

mod batched;
pub mod broadcasts;
mod conn;
pub mod conversations;
mod db;
mod epochs;
mod events;
mod fault;
mod file;
pub mod history;
pub mod idempotency;
pub mod identities;
mod job;
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
mod tx;
pub mod users;
pub mod waitlist;
mod writer;

#[cfg(test)]
mod tests;

pub use batched::BatchedWrite;
pub use conn::Conn;
pub use db::Db;
pub use events::CommittedEvent;
pub use fault::{OpenError, is_missing_reference, is_taken};
pub use idempotency::{Claim, Once};
pub use publish::{BudgetPermit, Committed, NullPublisher, Publisher};
pub use tx::Tx;

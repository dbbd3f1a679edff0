//! The hub: one actor per process, and the handles on it. It knows the worker and the user of each
//! socket, and the workers that have sockets of a room. It sends every event to those workers, once
//! each, so its work grows with the workers and not with the sockets.
//!
//! The hub never reads a database, never encodes and never waits. The floors above authorise a
//! join; removing a socket takes time in proportion to its rooms. All events of a room pass through
//! this one mailbox and then one mailbox per worker, first in, first out, so all its members see
//! one order.
//!
//! | file | owns |
//! | --- | --- |
//! | `handle` | [`HubHandle`](handle::HubHandle), the entry point for any thread; the budget |
//! | `client_handle` | a handle on one socket, for any thread |
//! | `operations` | one file per operation: its message, the handle's method, the hub's handler |
//! | `hub` | the actor: its tables, and routing |
//! | `workers` | the messages that the hub sends to a worker, and its handle on a worker |
//! | `presence`, `tail` | the users of each room; the end of the log in memory |

pub mod client_handle;
pub mod handle;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub(crate) mod hub;
pub(crate) mod operations;
pub mod presence;
pub mod tail;
pub mod workers;

//! The hub: one actor per process, and everyone's handle on it. It knows which socket is on which
//! worker and which user has it, and which workers have sockets of a room. It sends every event to
//! those workers, once each, so its work grows with the workers and not with the sockets.
//!
//! The hub never reads a database, never encodes and never waits. The floors above authorise a
//! join; leaving costs a socket its own rooms. All events of a room pass this one mailbox and then
//! one mailbox per worker, first in, first out, so all its members see one order.
//!
//! | file | owns |
//! | --- | --- |
//! | `handle` | [`HubHandle`](handle::HubHandle), the way in from any thread; the budget |
//! | `client_handle` | one socket, as any thread may hold it |
//! | `operations` | one file per operation: its message, the handle's method, the hub's handler |
//! | `hub` | the actor: its tables, and routing |
//! | `workers` | the messages that the hub sends to a worker, and its handle on one |
//! | `presence`, `tail` | the users of each room; the end of the log in memory |

pub mod client_handle;
pub mod handle;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub(crate) mod hub;
pub(crate) mod operations;
pub mod presence;
pub mod tail;
pub mod workers;

//! One worker thread: its sockets by room, and the writes to them. The hub reaches it by messages;
//! it reaches a session through [`SessionActor`](session_actor::SessionActor), whatever the
//! session's type.
//!
//! | file | owns |
//! | --- | --- |
//! | `worker` | [`Worker`](worker::Worker), which its thread's connections share |
//! | `sockets` | the table of the worker's sockets |
//! | `fanout` | the actor that writes one event to many sockets |
//! | `session_actor` | the messages that a worker sends to a session |
//! | `alarms` | the times at which gateways want to be called |

pub(crate) mod alarms;
mod fanout;
pub(crate) mod session_actor;
pub(crate) mod sockets;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub(crate) mod worker;

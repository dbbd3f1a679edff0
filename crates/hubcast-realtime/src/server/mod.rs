//! The server: admission, the transports that accept connections, and the worker threads that serve
//! them.
//!
//! | file | owns |
//! | --- | --- |
//! | `server`, `builder` | the listener, its workers and its shutdown; building a server |
//! | `admission`, `gate` | rights and rates; the checks before a session begins |
//! | `origins`, `forwarded`, `refusal` | lists of Origins; what proxies say; why one was refused |
//! | `transports` | TLS, the upgrade request, long-polling |

pub mod admission;
pub mod builder;
mod forwarded;
mod gate;
mod origins;
mod refusal;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub mod server;
mod transports;

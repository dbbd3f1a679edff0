//! The server: admission, the transports that accept connections, and the worker threads that serve
//! them.
//!
//! | file | owns |
//! | --- | --- |
//! | `server`, `builder` | the listener, its workers and its shutdown; building a server |
//! | `admission`, `gate` | rights and rates; the checks before a session begins |
//! | `origins`, `hosts` | lists of Origins; the names of this server |
//! | `forwarded`, `refusal` | what proxies say; why an Origin was refused |
//! | `transports` | TLS, the upgrade request, long-polling |

pub mod admission;
pub mod builder;
mod forwarded;
pub mod gate;
mod hosts;
mod origins;
mod refusal;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub mod server;
mod transports;

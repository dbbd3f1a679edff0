//! The server: admission, the transports that accept connections, and the worker threads that serve
//! them.
//!
//! | file | owns |
//! | --- | --- |
//! | `server`, `builder` | the listener, its workers and its shutdown; building a server |
//! | `admission`, `gate` | Origins, proxies and rates; the checks before a session begins |
//! | `transports` | TLS, the upgrade request, long-polling |

pub mod admission;
pub mod builder;
mod gate;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub mod server;
mod transports;

//! The server: admission, how connections come in, and the worker threads that serve them.
//!
//! | file | owns |
//! | --- | --- |
//! | `server`, `builder` | the listener, its workers, the end; putting a server together |
//! | `admission`, `gate` | Origins, proxies and rates; the checks before a session begins |
//! | `transports` | TLS, the upgrade request, long-polling |

pub mod admission;
pub mod builder;
mod gate;
#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub mod server;
mod transports;

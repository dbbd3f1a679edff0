//! hubcast: a realtime hub server. REST calls write to the database, and every socket that may know
//! of a write receives its event, in order.
//!
//! This table is the map, from low to high. A file imports only from lower ranks, and at most three
//! files import each other in a circle; `tests/layers.rs` holds both rules. `docs/ARCHITECTURE.md`
//! follows an order and a message through the ranks, and `docs/GLOSSARY.md` defines the words. Any
//! file may log by `hubcast_realtime::throttled!`, which bounds the lines of a fault that repeats.
//!
//! | rank | modules | owns |
//! | --- | --- | --- |
//! | 0 | [`config`], [`error`] | settings as plain data; the one error catalogue |
//! | 1 | [`schema`] | the shape of the tables |
//! | 2 | [`model`] | the product's data, and the rules of request bodies, without I/O |
//! | 3 | [`auth`] | tokens, keys and passwords |
//! | 4 | [`event`] | every server event: name, audience, payload, declared once |
//! | 5 | [`store`] | SQL, transactions, and the log of stored events |
//! | 5 | [`realtime`] | the Socket.IO server `crates/hubcast-realtime`, which knows no product |
//! | 6 | [`service`] | service functions: permission, one transaction, the events of it |
//! | 7 | [`http`], [`gateway`] | entry points: REST endpoints; client events of sockets |
//! | 8 | [`app`], [`load`] | starts and stops all parts; the load generator |
//! | 9 | [`cli`] | the command line, and the generated docs |

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod error;
pub mod event;
pub mod gateway;
pub mod http;
pub mod load;
pub mod model;
pub mod schema;
pub mod service;
pub mod store;

pub use hubcast_realtime as realtime;

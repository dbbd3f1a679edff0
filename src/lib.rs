//! hubcast: a realtime hub server. REST writes to the database, and every socket that should know
//! hears of it at once, in order.
//!
//! The map, low to high; a file imports only from lower ranks (`tests/layers.rs` holds this):
//!
//! | rank | modules | owns |
//! | --- | --- | --- |
//! | 0 | [`config`], [`error`] | settings as plain data; the one error catalogue |
//! | 1 | [`schema`] | the tables' shape |
//! | 2 | [`model`] | data and pure rules |
//! | 3 | [`auth`] | tokens and passwords |
//! | 4 | [`event`] | every event of the product: name, audience, payload |
//! | 5 | [`store`], [`realtime`] | SQL and the write path; a general Socket.IO / WebSocket server that knows no domain |
//! | 6 | [`service`] | the verbs, and who may |
//! | 7 | [`gateway`], [`http`] | two doors to the verbs: sockets and REST |
//! | 8 | [`app`], [`load`] | puts the parts together, starts and stops them; the load generator |
//! | 9 | [`cli`] | the command line |

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

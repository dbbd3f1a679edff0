#![doc = include_str!("../README.md")]
//!
//! # Floors
//!
//! A module is a floor, and its rank says how high it is. A file imports only from its own floor
//! and from lower ones, and no more than three files of a floor import each other in a circle. A
//! test checks both rules.
//!
//! | rank | module | owns |
//! | --- | --- | --- |
//! | 0 | `wire` | packets and frames, pure: Engine.IO, Socket.IO, the plain protocol, WebSocket |
//! | 1 | `core` | ids, events, payloads, protocols, log positions, settings, reasons, errors |
//! | 2 | `connection` | one connection: its bytes, its queue of frames, its timers |
//! | 3 | `hub` | one actor per process: the worker and rooms of each socket, presence, routing |
//! | 4 | `worker` | one thread: its sockets by room, and the writes to them |
//! | 5 | `session` | one actor per connection: its sockets, their events; a program's traits |
//! | 6 | `server` | admission, the listener, transports |
//!
//! A caller waits only for what it calls (session → gateway → hub); nothing waits in the other
//! direction, so two full queues cannot block each other. The hub's budget of bytes in flight,
//! which a publisher takes before it makes an event, bounds these queues.

// For `throttled!`, which names this crate in other crates and in this one.
extern crate self as hubcast_realtime;

mod connection;
mod core;
mod hub;
mod server;
mod session;
pub mod wire;
mod worker;

pub use connection::gauges::{Connections, Transport};
pub use core::address::rate_key;
pub use core::error::{AuthFailure, Error};
pub use core::event::{Event, EventKind, VersionKey};
pub use core::ids::{SocketId, WorkerId};
pub use core::payload::Payload;
pub use core::protocol::{ENGINE, Protocol};
pub use core::reason::DisconnectReason;
pub use core::recovery::Position;
pub use core::settings::Settings;
pub use core::tally::Tally;
pub use core::throttle::Throttle;
pub use core::{recovery, settings};
pub use hub::client_handle::ClientHandle;
pub use hub::handle::{BudgetPermit, HubHandle};
pub use hub::operations::census::Census;
pub use hub::operations::whom::Whom;
pub use hub::presence;
pub use hub::presence::Present;
pub use hub::workers::{Close, SharedPermit, SocketNotice};
pub use server::admission;
pub use server::builder::Builder;
pub use server::gate::Urgent;
pub use server::server::{Routes, Server};
pub use session::acks::{Ack, AckError};
pub use session::client::Client;
pub use session::gateway::{Gateway, Handshake, Incoming, Json, Reply, Welcome};
pub use session::log::Log;
pub use session::{gateway, log};

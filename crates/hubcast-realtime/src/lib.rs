//! A Socket.IO and plain WebSocket server on actix. It knows no shop, no chat and no database: a
//! program registers a [`Gateway`] per namespace and publishes [`Event`]s through a [`HubHandle`];
//! with a [`Log`], clients that lost their line resume.
//!
//! | part | owns |
//! | --- | --- |
//! | [`server`] | the listener, the worker threads, the end |
//! | `transport` | bytes in: TLS, the upgrade request, long-polling, the stream of frames |
//! | [`wire`] | packets, pure: Engine.IO, Socket.IO, the plain JSON protocol, WebSocket frames |
//! | `session`, `socket` | one actor a connection: its namespaces, its events one after another, its one exit |
//! | [`Client`], `asks` | a gateway's handle on one socket; acks that the server asks for |
//! | [`Payload`] | any arguments of an event or an ack, bytes too |
//! | `arrival` | how a socket comes in: afresh, or resumed, with what it has missed |
//! | [`recovery`], `replay` | resuming, the pure part: offsets, the signed `pid`; which events and frames a client has missed |
//! | [`log`], `tail` | what keeps sessions and events: the program's, and the last events in memory |
//! | `link`, `polls` | the write side of one connection: a bounded queue of shared frames; what long-polling has of it |
//! | `outlet` | one actor a worker thread: that thread's sockets by room, and their writes |
//! | [`hub`] | one actor a process: who is where, and the routing |
//! | [`presence`] | which users are in a room, and who is told |
//! | `connections`, [`Tally`] | how many there are; how many an event was queued to |
//! | `deadlines`, `alarms` | every timer of a worker's connections in one heap; the moments that its sockets' gateways wait for |
//! | [`admission`] | who may open a connection at all: Origin, rate, draining |
//!
//! Waiting goes one way, upward (session → gateway → hub). Downward nobody waits, so two full
//! queues can not lock each other; the bound is the hub's budget of bytes in flight, taken before
//! an event is made.

pub mod admission;
mod alarms;
mod arrival;
mod asks;
mod client;
pub mod close;
mod connections;
mod deadlines;
mod error;
pub mod frame;
pub mod gateway;
pub mod hub;
mod link;
pub mod log;
mod outlet;
mod payload;
mod polls;
pub mod presence;
pub mod recovery;
mod replay;
#[cfg(test)]
mod replay_model;
pub mod server;
mod session;
pub mod settings;
mod socket;
mod tail;
mod tally;
mod transport;
pub mod wire;

pub use asks::{Answer, Unanswered};
pub use client::{Client, ClientHandle, Close};
pub use close::Reason;
pub use connections::{Connections, Transport};
pub use error::{AuthFailure, Error};
pub use frame::Event;
pub use gateway::{Gateway, Handshake, Incoming, Json, Reply, Welcome};
pub use hub::{Census, HubHandle, Permit, Signal, Whom};
pub use log::Log;
pub use payload::Payload;
pub use presence::Present;
pub use recovery::Position;
pub use server::{Builder, Routes, Server};
pub use settings::Settings;
pub use tally::Tally;

//! The types of WebSocket messages, under the names of `actix-web-actors`. They stay because people
//! who write actix servers know them. No other file of this crate names that library: its actor
//! context is not used, since a connection writes without a task of its own (`connection/`).

pub use actix_web_actors::ws::{CloseCode, CloseReason, Frame, Message, ProtocolError};

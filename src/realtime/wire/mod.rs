//! Bytes and packets, pure: nothing here knows a socket, a clock or a session.

pub mod engineio;
pub mod plain;
pub mod socketio;
pub mod websocket;

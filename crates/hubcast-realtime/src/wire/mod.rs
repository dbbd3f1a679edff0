//! Encodes and decodes packets, without I/O: these files know no socket, no clock and no session,
//! and never panic on any input.
//!
//! | part | content |
//! | --- | --- |
//! | [`engineio`] | Engine.IO 4: packets, polling payloads, handshake errors |
//! | [`socketio`] | Socket.IO 5: the packets inside Engine.IO messages, with their attachments |
//! | [`plain`] | the JSON protocol of `/ws` |
//! | [`websocket`] | frames of RFC 6455: those of the server, and the check of a client's |
//!
//! These files import nothing of the crate outside this folder: `fuzz/` compiles them alone.

pub mod engineio;
#[cfg(any(test, fuzzing))]
pub mod laws;
pub mod plain;
pub mod socketio;
pub mod websocket;

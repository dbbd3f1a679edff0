//! Bytes and packets, pure: nothing here knows a socket, a clock or a session, and nothing here
//! panics, whatever comes.
//!
//! | part | is |
//! | --- | --- |
//! | [`engineio`] | Engine.IO 4: one packet in a WebSocket frame, many in a polling payload, the handshake's refusals |
//! | [`socketio`] | Socket.IO 5: what Engine.IO messages say, with the binary frames that belong to them |
//! | [`plain`] | the JSON protocol of `/ws` |
//! | [`websocket`] | frames of RFC 6455: what the server sends, and what a client may |
//!
//! These files import nothing of the crate outside this folder: `fuzz/` compiles them alone.

pub mod engineio;
#[cfg(any(test, fuzzing))]
pub mod laws;
pub mod plain;
pub mod socketio;
pub mod websocket;

//! One connection to a client, over a WebSocket or by long-polling: its bytes in and out, its
//! bounded queue of frames and its timers. The session above decides what to read and write;
//! nothing here knows a namespace, a room or an event.
//!
//! | file | owns |
//! | --- | --- |
//! | `connection` | the connection as a whole: its phase, and how it ends |
//! | `io` | TCP, unencrypted or within TLS |
//! | `writer`, `reader`, `timers` | the three parts of its state |
//! | `timing` | what happens when one of its timers fires |
//! | `intake` | how much its client may send, and the pauses of one that sends more |
//! | `deadlines` | one heap of timers for all connections of a worker |
//! | `messages`, `fragments` | the stream of messages that a session reads |
//! | `polls`, `polling`, `probe` | long-polling, and the move from there to a WebSocket |
//! | `gauges` | how many connections are open |
//! | `seats` | how many may be open, and which goes when one more arrives |

#[expect(clippy::module_inception, reason = "the floor is named for its main type")]
pub(crate) mod connection;
pub(crate) mod deadlines;
pub(crate) mod fragments;
pub mod gauges;
mod intake;
pub(crate) mod io;
pub(crate) mod messages;
mod polling;
pub(crate) mod polls;
pub(crate) mod probe;
mod reader;
pub(crate) mod seats;
mod timers;
mod timing;
pub(crate) mod writer;

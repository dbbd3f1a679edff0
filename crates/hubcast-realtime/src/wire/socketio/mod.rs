//! Socket.IO 5 (socket.io-protocol v5, "Packet encoding"):
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, and behind a packet that says so, its
//! attachments, each a binary message of its own.
//!
//! A packet's JSON is kept as the text it came as. Where bytes belong into it stands a placeholder,
//! `{"_placeholder":true,"num":0}`, and there it stays: `num` counts into the list of
//! [`bytes::Bytes`] that goes with the text, and [`binary_event`] and [`binary_ack`] count anew.
//!
//! Depth: JSON that is only kept is checked without recursion, so any depth that the message's size
//! allows passes [`decode`]; who reads it into a type meets serde_json's limit of 128. The JSON of
//! a binary packet is searched for placeholders, and is refused beyond that same depth.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

mod assembler;
mod decode;
mod encode;
mod placeholders;
#[cfg(test)]
mod tests;

pub use assembler::Assembler;
pub use decode::decode;
pub(super) use encode::quoted;
pub use encode::{
    Encoded, ack, binary_ack, binary_event, connect, connect_error, disconnect, event,
};
#[cfg(any(test, fuzzing))]
pub(super) use placeholders::resolved;
pub use placeholders::{check, inline, shifted};

/// Attachments that one packet may have, as in socket.io-parser 4.2.6 and later.
pub const MAX_ATTACHMENTS: usize = 10;

/// Arguments that an event or an answer may have: each costs more than its text.
pub const MAX_ARGUMENTS: usize = 256;

/// Depth to which placeholders are looked for.
const MAX_DEPTH: usize = 128;

/// Names that an event may not have: the client library uses them itself.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A packet's text.
#[derive(Debug)]
pub struct Packet<'a> {
    /// `/` when the packet names none.
    pub namespace: &'a str,
    pub body: Body<'a>,
}

/// What the packet says.
#[derive(Debug)]
pub enum Body<'a> {
    /// `0`, with a payload if there is one, always an object: a client's auth, a server's `sid`.
    Connect(Option<&'a RawValue>),
    /// `1`
    Disconnect,
    /// `2` or `3`
    Data(Content),
    /// `4`, with an object or a string. A server gets none.
    ConnectError(&'a RawValue),
    /// `5` or `6`: `due` binary messages follow, one at least. Each placeholder counts below that.
    Binary { content: Content, due: usize },
}

/// What both the text and the binary types carry.
#[derive(Debug)]
pub enum Content {
    /// Name, arguments, and the id when an ack is asked for. A name that came as a number is that
    /// number's text.
    Event { name: String, args: Vec<Box<RawValue>>, ack: Option<u64> },
    /// The answer to an ack that the other side asked for.
    Ack { id: u64, args: Vec<Box<RawValue>> },
}

/// A packet of type `5` or `6`, and all that belongs to it.
#[derive(Debug)]
pub struct Whole {
    pub namespace: Box<str>,
    pub content: Content,
    /// Each placeholder's `num` is one of these; not each of these has to have a placeholder.
    pub attachments: Vec<Bytes>,
}

/// Why a packet is refused. Each of them ends the connection, as in the reference server;
/// [`Fault::TooLarge`] for its size, the others for what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a known type digit.
    Type,
    /// Not JSON, or not of the form that the type asks for.
    Payload,
    /// An ack id that is missing, or too large.
    AckId,
    /// A number of attachments that is none, or a placeholder that points beside them.
    Attachments,
    /// More than [`MAX_ATTACHMENTS`].
    TooManyAttachments,
    /// A binary message that no packet has announced.
    NotDue,
    /// A text packet while attachments of another are due.
    Due,
    /// Attachments whose bytes together are more than allowed.
    TooLarge,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "no packet type",
            Self::Payload => "a payload that is no JSON, has another form, or is nested too deep",
            Self::AckId => "no ack id, or one that is too large",
            Self::Attachments => {
                "a number of attachments that is none, or a placeholder beside them"
            }
            Self::TooManyAttachments => "more than 10 attachments",
            Self::NotDue => "bytes that no packet has announced",
            Self::Due => "a packet in the place of announced bytes",
            Self::TooLarge => "attachments that are too large",
        })
    }
}

impl std::error::Error for Fault {}

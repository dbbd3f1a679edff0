//! Socket.IO 5 (socket.io-protocol v5, "Packet encoding"):
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`. The attachments that a packet
//! announces follow it, each as a binary message.
//!
//! A packet's JSON stays text. Where bytes belong, it keeps a placeholder,
//! `{"_placeholder":true,"num":0}`, where `num` is an index into the packet's list of
//! [`bytes::Bytes`]; [`binary_event`] and [`binary_ack`] renumber them.
//!
//! Depth: [`decode`] checks JSON without recursion and accepts any depth; reading it into a type is
//! subject to serde_json's limit of 128. The JSON of a binary packet is searched for placeholders,
//! and beyond that depth the packet is refused, as one with too many arguments is.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

mod assembler;
mod decode;
mod encode;
mod parsers;
mod placeholders;
#[cfg(test)]
mod tests;

pub use assembler::Assembler;
pub use decode::decode;
pub(super) use encode::quoted;
pub use encode::{
    Encoded, ack, binary_ack, binary_event, connect, connect_error, disconnect, event,
};
pub use parsers::{refuse_json, refuse_msgpack};
#[cfg(any(test, fuzzing))]
pub(super) use placeholders::resolved;
pub use placeholders::{check, inline, shifted};

/// The most attachments of one packet, as in socket.io-parser 4.2.6 and later.
pub const MAX_ATTACHMENTS: usize = 10;

/// The most arguments of an event or an ack: each costs more memory than its text.
pub const MAX_ARGUMENTS: usize = 256;

/// The depth to which placeholders are searched.
const MAX_DEPTH: usize = 128;

/// Names that an event may not have, because the client library uses them itself.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A decoded packet.
#[derive(Debug)]
pub struct Packet<'a> {
    /// `/` if the packet names none.
    pub namespace: &'a str,
    pub body: Body<'a>,
}

/// The types of packets, with their content.
#[derive(Debug)]
pub enum Body<'a> {
    /// `0`: an optional object; the auth of a client, the `sid` of a server.
    Connect(Option<&'a RawValue>),
    /// `1`
    Disconnect,
    /// `2` or `3`
    Data(EventOrAck),
    /// `4`: an object or a string. Only a server sends it.
    ConnectError(&'a RawValue),
    /// `5` or `6`: `due` binary messages follow, at least one. Each placeholder's `num` is below
    /// `due`.
    Binary { content: EventOrAck, due: usize },
}

/// The content of text packets and of binary packets alike.
#[derive(Debug)]
pub enum EventOrAck {
    /// `ack` is an id if the sender asks for an ack. A numeric name is kept as its text.
    Event { name: String, args: Vec<Box<RawValue>>, ack: Option<u64> },
    /// The answer to an event that asked for an ack.
    Ack { id: u64, args: Vec<Box<RawValue>> },
    /// An event or an ack beyond a limit, without its arguments. `event` has the name and the ack
    /// id of an event; `fault` is [`Fault::Arguments`] or [`Fault::Depth`].
    Refused { event: Option<(String, Option<u64>)>, fault: Fault },
}

/// A packet of type `5` or `6` with all its attachments.
#[derive(Debug)]
pub struct BinaryPacket {
    pub namespace: Box<str>,
    pub content: EventOrAck,
    /// Each placeholder's `num` is an index into these; an attachment may have no placeholder.
    pub attachments: Vec<Bytes>,
}

/// The reason for which a packet is refused. Every fault but [`Fault::Arguments`] and
/// [`Fault::Depth`] ends the connection, as in the reference server: [`Fault::TooLarge`] because of
/// its size, the others because of their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An unknown type digit.
    Type,
    /// The payload is not JSON, or does not have the form that the type requires.
    Payload,
    /// A missing ack id, or one that is too large.
    AckId,
    /// An invalid number of attachments, or a placeholder without an attachment.
    Attachments,
    /// More than [`MAX_ATTACHMENTS`].
    TooManyAttachments,
    /// More than [`MAX_ARGUMENTS`].
    Arguments,
    /// JSON of a binary packet that is nested deeper than 128.
    Depth,
    /// A binary message that no packet announced.
    NotDue,
    /// A text packet while attachments of another packet are due.
    Due,
    /// Attachments with more bytes in total than allowed.
    TooLarge,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "an unknown packet type",
            Self::Payload => "a payload that is not JSON or has the wrong form",
            Self::AckId => "a missing ack id, or one that is too large",
            Self::Attachments => "an invalid number of attachments, or a placeholder without one",
            Self::TooManyAttachments => "more than 10 attachments",
            Self::Arguments => "more than 256 arguments",
            Self::Depth => "binary data beside JSON that is nested deeper than 128",
            Self::NotDue => "bytes that no packet announced",
            Self::Due => "a packet while announced bytes are due",
            Self::TooLarge => "attachments that are too large",
        })
    }
}

impl std::error::Error for Fault {}

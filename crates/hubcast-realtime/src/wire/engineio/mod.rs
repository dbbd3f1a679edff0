//! Engine.IO 4 (engine.io-protocol v4): a packet is one type digit and a payload. A WebSocket frame
//! carries one packet; a long-polling body carries many (see [`payload`]). This module reads and
//! writes all seven types; the session decides which of them it accepts.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Serialize;

pub mod payload;
#[cfg(test)]
mod tests;

pub const PING: &str = "2";

/// A packet (section "Protocol"). An unexpected payload is ignored, as in the reference server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the handshake as JSON (see [`open`]). Only a server sends it.
    Open(&'a str),
    /// `1`: the sender closes the session.
    Close,
    /// `2`: has a payload only during an upgrade probe.
    Ping(&'a str),
    /// `3`: answers a ping, with the same payload.
    Pong(&'a str),
    /// `4`: text; for Socket.IO a packet.
    Message(&'a str),
    /// A message of bytes; for Socket.IO an attachment. As a WebSocket binary frame it has no type
    /// digit; in text it is `b` and base64.
    Binary(Bytes),
    /// `5`: completes an upgrade.
    Upgrade,
    /// `6`: ends a poll that has nothing to send.
    Noop,
}

/// A packet as a WebSocket frame carries it (section "Packet encoding").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A type digit and the payload.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Bytes),
}

/// The reason for which a text or a payload is refused. Every fault ends the session, like the
/// reference server's "parse error".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A packet without a type digit, such as an empty payload.
    Empty,
    /// An unknown type digit.
    Type,
    /// `b`, followed by text that is not base64.
    Base64,
    /// A packet of a payload that is not UTF-8. (The reference server inserts U+FFFD instead.)
    Utf8,
    /// A payload with more packets than the limit.
    TooMany,
}

/// Writes padding, and reads with or without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads one packet that arrived as text. A binary frame needs no reading: it is a
/// [`Packet::Binary`].
///
/// # Errors
/// [`Fault::Empty`], [`Fault::Type`] or [`Fault::Base64`].
pub fn decode(text: &str) -> Result<Packet<'_>, Fault> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(Fault::Empty)?;
    let rest = chars.as_str();
    Ok(match kind {
        '0' => Packet::Open(rest),
        '1' => Packet::Close,
        '2' => Packet::Ping(rest),
        '3' => Packet::Pong(rest),
        '4' => Packet::Message(rest),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        // Clients with `forceBase64` also send this over WebSocket.
        'b' => Packet::Binary(binary(rest)?),
        _ => return Err(Fault::Type),
    })
}

/// Skips line breaks, which the official Java client writes into its base64 (RFC 2045 section 6.8).
fn binary(text: &str) -> Result<Bytes, Fault> {
    let is_break = |byte: u8| byte == b'\n' || byte == b'\r';
    let decoded = if text.bytes().any(is_break) {
        BASE64.decode(text.bytes().filter(|byte| !is_break(*byte)).collect::<Vec<u8>>())
    } else {
        BASE64.decode(text)
    };
    decoded.map(Bytes::from).map_err(|_| Fault::Base64)
}

impl Packet<'_> {
    /// Encodes the packet as a frame.
    #[must_use]
    pub fn encode(&self) -> Frame<'static> {
        let text = |kind: char, rest: &str| {
            let mut text = String::with_capacity(rest.len() + 1);
            text.push(kind);
            text.push_str(rest);
            Frame::Text(Cow::Owned(text))
        };
        match self {
            Self::Open(rest) => text('0', rest),
            Self::Close => Frame::Text("1".into()),
            Self::Ping(rest) => text('2', rest),
            Self::Pong(rest) => text('3', rest),
            Self::Message(rest) => text('4', rest),
            Self::Binary(bytes) => Frame::Binary(bytes.clone()),
            Self::Upgrade => Frame::Text("5".into()),
            Self::Noop => Frame::Text("6".into()),
        }
    }
}

impl Frame<'_> {
    /// Reads the packet in this frame.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&self) -> Result<Packet<'_>, Fault> {
        match self {
            Self::Text(text) => decode(text),
            Self::Binary(bytes) => Ok(Packet::Binary(bytes.clone())),
        }
    }
}

/// Writes the open packet (section "Handshake"). `upgrades` lists the transports that the client
/// may switch to; times are in milliseconds, `max_payload` is in bytes.
#[must_use]
pub fn open(
    sid: &str,
    upgrades: &[&str],
    ping_interval: Duration,
    ping_timeout: Duration,
    max_payload: usize,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Open<'a> {
        sid: &'a str,
        upgrades: &'a [&'a str],
        ping_interval: u128,
        ping_timeout: u128,
        max_payload: usize,
    }
    let open = Open {
        sid,
        upgrades,
        ping_interval: ping_interval.as_millis(),
        ping_timeout: ping_timeout.as_millis(),
        max_payload,
    };
    // A struct of strings and numbers always serializes.
    format!("0{}", serde_json::to_string(&open).unwrap_or_default())
}

/// The reference server's handshake errors, `{"code":…,"message":…}`, as engine.io 6.6 answers an
/// HTTP request. (It answers an upgrade with 400 and only the message; client libraries see
/// neither.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFault {
    /// Code 0.
    TransportUnknown,
    /// Code 1.
    SessionUnknown,
    /// Code 2: the first request of a session is not a GET.
    BadMethod,
    /// Code 3: a transport other than the session's, a WebSocket without an upgrade, or an invalid
    /// Origin header.
    BadRequest,
    /// Code 4.
    Forbidden,
    /// Code 5.
    UnsupportedVersion,
}

impl HandshakeFault {
    /// Returns the HTTP status and the JSON body.
    #[must_use]
    pub fn answer(self) -> (u16, &'static str) {
        match self {
            Self::TransportUnknown => (400, r#"{"code":0,"message":"Transport unknown"}"#),
            Self::SessionUnknown => (400, r#"{"code":1,"message":"Session ID unknown"}"#),
            Self::BadMethod => (400, r#"{"code":2,"message":"Bad handshake method"}"#),
            Self::BadRequest => (400, r#"{"code":3,"message":"Bad request"}"#),
            Self::Forbidden => (403, r#"{"code":4,"message":"Forbidden"}"#),
            Self::UnsupportedVersion => {
                (400, r#"{"code":5,"message":"Unsupported protocol version"}"#)
            }
        }
    }
}

//! Engine.IO 4 (engine.io-protocol v4): one type digit, then the payload. Over WebSocket each
//! packet is a frame; over long-polling many of them are one [`payload`]. The session decides which
//! packets it takes; here all seven are read and written, whoever sends them.

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

/// The text of a ping packet.
pub const PING: &str = "2";

/// A packet (section "Protocol"). A payload that its type does not speak of is read over, as in the
/// reference server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the handshake's answer, JSON; see [`open`]. Only a server has a use for sending it.
    Open(&'a str),
    /// `1`: the sender is done.
    Close,
    /// `2`: with a payload only during an upgrade probe.
    Ping(&'a str),
    /// `3`: the answer to a ping, with the same payload.
    Pong(&'a str),
    /// `4`: text, to Socket.IO a packet.
    Message(&'a str),
    /// A message that is bytes, to Socket.IO an attachment. A WebSocket's binary frame is one,
    /// whole and without a type digit; in text it is `b` and base64.
    Binary(Bytes),
    /// `5`: the end of an upgrade.
    Upgrade,
    /// `6`: what ends a poll that has nothing to say.
    Noop,
}

/// A packet as one WebSocket frame carries it (section "Packet encoding").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A type digit and the payload.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Bytes),
}

/// Why a text or a payload is refused. Each of them ends the session: the reference server closes
/// with its "parse error".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A packet without a type digit; an empty payload is one such packet.
    Empty,
    /// Not a known type digit.
    Type,
    /// `b` with something behind it that is no base64.
    Base64,
    /// A payload's packet that is not UTF-8. (The reference puts U+FFFD in its place and goes on.)
    Utf8,
    /// A payload of more packets than its reader allows.
    TooMany,
}

/// Written with padding, read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads one packet that came as text. What came as a binary frame needs no reading: it is a
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
        // Over WebSocket too: a client with `forceBase64` sends it there.
        'b' => Packet::Binary(binary(rest)?),
        _ => return Err(Fault::Type),
    })
}

/// The official Java client breaks its base64 into lines (RFC 2045 section 6.8).
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
    /// The frame that carries it.
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
    /// The packet in it.
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

/// The open packet (section "Handshake"): what a client must know of this session. `upgrades` names
/// the transports that it may go on to; times are in milliseconds, `max_payload` is in bytes.
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
    // A struct of strings and numbers always has a JSON form.
    format!("0{}", serde_json::to_string(&open).unwrap_or_default())
}

/// The reference server's own handshake errors, `{"code":…,"message":…}`: engine.io 6.6 answers an
/// HTTP request so. (An upgrade it answers with 400 and the bare message; a client's library sees
/// neither.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFault {
    /// Code 0.
    TransportUnknown,
    /// Code 1.
    SessionUnknown,
    /// Code 2: a session begins with a GET.
    BadMethod,
    /// Code 3: another transport than the session's, WebSocket without an upgrade, an Origin that
    /// is no header value.
    BadRequest,
    /// Code 4.
    Forbidden,
    /// Code 5.
    UnsupportedVersion,
}

impl HandshakeFault {
    /// The HTTP status and the JSON body.
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

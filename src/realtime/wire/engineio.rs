//! Engine.IO 4 packets over WebSocket: one type digit, then the payload.

use std::time::Duration;

use serde::Serialize;

/// The text of a ping packet.
pub const PING: &str = "2";

/// A packet as a client may send it on an established WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `1`: the client is done.
    Close,
    /// `2`: with a payload only during an upgrade probe.
    Ping(&'a str),
    /// `3`
    Pong,
    /// `4`: a Socket.IO packet.
    Message(&'a str),
    /// `5`: the end of an upgrade.
    Upgrade,
    /// `6`
    Noop,
}

/// Reads one packet. `None`: not Engine.IO.
#[must_use]
pub fn decode(text: &str) -> Option<Packet<'_>> {
    let mut chars = text.chars();
    let kind = chars.next()?;
    let rest = chars.as_str();
    Some(match kind {
        '1' => Packet::Close,
        '2' => Packet::Ping(rest),
        '3' => Packet::Pong,
        '4' => Packet::Message(rest),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        _ => return None,
    })
}

/// The open packet: what a client must know of this session. Times are in milliseconds.
#[must_use]
pub fn open(sid: &str, upgrades: &[&str], (ping_interval, ping_timeout): (Duration, Duration), max_payload: usize) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Open<'a> {
        sid: &'a str,
        upgrades: &'a [&'a str],
        ping_interval: u128,
        ping_timeout: u128,
        max_payload: usize,
    }
    let open = Open { sid, upgrades, ping_interval: ping_interval.as_millis(), ping_timeout: ping_timeout.as_millis(), max_payload };
    // A struct of strings and numbers always has a JSON form.
    format!("0{}", serde_json::to_string(&open).unwrap_or_default())
}

/// The reference server's own handshake errors, `{"code":…,"message":…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFault {
    /// Code 0.
    TransportUnknown,
    /// Code 1.
    SessionUnknown,
    /// Code 2.
    BadMethod,
    /// Code 3.
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
            Self::UnsupportedVersion => (400, r#"{"code":5,"message":"Unsupported protocol version"}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_digit_has_one_reading() {
        assert_eq!(decode("1"), Some(Packet::Close));
        assert_eq!(decode("2probe"), Some(Packet::Ping("probe")));
        assert_eq!(decode("3"), Some(Packet::Pong));
        assert_eq!(decode("42[\"a\"]"), Some(Packet::Message("2[\"a\"]")));
        assert_eq!(decode("5"), Some(Packet::Upgrade));
        assert_eq!(decode("6"), Some(Packet::Noop));
        for text in ["", "0", "7", "é", " 4"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_open_packet_is_the_protocols() {
        assert_eq!(
            open("abc", &["websocket"], (Duration::from_secs(25), Duration::from_secs(20)), 1_000_000),
            r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
    }
}

//! The expected bytes are the examples of engine.io-protocol v4.

use proptest::prelude::*;

use super::*;
use crate::wire::laws;

fn bytes(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

#[test]
fn each_packet_matches_the_documented_bytes_both_ways() {
    for (text, packet) in [
        (r#"0{"sid":"x"}"#, Packet::Open(r#"{"sid":"x"}"#)),
        ("1", Packet::Close),
        ("2", Packet::Ping("")),
        ("2probe", Packet::Ping("probe")),
        ("3", Packet::Pong("")),
        ("3probe", Packet::Pong("probe")),
        ("4hello", Packet::Message("hello")),
        ("42[\"a\"]", Packet::Message("2[\"a\"]")),
        ("4", Packet::Message("")),
        ("5", Packet::Upgrade),
        ("6", Packet::Noop),
    ] {
        assert_eq!(decode(text), Ok(packet.clone()), "{text}");
        assert_eq!(packet.encode(), Frame::Text(text.into()));
    }
    assert_eq!(Packet::Ping("").encode(), Frame::Text(PING.into()));
}

#[test]
fn a_binary_frame_is_a_binary_message_unchanged() {
    let frame = Frame::Binary(bytes(&[1, 2, 3, 4]));
    assert_eq!(frame.decode(), Ok(Packet::Binary(bytes(&[1, 2, 3, 4]))));
    assert_eq!(Packet::Binary(bytes(&[1, 2, 3, 4])).encode(), frame);
}

#[test]
fn base64_is_read_with_or_without_padding_and_in_lines() {
    for text in ["bAQIDBA==", "bAQIDBA", "bAQIDBA==\n", "bAQ\r\nID\r\nBA==\r\n"] {
        assert_eq!(decode(text), Ok(Packet::Binary(bytes(&[1, 2, 3, 4]))), "{text:?}");
    }
    assert_eq!(decode("b"), Ok(Packet::Binary(Bytes::new())));
}

#[test]
fn an_unexpected_payload_is_ignored() {
    for (text, packet) in [("1x", Packet::Close), ("5x", Packet::Upgrade), ("6x", Packet::Noop)] {
        assert_eq!(decode(text), Ok(packet), "{text}");
    }
}

#[test]
fn each_malformed_packet_has_its_fault() {
    for (text, fault) in [
        ("", Fault::Empty),
        ("7", Fault::Type),
        ("é", Fault::Type),
        (" 4", Fault::Type),
        ("B", Fault::Type),
        ("\u{1e}", Fault::Type),
        ("bA", Fault::Base64),
        ("bAQ=IDBA", Fault::Base64),
        ("bAQIDBB==", Fault::Base64),
        ("bAQI_", Fault::Base64),
        ("bAQI ", Fault::Base64),
        ("bé", Fault::Base64),
    ] {
        assert_eq!(decode(text), Err(fault), "{text:?}");
    }
}

#[test]
fn payloads_match_the_documented_bytes_both_ways() {
    for (text, packets) in [
        (
            "4hello\x1e2\x1e4world",
            vec![Packet::Message("hello"), Packet::Ping(""), Packet::Message("world")],
        ),
        (
            "4hello\x1ebAQIDBA==",
            vec![Packet::Message("hello"), Packet::Binary(bytes(&[1, 2, 3, 4]))],
        ),
        ("4€", vec![Packet::Message("€")]),
        ("6", vec![Packet::Noop]),
    ] {
        let read: Result<Vec<_>, _> = payload::decode(text.as_bytes(), 3).collect();
        assert_eq!(read, Ok(packets.clone()), "{text:?}");
        let mut written = String::new();
        assert!(packets.iter().all(|packet| payload::append(&mut written, &packet.encode(), 100)));
        assert_eq!(written, text);
    }
}

#[test]
fn a_payload_is_read_up_to_its_first_fault() {
    for (payload, good, fault) in [
        (&b""[..], 0, Fault::Empty),
        (b"\x1e", 0, Fault::Empty),
        (b"4a\x1e", 1, Fault::Empty),
        (b"4a\x1e\x1e4b", 1, Fault::Empty),
        (b"4a\x1e9\x1e4b", 1, Fault::Type),
        (b"4a\x1eb?\x1e4b", 1, Fault::Base64),
        (b"4a\x1e4\xff\x1e4b", 1, Fault::Utf8),
        (b"4a\x1e\xff", 1, Fault::Utf8),
        (b"4a\x1e4b\x1e4c\x1e4d", 3, Fault::TooMany),
    ] {
        let read: Vec<_> = payload::decode(payload, 3).collect();
        assert_eq!(read.len(), good + 1, "{payload:?}");
        assert!(read[..good].iter().all(Result::is_ok), "{payload:?}");
        assert_eq!(read[good], Err(fault), "{payload:?}");
    }
}

#[test]
fn a_packet_that_does_not_fit_leaves_the_payload_unchanged() {
    let mut payload = String::new();
    assert!(payload::append(&mut payload, &Frame::Text("4hello".into()), 10));
    // Six bytes, a separator, and four more.
    assert!(!payload::append(&mut payload, &Frame::Text("4abc".into()), 10));
    assert!(!payload::append(&mut payload, &Frame::Binary(bytes(b"x")), 11));
    assert_eq!(payload, "4hello");
    assert!(payload::append(&mut payload, &Frame::Text("4€".into()), 11));
    assert_eq!(payload, "4hello\x1e4€");
}

#[test]
fn the_first_packet_fits_any_payload() {
    for frame in [Frame::Text("4hello".into()), Frame::Binary(bytes(b"hello"))] {
        assert!(payload::append(&mut String::new(), &frame, 0));
    }
}

#[test]
fn the_open_packet_matches_the_documented_bytes() {
    let open = |upgrades| {
        open(
            "lv_VI97HAXpY6yYWAAAC",
            upgrades,
            Duration::from_secs(25),
            Duration::from_secs(20),
            1_000_000,
        )
    };
    assert_eq!(
        open(&["websocket"]),
        concat!(
            r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"#,
            r#""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
        )
    );
    assert!(open(&[]).contains(r#""upgrades":[]"#));
}

#[test]
fn handshake_faults_match_the_reference_server() {
    for (fault, status, body) in [
        (HandshakeFault::TransportUnknown, 400, r#"{"code":0,"message":"Transport unknown"}"#),
        (HandshakeFault::SessionUnknown, 400, r#"{"code":1,"message":"Session ID unknown"}"#),
        (HandshakeFault::BadMethod, 400, r#"{"code":2,"message":"Bad handshake method"}"#),
        (HandshakeFault::BadRequest, 400, r#"{"code":3,"message":"Bad request"}"#),
        (HandshakeFault::Forbidden, 403, r#"{"code":4,"message":"Forbidden"}"#),
        (
            HandshakeFault::UnsupportedVersion,
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ] {
        assert_eq!(fault.answer(), (status, body));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_payload_or_a_fault(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        laws::payload(&payload);
    }

    #[test]
    fn packets_of_any_kind_survive_a_payload(
        payload in "([0-7]?[a-z€]{0,4}|b[A-D]{0,8}={0,2}\n?|\u{1e}){0,12}",
    ) {
        laws::payload(payload.as_bytes());
    }

    #[test]
    fn long_payloads_end_at_the_limit(packets in 90usize..110) {
        laws::payload(vec!["4a"; packets].join("\x1e").as_bytes());
    }
}

//! Server frames of RFC 6455 (section 5): unmasked, so that the bytes of one frame are the same for every socket that gets it.

use actix_http::ws::{CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};

/// A whole text frame.
#[must_use]
pub fn text(payload: &str) -> Bytes {
    frame(payload.as_bytes(), OpCode::Text)
}

/// A whole binary frame.
#[must_use]
pub fn binary(payload: &[u8]) -> Bytes {
    frame(payload, OpCode::Binary)
}

/// What a frame of ours that waits for a Socket.IO client can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
    Close,
}

/// Takes the first of some whole frames of ours, and gives its payload. `None`: there is none.
pub fn split_frame(frames: &mut Bytes) -> Option<(Kind, Bytes)> {
    let length = usize::try_from(declared_length(frames)?).ok()?;
    let head = match frames.get(1)? & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let kind = match frames.first()? & 0x0f {
        0x1 => Kind::Text,
        0x2 => Kind::Binary,
        _ => Kind::Close,
    };
    if frames.len() < head + length {
        return None;
    }
    let mut frame = frames.split_to(head + length);
    Some((kind, frame.split_off(head)))
}

/// A ping without a payload.
#[must_use]
pub fn ping() -> Bytes {
    Bytes::from_static(&[0x89, 0x00])
}

/// The answer to a client's ping.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    frame(payload, OpCode::Pong)
}

/// A close frame with the reason's code and name (section 5.5.1).
#[must_use]
pub fn close(reason: impl Into<CloseReason>) -> Bytes {
    let mut out = BytesMut::with_capacity(32);
    Parser::write_close(&mut out, Some(reason.into()), false);
    out.freeze()
}

/// The payload's length as a frame's head declares it (section 5.2); `None` while the head is not whole.
#[must_use]
pub fn declared_length(head: &[u8]) -> Option<u64> {
    match head.get(1)? & 0x7f {
        126 => head.get(2..4)?.try_into().ok().map(u16::from_be_bytes).map(u64::from),
        127 => head.get(2..10)?.try_into().ok().map(u64::from_be_bytes),
        short => Some(u64::from(short)),
    }
}

fn frame(payload: &[u8], code: OpCode) -> Bytes {
    // Two bytes of head, up to eight of length.
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    Parser::write_message(&mut out, payload, code, true, false);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use actix_http::ws::CloseCode;

    use super::*;
    use crate::realtime::wire::laws;

    #[test]
    fn the_declared_length_is_read_from_the_head_alone() {
        assert_eq!(declared_length(&[0x81]), None);
        assert_eq!(declared_length(&[0x81, 0xfd]), Some(125));
        assert_eq!(declared_length(&[0x81, 0xfe, 1]), None);
        assert_eq!(declared_length(&[0x81, 0xfe, 1, 0]), Some(256));
        assert_eq!(declared_length(&[0x81, 0xff, 0, 0, 0, 0x40, 0, 0, 0]), None);
        assert_eq!(declared_length(&[0x81, 0xff, 0, 0, 0, 0x40, 0, 0, 0, 0]), Some(1 << 38));
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(&text("hi")[..], b"\x81\x02hi");
        assert_eq!(&pong(b"x")[..], b"\x8a\x01x");
        assert_eq!(&close((CloseCode::Away, "server_shutdown"))[..], b"\x88\x11\x03\xe9server_shutdown");
        assert_eq!(&text(&"x".repeat(126))[..4], b"\x81\x7e\x00\x7e");
        assert_eq!(&text(&"x".repeat(65536))[..10], b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_frames_or_a_fault(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            laws::frame(&bytes);
        }

        #[test]
        fn frames_are_the_same_however_their_bytes_come(
            head in "[\x01\x02\x08-\x0a\x00]",
            last in proptest::bool::ANY,
            payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        ) {
            let first = head.as_bytes()[0] | if last { 0x80 } else { 0 };
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let mask = [1, 2, 3, 4];
            laws::frame(&[&[first, 0xfe][..], &length, &mask, &payload].concat());
            laws::frame(&[&[first, 0x80][..], &mask, &[first, 0x83], &mask, &payload].concat());
        }
    }
}

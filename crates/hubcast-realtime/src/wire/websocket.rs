//! Frames of RFC 6455 (section 5). The server's frames are unmasked, so their bytes are the same
//! for every receiver. A client's frames are checked here before the codec reads them.

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};

#[must_use]
pub fn text(payload: &str) -> Bytes {
    frame(payload.as_bytes(), OpCode::Text)
}

#[must_use]
pub fn binary(payload: &[u8]) -> Bytes {
    frame(payload, OpCode::Binary)
}

/// The kinds of the server's frames that a queue for a Socket.IO client can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
    Close,
}

/// Splits the first frame off the server's own encoded frames. Returns its kind and payload, or
/// `None` if no whole frame is left.
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

/// Returns a ping frame without a payload.
#[must_use]
pub fn ping() -> Bytes {
    Bytes::from_static(&[0x89, 0x00])
}

/// Returns a pong frame that answers a client's ping.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    frame(payload, OpCode::Pong)
}

/// Returns a close frame with a code and a text (section 5.5.1).
#[must_use]
pub fn close(reason: impl Into<CloseReason>) -> Bytes {
    let mut out = BytesMut::with_capacity(32);
    Parser::write_close(&mut out, Some(reason.into()), false);
    out.freeze()
}

/// Returns the close frame that answers a client's: with the same code, or with none (section
/// 5.5.1), and without a text.
#[must_use]
pub fn close_answer(code: Option<CloseCode>) -> Bytes {
    let mut out = BytesMut::with_capacity(4);
    Parser::write_close(&mut out, code.map(CloseReason::from), false);
    out.freeze()
}

/// Reads the payload's length from a frame's head (section 5.2). Returns `None` while the head is
/// incomplete.
#[must_use]
pub fn declared_length(head: &[u8]) -> Option<u64> {
    match head.get(1)? & 0x7f {
        126 => head.get(2..4)?.try_into().ok().map(u16::from_be_bytes).map(u64::from),
        127 => head.get(2..10)?.try_into().ok().map(u64::from_be_bytes),
        short => Some(u64::from(short)),
    }
}

/// The reason for which a client's frame fails the connection (section 7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFault {
    /// A reserved bit is set, and no extension was agreed on (section 5.2).
    Reserved,
    /// An opcode without a meaning (section 5.2).
    Opcode,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    Control,
    /// A client's frame without a mask (section 5.1).
    Unmasked,
    /// A length that uses the highest of its 64 bits (section 5.2).
    Length,
    /// A close frame of one byte, or with a code that must not be sent (sections 5.5.1 and 7.4).
    CloseCode,
    /// A close frame whose reason is not UTF-8 (section 5.5.1).
    CloseReason,
}

/// The longest payload of a control frame.
const MAX_CONTROL: u8 = 125;

/// Checks the bytes of a client's frame that have arrived so far. Most faults show in the first two
/// bytes; a close frame's payload is checked once it is complete.
///
/// # Errors
/// The fault. More bytes do not change the result.
pub fn check(frame: &[u8]) -> Result<(), FrameFault> {
    let Some(&first) = frame.first() else { return Ok(()) };
    let (opcode, is_control) = (first & 0x0f, first & 0x08 != 0);
    if first & 0x70 != 0 {
        return Err(FrameFault::Reserved);
    }
    if !matches!(opcode, 0x0..=0x2 | 0x8..=0xa) {
        return Err(FrameFault::Opcode);
    }
    if is_control && first & 0x80 == 0 {
        return Err(FrameFault::Control);
    }
    let Some(&second) = frame.get(1) else { return Ok(()) };
    let length = second & 0x7f;
    if second & 0x80 == 0 {
        return Err(FrameFault::Unmasked);
    }
    if is_control && length > MAX_CONTROL {
        return Err(FrameFault::Control);
    }
    if length == 127 && frame.get(2).is_some_and(|highest| highest & 0x80 != 0) {
        return Err(FrameFault::Length);
    }
    if opcode == 0x8 { check_close(frame, usize::from(length)) } else { Ok(()) }
}

/// Checks a close frame's payload, which is still masked. `length` is the length in its second
/// byte.
fn check_close(frame: &[u8], length: usize) -> Result<(), FrameFault> {
    if length == 1 {
        return Err(FrameFault::CloseCode);
    }
    let (Some(mask), Some(masked)) = (frame.get(2..6), frame.get(6..6 + length)) else {
        return Ok(());
    };
    let payload: Vec<u8> =
        masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let Some((code, reason)) = payload.split_first_chunk() else { return Ok(()) };
    if !matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameFault::CloseCode);
    }
    str::from_utf8(reason).map(|_| ()).map_err(|_| FrameFault::CloseReason)
}

fn frame(payload: &[u8], code: OpCode) -> Bytes {
    // A head has two bytes and a length of up to eight more.
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    Parser::write_message(&mut out, payload, code, true, false);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::laws;

    #[test]
    fn the_declared_length_is_read_from_the_head_alone() {
        assert_eq!(declared_length(&[0x81]), None);
        assert_eq!(declared_length(&[0x81, 0xfd]), Some(125));
        assert_eq!(declared_length(&[0x81, 0xfe, 1]), None);
        assert_eq!(declared_length(&[0x81, 0xfe, 1, 0]), Some(256));
        assert_eq!(declared_length(&[0x81, 0xff, 0, 0, 0, 0x40, 0, 0, 0]), None);
        assert_eq!(declared_length(&[0x81, 0xff, 0, 0, 0, 0x40, 0, 0, 0, 0]), Some(1 << 38));
    }

    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [9, 8, 7, 6];
        let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [first, 0x80 | u8::try_from(payload.len()).unwrap()]
            .into_iter()
            .chain(mask)
            .chain(masked)
            .collect()
    }

    #[test]
    fn a_fault_is_reported_at_the_first_byte_that_shows_it() {
        for (head, broken) in [
            (&[0xc1][..], FrameFault::Reserved),
            (&[0xa1], FrameFault::Reserved),
            (&[0x91], FrameFault::Reserved),
            (&[0xf8], FrameFault::Reserved),
            (&[0x83], FrameFault::Opcode),
            (&[0x07], FrameFault::Opcode),
            (&[0x8b], FrameFault::Opcode),
            (&[0x8f], FrameFault::Opcode),
            (&[0x08], FrameFault::Control),
            (&[0x09], FrameFault::Control),
            (&[0x0a], FrameFault::Control),
            (&[0x89, 0xfe], FrameFault::Control),
            (&[0x88, 0xff], FrameFault::Control),
            (&[0x81, 0x00], FrameFault::Unmasked),
            (&[0x82, 0x7e], FrameFault::Unmasked),
            (&[0x81, 0xff, 0x80], FrameFault::Length),
            (&[0x88, 0x81], FrameFault::CloseCode),
        ] {
            assert_eq!(check(head), Err(broken), "{head:02x?}");
            assert_eq!(check(&head[..head.len() - 1]), Ok(()), "{head:02x?} without its last byte");
        }
        for head in [
            &[][..],
            &[0x01],
            &[0x00, 0x80],
            &[0x82, 0xff, 0x7f],
            &[0x89, 0xfd],
            &[0x88, 0x80],
            &[0x81, 0xfe, 0xff],
        ] {
            assert_eq!(check(head), Ok(()), "{head:02x?}");
        }
    }

    #[test]
    fn a_close_frame_may_carry_the_codes_of_section_7_4() {
        let of = |code: u16, reason: &[u8]| {
            check(&client(0x88, &[&code.to_be_bytes(), reason].concat()))
        };
        for code in (0..=999).chain(1004..=1006).chain(1015..=2999).chain(5000..=u16::MAX) {
            assert_eq!(of(code, b"why"), Err(FrameFault::CloseCode), "{code}");
        }
        for code in (1000..=1003).chain(1007..=1014).chain(3000..=4999) {
            assert_eq!(of(code, b""), Ok(()), "{code}");
        }
        assert_eq!(of(1000, "wégen".as_bytes()), Ok(()));
        assert_eq!(of(1000, &[b'x'; 123]), Ok(()));
        for reason in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
            assert_eq!(of(1000, reason), Err(FrameFault::CloseReason), "{reason:02x?}");
        }
        assert_eq!(check(&client(0x88, b"")), Ok(()));
        // The bytes after it belong to the next frame.
        assert_eq!(check(&[client(0x88, &1000u16.to_be_bytes()), vec![0xff; 9]].concat()), Ok(()));
    }

    #[test]
    fn frames_have_the_bytes_of_the_rfc() {
        assert_eq!(&text("hi")[..], b"\x81\x02hi");
        assert_eq!(&pong(b"x")[..], b"\x8a\x01x");
        assert_eq!(
            &close((CloseCode::Away, "server_shutdown"))[..],
            b"\x88\x11\x03\xe9server_shutdown"
        );
        assert_eq!(&close_answer(Some(CloseCode::Other(4321)))[..], b"\x88\x02\x10\xe1");
        assert_eq!(&close_answer(None)[..], b"\x88\x00");
        assert_eq!(&text(&"x".repeat(126))[..4], b"\x81\x7e\x00\x7e");
        assert_eq!(&text(&"x".repeat(65536))[..10], b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_frames_or_a_fault(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        ) {
            laws::frame(&bytes);
        }

        #[test]
        fn frames_do_not_depend_on_how_their_bytes_are_chunked(
            head in "[\x01\x02\x08-\x0a\x00]",
            reserved in proptest::prop_oneof![
                9 => proptest::prelude::Just(0u8),
                1 => proptest::prelude::Just(0x40u8),
            ],
            last in proptest::bool::ANY,
            payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        ) {
            let first = head.as_bytes()[0] | reserved | if last { 0x80 } else { 0 };
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let mask = [1, 2, 3, 4];
            laws::frame(&[&[first, 0xfe][..], &length, &mask, &payload].concat());
            laws::frame(&[&[first, 0x80][..], &mask, &[first, 0x83], &mask, &payload].concat());
        }

        #[test]
        fn close_frames_are_accepted_exactly_when_the_codec_accepts_them(
            code in proptest::prop_oneof![900..1100u16, 2900..3100u16, 4900..5100u16],
            reason in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..4),
        ) {
            laws::frame(&client(0x88, &[&code.to_be_bytes(), &reason[..]].concat()));
        }
    }
}

//! Frames of RFC 6455 (section 5): the server's, unmasked, so that the bytes of one frame are the
//! same for every socket that gets it; and what a client's has to look like before anything is made
//! of it.

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

/// The payload's length as a frame's head declares it (section 5.2); `None` while the head is not
/// whole.
#[must_use]
pub fn declared_length(head: &[u8]) -> Option<u64> {
    match head.get(1)? & 0x7f {
        126 => head.get(2..4)?.try_into().ok().map(u16::from_be_bytes).map(u64::from),
        127 => head.get(2..10)?.try_into().ok().map(u64::from_be_bytes),
        short => Some(u64::from(short)),
    }
}

/// Why a client's frame fails the connection (section 7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A reserved bit is set, and no extension was agreed on (section 5.2).
    Reserved,
    /// An opcode that has no meaning (section 5.2).
    Opcode,
    /// A control frame in fragments, or longer than 125 bytes (section 5.5).
    Control,
    /// A client's frame that is not masked (section 5.1).
    Unmasked,
    /// A length of 64 bits (section 5.2).
    Length,
    /// A close frame of one byte, or with a code that is not for the wire (sections 5.5.1 and 7.4).
    CloseCode,
    /// A close frame whose reason is not UTF-8 (section 5.5.1).
    CloseReason,
}

/// The longest payload of a control frame.
const MAX_CONTROL: u8 = 125;

/// Looks at as much of a client's frame as has come, and says what is wrong with it as soon as that
/// can be seen: of most faults in its first two bytes, of a close frame's payload when all of it is
/// there.
///
/// # Errors
/// What is broken. More bytes do not mend it.
pub fn check(frame: &[u8]) -> Result<(), Broken> {
    let Some(&first) = frame.first() else { return Ok(()) };
    let (opcode, is_control) = (first & 0x0f, first & 0x08 != 0);
    if first & 0x70 != 0 {
        return Err(Broken::Reserved);
    }
    if !matches!(opcode, 0x0..=0x2 | 0x8..=0xa) {
        return Err(Broken::Opcode);
    }
    if is_control && first & 0x80 == 0 {
        return Err(Broken::Control);
    }
    let Some(&second) = frame.get(1) else { return Ok(()) };
    let length = second & 0x7f;
    if second & 0x80 == 0 {
        return Err(Broken::Unmasked);
    }
    if is_control && length > MAX_CONTROL {
        return Err(Broken::Control);
    }
    if length == 127 && frame.get(2).is_some_and(|highest| highest & 0x80 != 0) {
        return Err(Broken::Length);
    }
    if opcode == 0x8 { check_close(frame, usize::from(length)) } else { Ok(()) }
}

/// A close frame's payload, still masked; its length stands in the second byte.
fn check_close(frame: &[u8], length: usize) -> Result<(), Broken> {
    if length == 1 {
        return Err(Broken::CloseCode);
    }
    let (Some(mask), Some(payload)) = (frame.get(2..6), frame.get(6..6 + length)) else {
        return Ok(());
    };
    let said: Vec<u8> =
        payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let Some((code, reason)) = said.split_first_chunk() else { return Ok(()) };
    if !matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Broken::CloseCode);
    }
    str::from_utf8(reason).map(|_| ()).map_err(|_| Broken::CloseReason)
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
    fn a_broken_frame_is_seen_as_soon_as_its_bytes_say_so() {
        for (head, broken) in [
            (&[0xc1][..], Broken::Reserved),
            (&[0xa1], Broken::Reserved),
            (&[0x91], Broken::Reserved),
            (&[0xf8], Broken::Reserved),
            (&[0x83], Broken::Opcode),
            (&[0x07], Broken::Opcode),
            (&[0x8b], Broken::Opcode),
            (&[0x8f], Broken::Opcode),
            (&[0x08], Broken::Control),
            (&[0x09], Broken::Control),
            (&[0x0a], Broken::Control),
            (&[0x89, 0xfe], Broken::Control),
            (&[0x88, 0xff], Broken::Control),
            (&[0x81, 0x00], Broken::Unmasked),
            (&[0x82, 0x7e], Broken::Unmasked),
            (&[0x81, 0xff, 0x80], Broken::Length),
            (&[0x88, 0x81], Broken::CloseCode),
        ] {
            assert_eq!(check(head), Err(broken), "{head:02x?}");
            assert_eq!(check(&head[..head.len() - 1]), Ok(()), "{head:02x?} but for its last byte");
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
    fn a_close_frame_may_say_what_section_7_4_lets_it() {
        let of = |code: u16, reason: &[u8]| {
            check(&client(0x88, &[&code.to_be_bytes(), reason].concat()))
        };
        for code in (0..=999).chain(1004..=1006).chain(1015..=2999).chain(5000..=u16::MAX) {
            assert_eq!(of(code, b"why"), Err(Broken::CloseCode), "{code}");
        }
        for code in (1000..=1003).chain(1007..=1014).chain(3000..=4999) {
            assert_eq!(of(code, b""), Ok(()), "{code}");
        }
        assert_eq!(of(1000, "wégen".as_bytes()), Ok(()));
        assert_eq!(of(1000, &[b'x'; 123]), Ok(()));
        for reason in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
            assert_eq!(of(1000, reason), Err(Broken::CloseReason), "{reason:02x?}");
        }
        assert_eq!(check(&client(0x88, b"")), Ok(()));
        // What comes behind it is another frame's.
        assert_eq!(check(&[client(0x88, &1000u16.to_be_bytes()), vec![0xff; 9]].concat()), Ok(()));
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(&text("hi")[..], b"\x81\x02hi");
        assert_eq!(&pong(b"x")[..], b"\x8a\x01x");
        assert_eq!(
            &close((CloseCode::Away, "server_shutdown"))[..],
            b"\x88\x11\x03\xe9server_shutdown"
        );
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
            reserved in proptest::prop_oneof![9 => proptest::prelude::Just(0u8), 1 => proptest::prelude::Just(0x40u8)],
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
        fn close_frames_are_taken_or_refused_as_the_codec_does(
            code in proptest::prop_oneof![900..1100u16, 2900..3100u16, 4900..5100u16],
            reason in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..4),
        ) {
            laws::frame(&client(0x88, &[&code.to_be_bytes(), &reason[..]].concat()));
        }
    }
}

//! Many packets in one HTTP body (engine.io-protocol v4, "Packet encoding", "HTTP long-polling"),
//! joined by a record separator; binary packets are base64. JSON escapes control characters, so no
//! Socket.IO packet contains the separator.

use super::{BASE64, Fault, Frame, Packet, decode as packet};
use base64::Engine as _;

/// Separates two packets.
const SEPARATOR: u8 = 0x1e;

/// Splits off the first packet, undecoded. The rest is `None` after the last packet.
#[must_use]
pub fn split(payload: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = payload.splitn(2, |byte| *byte == SEPARATOR);
    (parts.next().unwrap_or_default(), parts.next())
}

/// Reads a payload packet by packet, at most `limit` of them. The caller bounds its bytes.
#[must_use]
pub fn decode(payload: &[u8], limit: usize) -> Packets<'_> {
    Packets { rest: Some(payload), left: limit }
}

/// The packets of a payload. The first [`Fault`] ends the iterator, as in the reference server.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    /// `None` at the end and after a fault.
    rest: Option<&'a [u8]>,
    left: usize,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(left) = self.left.checked_sub(1) else { return Some(Err(Fault::TooMany)) };
        self.left = left;
        let (first, rest) = split(rest);
        let read = str::from_utf8(first).map_err(|_| Fault::Utf8).and_then(packet);
        if read.is_ok() {
            self.rest = rest;
        }
        Some(read)
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// Adds a packet to a payload of at most `limit` bytes. Returns false, and leaves the payload
/// unchanged, if the packet does not fit and has to wait for the next poll.
///
/// The first packet always fits, or it could never be sent. Bytes are counted as the official
/// client counts them for `maxPayload`, except that a binary packet counts with its exact base64
/// length instead of 1.33 times its own.
#[must_use]
pub fn append(payload: &mut String, frame: &Frame<'_>, limit: usize) -> bool {
    let length = match frame {
        Frame::Text(text) => text.len(),
        // `usize::MAX` stands for a length beyond the address space; nothing can be appended to it.
        Frame::Binary(bytes) => base64::encoded_len(bytes.len(), true)
            .map_or(usize::MAX, |length| length.saturating_add(1)),
    };
    if !payload.is_empty() {
        if payload.len().saturating_add(1).saturating_add(length) > limit {
            return false;
        }
        payload.push(char::from(SEPARATOR));
    }
    match frame {
        Frame::Text(text) => payload.push_str(text),
        Frame::Binary(bytes) => {
            payload.push('b');
            BASE64.encode_string(bytes, payload);
        }
    }
    true
}

//! Many packets in one HTTP body (engine.io-protocol v4, "Packet encoding", "HTTP long-polling"):
//! joined by a record separator, binary ones in base64. JSON escapes control characters, so no
//! Socket.IO packet has a separator in it.

use super::{BASE64, Fault, Frame, Packet, decode as packet};
use base64::Engine as _;

/// Stands between two packets.
const SEPARATOR: u8 = 0x1e;

/// The first packet, as it came, and what stands behind it, if it is not the last.
#[must_use]
pub fn split(payload: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = payload.splitn(2, |byte| *byte == SEPARATOR);
    (parts.next().unwrap_or_default(), parts.next())
}

/// Reads a payload packet by packet; at most `limit` of them. The caller bounds its bytes.
#[must_use]
pub fn decode(payload: &[u8], limit: usize) -> Packets<'_> {
    Packets { rest: Some(payload), left: limit }
}

/// The packets of a payload, and behind them, when not all of it could be read, one [`Fault`]:
/// nothing comes after that, as in the reference.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    /// `None`: all is read, or the rest is not worth reading.
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

/// Adds a packet to a payload of at most `limit` bytes. `false`: it does not fit, the payload is as
/// it was, and the packet has to wait for the next poll.
///
/// The first packet always fits, else it could never be sent. Bytes are counted as the official
/// client counts them for `maxPayload`, save that a binary packet has its true length in base64 and
/// not 1.33 times its own.
#[must_use]
pub fn append(payload: &mut String, frame: &Frame<'_>, limit: usize) -> bool {
    let length = match frame {
        Frame::Text(text) => text.len(),
        // Of more than the address space nothing is left over.
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

//! Clients with another parser than the default one. Their first packet, CONNECT, is recognised,
//! and refused in their own encoding: from a connection that is only closed they would learn
//! nothing, and try again without end.
//!
//! Recognised are packets `{type, nsp, data}` in MessagePack (socket.io-msgpack-parser) and as JSON
//! (the parser of Socket.IO's documentation).

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;

const MESSAGE: &str = "Unknown parser: this server speaks only the default parser of Socket.IO, so \
                       leave out the client's option `parser`";
const CODE: &str = "invalid";
/// The type CONNECT_ERROR.
const CONNECT_ERROR: u8 = 4;
/// The longest namespace in an answer. A longer one gets no answer.
const MAX_NAMESPACE: usize = 255;

/// Returns CONNECT_ERROR as JSON if the text is a CONNECT as JSON.
#[must_use]
pub fn refuse_json(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Connect {
        #[serde(rename = "type")]
        kind: u8,
        nsp: String,
    }
    let Connect { kind, nsp } = serde_json::from_str(text).ok()?;
    if kind != 0 || nsp.len() > MAX_NAMESPACE {
        return None;
    }
    let data = json!({"message": MESSAGE, "data": {"code": CODE}});
    Some(json!({"type": CONNECT_ERROR, "nsp": nsp, "data": data}).to_string())
}

/// Returns CONNECT_ERROR in MessagePack if the bytes are a CONNECT in MessagePack. They are not
/// decoded: what is looked for are the keys `type` and `nsp` with their values. The namespace comes
/// last, after data that may contain anything.
#[must_use]
pub fn refuse_msgpack(bytes: &[u8]) -> Option<Bytes> {
    const KIND: &[u8] = b"\xa4type\x00";
    const NAMESPACE: &[u8] = b"\xa3nsp";
    let is_map = bytes.first().is_some_and(|first| matches!(first, 0x80..=0x8f | 0xde | 0xdf));
    if !is_map || !bytes.windows(KIND.len()).any(|part| part == KIND) {
        return None;
    }
    let key = bytes.windows(NAMESPACE.len()).rposition(|part| part == NAMESPACE)?;
    let namespace = read_text(bytes.get(key + NAMESPACE.len()..)?)?;
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(0x83);
    write_text(&mut out, "type");
    out.put_u8(CONNECT_ERROR);
    write_text(&mut out, "nsp");
    write_text(&mut out, namespace);
    write_text(&mut out, "data");
    out.put_u8(0x82);
    write_text(&mut out, "message");
    write_text(&mut out, MESSAGE);
    write_text(&mut out, "data");
    out.put_u8(0x81);
    write_text(&mut out, "code");
    write_text(&mut out, CODE);
    Some(out.freeze())
}

/// Reads a text of at most [`MAX_NAMESPACE`] bytes: `fixstr` or `str 8`.
fn read_text(bytes: &[u8]) -> Option<&str> {
    let (&first, rest) = bytes.split_first()?;
    let (length, rest) = match first {
        0xa0..=0xbf => (first & 0x1f, rest),
        0xd9 => rest.split_first().map(|(length, rest)| (*length, rest))?,
        _ => return None,
    };
    str::from_utf8(rest.get(..usize::from(length))?).ok()
}

/// Writes a text of at most 255 bytes as `str 8`.
fn write_text(out: &mut BytesMut, text: &str) {
    // The texts are constants and a namespace, each within the limit.
    let length = u8::try_from(text.len()).unwrap_or_default();
    out.put_u8(0xd9);
    out.put_u8(length);
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_of_another_parser_is_refused_in_its_own_encoding() {
        // The bytes of socket.io-msgpack-parser 3.0.2.
        for (packet, namespace) in [
            (&b"\x82\xa4type\x00\xa3nsp\xa1/"[..], "/"),
            (b"\x83\xa4type\x00\xa4data\xd4\x00\x00\xa3nsp\xa1/", "/"),
            (b"\x83\xa4type\x00\xa4data\x81\xa5token\xa1x\xa3nsp\xa6/admin", "/admin"),
        ] {
            let answer = refuse_msgpack(packet).expect("is a CONNECT");
            let begins = [
                &b"\x83\xd9\x04type\x04\xd9\x03nsp\xd9"[..],
                &[u8::try_from(namespace.len()).expect("is short")],
                namespace.as_bytes(),
                b"\xd9\x04data\x82\xd9\x07message\xd9",
            ];
            assert!(answer.starts_with(&begins.concat()), "{answer:?}");
            assert!(answer.ends_with(b"\xd9\x04data\x81\xd9\x04code\xd9\x07invalid"));
        }
        let answer = refuse_json(r#"{"type":0,"data":{"token":"x"},"nsp":"/admin"}"#);
        let answer: serde_json::Value =
            serde_json::from_str(&answer.expect("is a CONNECT")).expect("is JSON");
        assert_eq!(
            answer,
            json!({
                "type": 4, "nsp": "/admin",
                "data": {"message": MESSAGE, "data": {"code": "invalid"}},
            })
        );
    }

    #[test]
    fn nothing_else_is_taken_for_a_connect() {
        for bytes in [
            &b""[..],
            b"\x82",
            b"\x82\xa4type\x02\xa3nsp\xa1/",
            b"\x82\xa4type\x00\xa3nsp",
            b"\x82\xa4type\x00\xa3nsp\xa5/",
            b"\x82\xa4type\x00\xa3nsp\xa1\xff",
            b"\x82\xa4type\x00\xa3nsp\xda\x00\x01/",
            b"x\xa4type\x00\xa3nsp\xa1/",
        ] {
            assert_eq!(refuse_msgpack(bytes), None, "{bytes:?}");
        }
        let long = format!(r#"{{"type":0,"nsp":"/{}"}}"#, "x".repeat(255));
        for text in
            ["", "{}", "{", r#"{"type":2,"nsp":"/"}"#, r#"{"type":0}"#, "0", "[0]", long.as_str()]
        {
            assert_eq!(refuse_json(text), None, "{text}");
        }
    }
}

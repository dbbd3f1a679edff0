//! The plain protocol of `/ws`: one JSON object per text frame. The client sends
//! `{"event","data"?,"id"?}`, the server `{"event","data","offset"?}`, and `{"ack":id,"data":…}`
//! for a frame with an id. A text [`PING`] is answered [`PONG`].

use serde::Deserialize;
use serde_json::value::RawValue;

use super::socketio::quoted;

/// A frame of a client.
#[derive(Debug)]
pub struct Frame {
    pub event: String,
    pub data: Option<Box<RawValue>>,
    /// A number or a string. The ack returns it unchanged.
    pub id: Option<Box<RawValue>>,
}

/// The text that libraries for browsers send as a heartbeat, and its answer: the only texts that
/// are not JSON.
pub const PING: &str = "ping";
pub const PONG: &str = "pong";

/// The longest `id`, in bytes of JSON.
const MAX_ID: usize = 128;

/// Reads one frame. Returns `None` if the text is not a JSON object with an `event`, or if its `id`
/// is too long or neither a number nor a string.
#[must_use]
pub fn decode(text: &str) -> Option<Frame> {
    #[derive(Deserialize)]
    struct Raw {
        event: String,
        data: Option<Box<RawValue>>,
        id: Option<Box<RawValue>>,
    }
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let Raw { event, data, id } = serde_json::from_str(text).ok()?;
    if let Some(id) = &id
        && (id.get().len() > MAX_ID
            || !id.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit()))
    {
        return None;
    }
    Some(Frame { event, data, id })
}

/// Writes an event, with its offset if it has one. `data` is JSON.
#[must_use]
pub fn event(name: &str, data: &str, offset: Option<&str>) -> String {
    let offset = offset.map(|offset| format!(",\"offset\":{}", quoted(offset))).unwrap_or_default();
    format!("{{\"event\":{},\"data\":{data}{offset}}}", quoted(name))
}

/// Writes the ack of a frame that had an id. `id` and `data` are JSON.
#[must_use]
pub fn ack(id: &str, data: &str) -> String {
    format!("{{\"ack\":{id},\"data\":{data}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_accepts_every_form_of_a_frame_and_nothing_else() {
        let frame = decode(r#"{"event":"a","data":{"b":1},"id":7}"#).unwrap();
        assert_eq!(
            (frame.event.as_str(), frame.data.unwrap().get(), frame.id.unwrap().get()),
            ("a", r#"{"b":1}"#, "7")
        );
        assert_eq!(decode(r#" {"event":"a","id":"x"}"#).unwrap().id.unwrap().get(), "\"x\"");
        assert!(decode(r#"{"event":"a"}"#).unwrap().data.is_none());
        for text in [
            "",
            "1",
            "[]",
            "{",
            r#"{"data":1}"#,
            r#"{"event":1}"#,
            r#"["a"]"#,
            r#"{"event":"a","id":{}}"#,
            r#"{"event":"a","id":true}"#,
        ] {
            assert!(decode(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_servers_frames_match_the_documented_bytes() {
        assert_eq!(
            event("new_order", r#"{"orderId":1}"#, None),
            r#"{"event":"new_order","data":{"orderId":1}}"#
        );
        assert_eq!(
            event("new_order", "1", Some("7.5")),
            r#"{"event":"new_order","data":1,"offset":"7.5"}"#
        );
        assert_eq!(ack("7", r#"{"ok":true}"#), r#"{"ack":7,"data":{"ok":true}}"#);
    }
}

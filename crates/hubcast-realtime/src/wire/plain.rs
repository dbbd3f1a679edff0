//! The plain protocol of `/ws`: one JSON object a text frame. Client: `{"event","data"?,"id"?}`.
//! Server: `{"event","data","offset"?}` and, for a frame that had an id, `{"ack":id,"data":…}`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::socketio::quoted;

/// A frame as a client may send it.
#[derive(Debug)]
pub struct Frame {
    pub event: String,
    pub data: Option<Box<RawValue>>,
    /// A number or a string; it comes back as it was.
    pub id: Option<Box<RawValue>>,
}

/// Longest `id`, in bytes of JSON.
const MAX_ID: usize = 128;

/// Reads one frame. `None`: not a JSON object with an `event`, or with an `id` that is neither
/// number nor string, or is too long.
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

/// An event, with its offset if it has one; `data` is JSON.
#[must_use]
pub fn event(name: &str, data: &str, offset: Option<&str>) -> String {
    let offset = offset.map(|offset| format!(",\"offset\":{}", quoted(offset))).unwrap_or_default();
    format!("{{\"event\":{},\"data\":{data}{offset}}}", quoted(name))
}

/// The answer to a frame that had an id; `id` and `data` are JSON.
#[must_use]
pub fn ack(id: &str, data: &str) -> String {
    format!("{{\"ack\":{id},\"data\":{data}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_all_their_forms() {
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
    fn golden_bytes_of_what_the_server_sends() {
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

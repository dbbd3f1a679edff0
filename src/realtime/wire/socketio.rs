//! Socket.IO 5 packets in their text form: `<type>[<namespace>,][<ack id>][<JSON>]`.
//!
//! Binary packets (types 5 and 6) are not read yet: they are [`Fault::Binary`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A packet as a client may send it.
#[derive(Debug)]
pub struct Packet<'a> {
    /// `/` when the packet names none.
    pub namespace: &'a str,
    pub body: Body<'a>,
}

/// What the packet says.
#[derive(Debug)]
pub enum Body<'a> {
    /// `0`, with the auth payload if there is one; always an object.
    Connect(Option<&'a RawValue>),
    /// `1`
    Disconnect,
    /// `2`: name, arguments, and the id when an ack is asked for.
    Event { name: String, args: Vec<Box<RawValue>>, ack: Option<u64> },
    /// `3`: the answer to an ack that the server asked for.
    Ack { id: u64 },
}

/// Why a text is no packet. Each of them ends the connection, as in the reference server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a known type digit.
    Type,
    /// Not JSON, or not of the form that the type asks for.
    Payload,
    /// An ack id that is no number.
    AckId,
    /// A binary packet.
    Binary,
}

/// Arguments that an event may have: each costs more than its text.
const MAX_ARGUMENTS: usize = 256;

/// `[name, argument, …]`
struct Event(String, Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Event;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array that begins with a name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Event, A::Error> {
                let name = seq.next_element()?.ok_or_else(|| A::Error::custom("no name"))?;
                let mut args = Vec::new();
                while let Some(arg) = seq.next_element()? {
                    if args.len() == MAX_ARGUMENTS {
                        return Err(A::Error::custom("too many arguments"));
                    }
                    args.push(arg);
                }
                Ok(Event(name, args))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// Names that an event may not have: the client library uses them itself.
const RESERVED: [&str; 6] = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Reads one packet.
///
/// # Errors
/// A [`Fault`] when the text is not a packet that a client may send.
pub fn decode(text: &str) -> Result<Packet<'_>, Fault> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(Fault::Type)?;
    let (namespace, rest) = split_namespace(chars.as_str());
    let body = match kind {
        '0' => Body::Connect(auth(rest)?),
        '1' => {
            if !rest.is_empty() {
                return Err(Fault::Payload);
            }
            Body::Disconnect
        }
        '2' => {
            let (ack, json) = split_id(rest)?;
            let Event(name, args) = serde_json::from_str(json).map_err(|_| Fault::Payload)?;
            if RESERVED.contains(&name.as_str()) {
                return Err(Fault::Payload);
            }
            Body::Event { name, args, ack }
        }
        '3' => {
            let (id, json) = split_id(rest)?;
            serde_json::from_str::<Vec<&RawValue>>(json).map_err(|_| Fault::Payload)?;
            Body::Ack { id: id.ok_or(Fault::AckId)? }
        }
        '5' | '6' => return Err(Fault::Binary),
        _ => return Err(Fault::Type),
    };
    Ok(Packet { namespace, body })
}

/// A namespace stands before the first comma, when the text begins with a slash. A query behind it does not count.
fn split_namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return ("/", text);
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    (name.split_once('?').map_or(name, |(name, _)| name), rest)
}

fn split_id(text: &str) -> Result<(Option<u64>, &str), Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (id, rest) = text.split_at(digits);
    if id.is_empty() {
        return Ok((None, rest));
    }
    id.parse().map(|id| (Some(id), rest)).map_err(|_| Fault::AckId)
}

fn auth(text: &str) -> Result<Option<&RawValue>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let value: &RawValue = serde_json::from_str(text).map_err(|_| Fault::Payload)?;
    if value.get().starts_with('{') { Ok(Some(value)) } else { Err(Fault::Payload) }
}

/// `0`: the namespace is joined. `pid`: by it the session can be resumed.
#[must_use]
pub fn connect(namespace: &str, sid: &str, pid: Option<&str>) -> String {
    let pid = pid.map(|pid| format!(",\"pid\":{}", quoted(pid))).unwrap_or_default();
    format!("40{}{{\"sid\":{}{pid}}}", prefix(namespace), quoted(sid))
}

/// `4`: the namespace is refused. `data` is JSON.
#[must_use]
pub fn connect_error(namespace: &str, message: &str, data: Option<&str>) -> String {
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!("44{}{{\"message\":{}{data}}}", prefix(namespace), quoted(message))
}

/// `2`: an event with one argument, JSON, and behind it its offset, if it has one.
#[must_use]
pub fn event(namespace: &str, name: &str, data: &str, offset: Option<&str>) -> String {
    let offset = offset.map(|offset| format!(",{}", quoted(offset))).unwrap_or_default();
    format!("42{}[{},{data}{offset}]", prefix(namespace), quoted(name))
}

/// `3`: the answer to an event that asked for an ack, with one argument (JSON) or, for an empty text, none.
#[must_use]
pub fn ack(namespace: &str, id: &str, data: &str) -> String {
    format!("43{}{id}[{data}]", prefix(namespace))
}

/// `1`: the server ends this namespace.
#[must_use]
pub fn disconnect(namespace: &str) -> String {
    format!("41{}", prefix(namespace))
}

fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// A string in JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(text: &str) -> (String, String, Vec<String>, Option<u64>) {
        let packet = decode(text).unwrap();
        let Body::Event { name, args, ack } = packet.body else { panic!("not an event: {text}") };
        (packet.namespace.to_owned(), name, args.iter().map(|arg| arg.get().to_owned()).collect(), ack)
    }

    #[test]
    fn events_in_all_their_forms() {
        assert_eq!(event_of(r#"2["a"]"#), ("/".into(), "a".into(), vec![], None));
        assert_eq!(event_of(r#"2["a",{"b":1}]"#), ("/".into(), "a".into(), vec![r#"{"b":1}"#.into()], None));
        assert_eq!(event_of(r#"2/admin,12["a",1,"x"]"#), ("/admin".into(), "a".into(), vec!["1".into(), "\"x\"".into()], Some(12)));
        assert_eq!(event_of(r#"2/admin?x=1,["a"]"#).0, "/admin");
        assert_eq!(event_of(r#"27["a"]"#).3, Some(7));
    }

    #[test]
    fn connect_takes_an_object_or_nothing() {
        assert!(matches!(decode("0").unwrap().body, Body::Connect(None)));
        assert!(matches!(decode("0/admin,").unwrap(), Packet { namespace: "/admin", body: Body::Connect(None) }));
        assert!(matches!(decode("0/admin").unwrap(), Packet { namespace: "/admin", body: Body::Connect(None) }));
        assert!(matches!(decode(r#"0{"token":"t"}"#).unwrap().body, Body::Connect(Some(auth)) if auth.get() == r#"{"token":"t"}"#));
        for text in ["0[1]", "0\"x\"", "0{", "0 "] {
            assert_eq!(decode(text).map(|_| ()), Err(Fault::Payload), "{text}");
        }
    }

    #[test]
    fn what_is_no_packet_is_a_fault() {
        for (text, fault) in [
            ("", Fault::Type),
            ("7", Fault::Type),
            ("4{}", Fault::Type),
            ("é", Fault::Type),
            ("1{}", Fault::Payload),
            ("2", Fault::Payload),
            ("2[]", Fault::Payload),
            ("2{}", Fault::Payload),
            ("2[1]", Fault::Payload),
            (r#"2["connect"]"#, Fault::Payload),
            (r#"2["a"] x"#, Fault::Payload),
            (r#"299999999999999999999["a"]"#, Fault::AckId),
            ("3[]", Fault::AckId),
            (r#"51-["a",{"_placeholder":true,"num":0}]"#, Fault::Binary),
        ] {
            assert_eq!(decode(text).map(|_| ()), Err(fault), "{text}");
        }
    }

    #[test]
    fn an_event_has_a_bounded_number_of_arguments() {
        let event = |arguments: usize| format!("2[\"a\"{}]", ",0".repeat(arguments));
        assert_eq!(event_of(&event(MAX_ARGUMENTS)).2.len(), MAX_ARGUMENTS);
        assert_eq!(decode(&event(MAX_ARGUMENTS + 1)).map(|_| ()), Err(Fault::Payload));
    }

    #[test]
    fn golden_bytes_of_what_the_server_sends() {
        assert_eq!(connect("/", "x", None), r#"40{"sid":"x"}"#);
        assert_eq!(connect("/admin", "x", Some("p")), r#"40/admin,{"sid":"x","pid":"p"}"#);
        assert_eq!(connect_error("/admin", "Forbidden", None), r#"44/admin,{"message":"Forbidden"}"#);
        assert_eq!(connect_error("/", "Unauthorized", Some(r#"{"code":1}"#)), r#"44{"message":"Unauthorized","data":{"code":1}}"#);
        assert_eq!(event("/admin", "new_order", r#"{"orderId":1}"#, None), r#"42/admin,["new_order",{"orderId":1}]"#);
        assert_eq!(event("/", "a", "1", Some("7.5.0")), r#"42["a",1,"7.5.0"]"#);
        assert_eq!(ack("/", "7", "true"), "437[true]");
        assert_eq!(disconnect("/admin"), "41/admin,");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = decode(&text);
        }

        #[test]
        fn digits_and_brackets_are_read_without_a_panic(text in "[0-9/,?\\[\\]{}\"a]{0,24}") {
            let _ = decode(&text);
        }
    }
}

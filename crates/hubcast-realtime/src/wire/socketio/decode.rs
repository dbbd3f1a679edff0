//! Reads one packet's text. Results equal those of socket.io-parser 4.2.7, except for texts that no
//! client sends:
//!
//! - an empty text is refused, and white space is not a digit (JavaScript reads both as the number
//!   0);
//! - as the protocol says, an event, an ack and a CONNECT_ERROR need a payload, and an ack an id;
//! - half of a surrogate pair, which JavaScript strings allow, is refused in a name;
//! - an ack id is a u64;
//! - more than [`MAX_ARGUMENTS`] arguments, or bytes nested too deep, make a
//!   [`EventOrAck::Refused`];
//! - the number of attachments and `num` are written in digits; a placeholder without an attachment
//!   is refused with the text, not after the last attachment;
//! - a query after the namespace's name is ignored, because older clients send one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Body, EventOrAck, Fault, MAX_ARGUMENTS, MAX_ATTACHMENTS, Packet, RESERVED, placeholders,
};

/// Reads one packet's text.
///
/// # Errors
/// Returns a [`Fault`] if the text is not a packet, but none of those that only an
/// [`super::Assembler`] finds.
pub fn decode(text: &str) -> Result<Packet<'_>, Fault> {
    let mut chars = text.chars();
    let kind = chars.next().filter(|kind| ('0'..='6').contains(kind)).ok_or(Fault::Type)?;
    let (due, rest) =
        if matches!(kind, '5' | '6') { split_count(chars.as_str())? } else { (0, chars.as_str()) };
    let (namespace, rest) = split_namespace(rest);
    // The id of a packet that needs none is ignored.
    let (id, json) = split_id(rest)?;
    let body = match kind {
        '0' => Body::Connect(if json.is_empty() { None } else { Some(value(json, &['{'])?) }),
        '1' if json.is_empty() => Body::Disconnect,
        '1' => return Err(Fault::Payload),
        '4' => Body::ConnectError(value(json, &['{', '"'])?),
        '2' | '5' => data(event(json, id)?, due)?,
        _ => data(answer(json, id)?, due)?,
    };
    Ok(Packet { namespace, body })
}

/// Splits off the number of attachments, which ends at the first dash.
fn split_count(text: &str) -> Result<(usize, &str), Fault> {
    let (count, rest) = text.split_once('-').ok_or(Fault::Attachments)?;
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Attachments);
    }
    // Digits that do not parse are a number that is too large.
    match count.parse() {
        Ok(0) => Err(Fault::Attachments),
        Ok(count) if count <= MAX_ATTACHMENTS => Ok((count, rest)),
        _ => Err(Fault::TooManyAttachments),
    }
}

/// Splits off the namespace, which starts with a slash and ends at the first comma. A query after
/// it is dropped.
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

/// Reads JSON that begins with one of these characters.
fn value<'a>(json: &'a str, begins: &[char]) -> Result<&'a RawValue, Fault> {
    let value: &RawValue = serde_json::from_str(json).map_err(|_| Fault::Payload)?;
    if value.get().starts_with(begins) { Ok(value) } else { Err(Fault::Payload) }
}

fn event(json: &str, ack: Option<u64>) -> Result<EventOrAck, Fault> {
    let NameAndArguments(Name(name), Arguments(args)) =
        serde_json::from_str(json).map_err(|_| Fault::Payload)?;
    Ok(match args {
        Some(args) => EventOrAck::Event { name, args, ack },
        None => EventOrAck::Refused { event: Some((name, ack)), fault: Fault::Arguments },
    })
}

fn answer(json: &str, id: Option<u64>) -> Result<EventOrAck, Fault> {
    let Arguments(args) = serde_json::from_str(json).map_err(|_| Fault::Payload)?;
    let id = id.ok_or(Fault::AckId)?;
    Ok(match args {
        Some(args) => EventOrAck::Ack { id, args },
        None => EventOrAck::Refused { event: None, fault: Fault::Arguments },
    })
}

fn data<'a>(content: EventOrAck, due: usize) -> Result<Body<'a>, Fault> {
    if due == 0 {
        return Ok(Body::Data(content));
    }
    let args: &[_] = match &content {
        EventOrAck::Event { args, .. } | EventOrAck::Ack { args, .. } => args,
        EventOrAck::Refused { .. } => &[],
    };
    let checked = args.iter().try_for_each(|arg| placeholders::check(arg.get(), due));
    let content = match (checked, content) {
        (Ok(()), content) => content,
        (Err(fault @ Fault::Depth), EventOrAck::Event { name, ack, .. }) => {
            EventOrAck::Refused { event: Some((name, ack)), fault }
        }
        (Err(fault @ Fault::Depth), _) => EventOrAck::Refused { event: None, fault },
        (Err(fault), _) => return Err(fault),
    };
    Ok(Body::Binary { content, due })
}

/// A string, or a number as its text.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Ok(Self(json.to_owned()));
        }
        let name: String = serde_json::from_str(json).map_err(D::Error::custom)?;
        if RESERVED.contains(&name.as_str()) {
            Err(D::Error::custom("a reserved name"))
        } else {
            Ok(Self(name))
        }
    }
}

/// `[argument, …]`, or `None` if there are more than [`MAX_ARGUMENTS`].
struct Arguments(Option<Vec<Box<RawValue>>>);

impl Arguments {
    fn rest<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut args = Vec::new();
        while let Some(arg) = seq.next_element()? {
            if args.len() == MAX_ARGUMENTS {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Self(None));
            }
            args.push(arg);
        }
        Ok(Self(Some(args)))
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArgumentsVisitor;
        impl<'de> Visitor<'de> for ArgumentsVisitor {
            type Value = Arguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Arguments, A::Error> {
                Arguments::rest(seq)
            }
        }
        deserializer.deserialize_seq(ArgumentsVisitor)
    }
}

/// `[name, argument, …]`
struct NameAndArguments(Name, Arguments);

impl<'de> Deserialize<'de> for NameAndArguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventVisitor;
        impl<'de> Visitor<'de> for EventVisitor {
            type Value = NameAndArguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array that begins with a name")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<NameAndArguments, A::Error> {
                let name = seq.next_element()?.ok_or_else(|| A::Error::custom("no name"))?;
                Ok(NameAndArguments(name, Arguments::rest(seq)?))
            }
        }
        deserializer.deserialize_seq(EventVisitor)
    }
}

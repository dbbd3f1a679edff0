//! One packet's text, read. The outcome is that of socket.io-parser 4.2.7, except for what no
//! client sends:
//!
//! - no text at all is refused, and white space is no digit (to JavaScript both are the number 0);
//! - an event, an answer and a CONNECT_ERROR have to have a payload, as the protocol asks, and an
//!   answer an id;
//! - a name is text: half of a surrogate pair, which JavaScript's strings may have, is none;
//! - an ack id is a u64, and arguments are at most [`MAX_ARGUMENTS`];
//! - the number of attachments, and a placeholder's, is written as digits; a placeholder beside
//!   them is refused with the text, not with the last of them;
//! - a query behind a namespace's name is read over, as older clients send one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Body, Content, Fault, MAX_ARGUMENTS, MAX_ATTACHMENTS, Packet, RESERVED, placeholders};

/// Reads one packet's text.
///
/// # Errors
/// A [`Fault`] when the text is no packet; never one of those that only an [`super::Assembler`] can
/// find.
pub fn decode(text: &str) -> Result<Packet<'_>, Fault> {
    let mut chars = text.chars();
    let kind = chars.next().filter(|kind| ('0'..='6').contains(kind)).ok_or(Fault::Type)?;
    let (due, rest) =
        if matches!(kind, '5' | '6') { split_count(chars.as_str())? } else { (0, chars.as_str()) };
    let (namespace, rest) = split_namespace(rest);
    // Where it has no meaning, an id is read over.
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

/// The attachments' number stands before the first dash.
fn split_count(text: &str) -> Result<(usize, &str), Fault> {
    let (count, rest) = text.split_once('-').ok_or(Fault::Attachments)?;
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Attachments);
    }
    // Digits that are no number are one that is too large.
    match count.parse() {
        Ok(0) => Err(Fault::Attachments),
        Ok(count) if count <= MAX_ATTACHMENTS => Ok((count, rest)),
        _ => Err(Fault::TooManyAttachments),
    }
}

/// A namespace stands before the first comma, when the text begins with a slash. A query behind it
/// does not count.
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

/// Any JSON that begins with one of these.
fn value<'a>(json: &'a str, begins: &[char]) -> Result<&'a RawValue, Fault> {
    let value: &RawValue = serde_json::from_str(json).map_err(|_| Fault::Payload)?;
    if value.get().starts_with(begins) { Ok(value) } else { Err(Fault::Payload) }
}

fn event(json: &str, ack: Option<u64>) -> Result<Content, Fault> {
    let Named(Name(name), Arguments(args)) =
        serde_json::from_str(json).map_err(|_| Fault::Payload)?;
    Ok(Content::Event { name, args, ack })
}

fn answer(json: &str, id: Option<u64>) -> Result<Content, Fault> {
    let Arguments(args) = serde_json::from_str(json).map_err(|_| Fault::Payload)?;
    Ok(Content::Ack { id: id.ok_or(Fault::AckId)?, args })
}

fn data<'a>(content: Content, due: usize) -> Result<Body<'a>, Fault> {
    if due == 0 {
        return Ok(Body::Data(content));
    }
    let (Content::Event { args, .. } | Content::Ack { args, .. }) = &content;
    for arg in args {
        placeholders::check(arg.get(), due)?;
    }
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

/// `[argument, …]`
struct Arguments(Vec<Box<RawValue>>);

impl Arguments {
    fn rest<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut args = Vec::new();
        while let Some(arg) = seq.next_element()? {
            if args.len() == MAX_ARGUMENTS {
                return Err(A::Error::custom("too many arguments"));
            }
            args.push(arg);
        }
        Ok(Self(args))
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Arguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Arguments, A::Error> {
                Arguments::rest(seq)
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// `[name, argument, …]`
struct Named(Name, Arguments);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array that begins with a name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Named, A::Error> {
                let name = seq.next_element()?.ok_or_else(|| A::Error::custom("no name"))?;
                Ok(Named(name, Arguments::rest(seq)?))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

//! Packets, written: each text begins with Engine.IO's `4`, so that it is a whole Engine.IO packet. Values are JSON texts and go out as
//! they are.

use bytes::Bytes;

use super::{Fault, MAX_ATTACHMENTS, placeholders};

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

/// `2`: an event with any arguments, each JSON, and an id when an ack is asked for.
#[must_use]
pub fn event_with(namespace: &str, name: &str, id: Option<u64>, args: &[&str]) -> String {
    let name = quoted(name);
    let items: Vec<&str> = std::iter::once(name.as_str()).chain(args.iter().copied()).collect();
    format!("42{}{}[{}]", prefix(namespace), shown(id), items.join(","))
}

/// `3`: the answer to an event that asked for an ack, with one argument (JSON) or, for an empty text, none.
#[must_use]
pub fn ack(namespace: &str, id: &str, data: &str) -> String {
    format!("43{}{id}[{data}]", prefix(namespace))
}

/// `3`: an answer with any arguments, each JSON.
#[must_use]
pub fn ack_with(namespace: &str, id: &str, args: &[&str]) -> String {
    ack(namespace, id, &args.join(","))
}

/// `1`: this namespace ends.
#[must_use]
pub fn disconnect(namespace: &str) -> String {
    format!("41{}", prefix(namespace))
}

/// JSON, and the attachments into which its placeholders count.
#[derive(Debug, Clone, Copy)]
pub struct Argument<'a> {
    pub json: &'a str,
    pub attachments: &'a [Bytes],
}

impl<'a> From<&'a str> for Argument<'a> {
    /// Without attachments.
    fn from(json: &'a str) -> Self {
        Self { json, attachments: &[] }
    }
}

/// A packet's text, and the binary messages that have to follow it with nothing in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub text: String,
    pub attachments: Vec<Bytes>,
}

/// `5`: an event with any arguments and their attachments. Attachments to which no placeholder points are left out, one to
/// which several point is sent once; with none left it is a `2`.
///
/// # Errors
/// [`Fault::Attachments`] for a placeholder that points beside its argument's attachments: the client would close the connection over it.
/// So a stranger's JSON, which may hold anything that looks like a placeholder, can not stand beside attachments of others.
/// [`Fault::TooManyAttachments`] for more than [`MAX_ATTACHMENTS`] of all arguments together, [`Fault::Payload`] for JSON that is nested
/// too deep.
pub fn binary_event(namespace: &str, name: &str, id: Option<u64>, args: &[Argument<'_>]) -> Result<Encoded, Fault> {
    packet(['2', '5'], namespace, &shown(id), Some(name), args)
}

/// `6`: an answer with any arguments and their attachments, else as [`binary_event`]; with no attachment left it is a `3`.
///
/// # Errors
/// As [`binary_event`].
pub fn binary_ack(namespace: &str, id: &str, args: &[Argument<'_>]) -> Result<Encoded, Fault> {
    packet(['3', '6'], namespace, id, None, args)
}

fn packet([text, binary]: [char; 2], namespace: &str, id: &str, name: Option<&str>, args: &[Argument<'_>]) -> Result<Encoded, Fault> {
    let mut body = name.map(quoted).unwrap_or_default();
    let mut used: Vec<&Bytes> = Vec::new();
    let is_binary = args.iter().any(|arg| !arg.attachments.is_empty());
    for arg in args {
        if !body.is_empty() {
            body.push(',');
        }
        if !is_binary {
            body.push_str(arg.json);
            continue;
        }
        placeholders::rebase(arg.json, arg.attachments.len(), &mut body, |index| {
            let attachment = arg.attachments.get(index).ok_or(Fault::Attachments)?;
            let num = used.iter().position(|other| is_same(other, attachment)).unwrap_or(used.len());
            if num == MAX_ATTACHMENTS {
                return Err(Fault::TooManyAttachments);
            }
            if num == used.len() {
                used.push(attachment);
            }
            Ok(num)
        })?;
    }
    let kind = if used.is_empty() { text.to_string() } else { format!("{binary}{}-", used.len()) };
    let text = format!("4{kind}{}{id}[{body}]", prefix(namespace));
    Ok(Encoded { text, attachments: used.into_iter().cloned().collect() })
}

/// The same bytes of the same memory, as when two arguments come from one packet.
fn is_same(one: &Bytes, other: &Bytes) -> bool {
    one.as_ptr() == other.as_ptr() && one.len() == other.len()
}

fn shown(id: Option<u64>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// A string in JSON.
pub(in super::super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

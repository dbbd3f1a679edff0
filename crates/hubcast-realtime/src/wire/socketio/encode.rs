//! Writes packets. Each text starts with Engine.IO's `4`, so it is a complete Engine.IO packet.
//! Values are JSON texts and are written unchanged.

use bytes::Bytes;

use super::{Fault, MAX_ATTACHMENTS, placeholders};

/// Writes `0`, which accepts a connection to a namespace. `pid` resumes the session.
#[must_use]
pub fn connect(namespace: &str, sid: &str, pid: Option<&str>) -> String {
    let pid = pid.map(|pid| format!(",\"pid\":{}", quoted(pid))).unwrap_or_default();
    format!("40{}{{\"sid\":{}{pid}}}", prefix(namespace), quoted(sid))
}

/// Writes `4`, which refuses a connection to a namespace. `data` is JSON.
#[must_use]
pub fn connect_error(namespace: &str, message: &str, data: Option<&str>) -> String {
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!("44{}{{\"message\":{}{data}}}", prefix(namespace), quoted(message))
}

/// Writes `2`, an event. `id` asks for an ack. `args` are JSON values joined by commas; the event's
/// offset, if it has one, follows them.
#[must_use]
pub fn event(
    namespace: &str,
    name: &str,
    id: Option<u64>,
    args: &str,
    offset: Option<&str>,
) -> String {
    let offset = offset.map(|offset| format!(",{}", quoted(offset))).unwrap_or_default();
    let comma = if args.is_empty() { "" } else { "," };
    format!("42{}{}[{}{comma}{args}{offset}]", prefix(namespace), id_text(id), quoted(name))
}

/// Writes `3`, an ack. `args` are as in [`event`].
#[must_use]
pub fn ack(namespace: &str, id: &str, args: &str) -> String {
    format!("43{}{id}[{args}]", prefix(namespace))
}

/// Writes `1`, which ends the socket in this namespace.
#[must_use]
pub fn disconnect(namespace: &str) -> String {
    format!("41{}", prefix(namespace))
}

/// A packet's text and the binary messages that have to follow it directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub text: String,
    pub attachments: Vec<Bytes>,
}

/// Writes `5`, an [`event`] with attachments; the placeholders of `args` are indexes into them. An
/// attachment without a placeholder is left out, one with several is sent once; without any the
/// packet is a `2`.
///
/// # Errors
/// [`Fault::Attachments`] for a placeholder without an attachment, over which the client would
/// close the connection. So JSON of an untrusted source, which may contain anything that looks like
/// a placeholder, cannot be combined with attachments. [`Fault::TooManyAttachments`] for more than
/// [`MAX_ATTACHMENTS`], [`Fault::Depth`] for JSON that is nested too deep.
pub fn binary_event(
    namespace: &str,
    name: &str,
    id: Option<u64>,
    args: &str,
    attachments: &[Bytes],
    offset: Option<&str>,
) -> Result<Encoded, Fault> {
    let (args, attachments) = renumbered(args, attachments)?;
    let text = match attachments.len() {
        0 => event(namespace, name, id, &args, offset),
        // The rest of the packet equals that of a text packet.
        due => event(namespace, name, id, &args, offset).replacen("42", &format!("45{due}-"), 1),
    };
    Ok(Encoded { text, attachments })
}

/// Writes `6`, an [`ack`] with attachments, as in [`binary_event`]; without any the packet is a
/// `3`.
pub fn binary_ack(
    namespace: &str,
    id: &str,
    args: &str,
    attachments: &[Bytes],
) -> Result<Encoded, Fault> {
    let (args, attachments) = renumbered(args, attachments)?;
    let text = match attachments.len() {
        0 => ack(namespace, id, &args),
        due => ack(namespace, id, &args).replacen("43", &format!("46{due}-"), 1),
    };
    Ok(Encoded { text, attachments })
}

/// Renumbers the placeholders in order of appearance. Returns the new text and the attachments that
/// it uses.
fn renumbered(args: &str, attachments: &[Bytes]) -> Result<(String, Vec<Bytes>), Fault> {
    let mut used: Vec<usize> = Vec::new();
    let mut text = String::with_capacity(args.len());
    placeholders::rebase(args, attachments.len(), &mut text, |index| {
        let num = used.iter().position(|other| *other == index).unwrap_or(used.len());
        if num == MAX_ATTACHMENTS {
            return Err(Fault::TooManyAttachments);
        }
        if num == used.len() {
            used.push(index);
        }
        Ok(num)
    })?;
    Ok((text, used.into_iter().filter_map(|index| attachments.get(index).cloned()).collect()))
}

fn id_text(id: Option<u64>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// Returns a JSON string, with quotes and escapes.
pub(in super::super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

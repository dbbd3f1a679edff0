//! Packets, written: each text begins with Engine.IO's `4`, so that it is a whole Engine.IO packet.
//! Values are JSON texts and go out as they are.

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

/// `2`: an event. `id`: an ack is asked for. `args`: JSON values with commas between; behind them
/// the event's offset, if it has one.
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
    format!("42{}{}[{}{comma}{args}{offset}]", prefix(namespace), shown(id), quoted(name))
}

/// `3`: the answer to an event that asked for an ack; `args` as in [`event`].
#[must_use]
pub fn ack(namespace: &str, id: &str, args: &str) -> String {
    format!("43{}{id}[{args}]", prefix(namespace))
}

/// `1`: this namespace ends.
#[must_use]
pub fn disconnect(namespace: &str) -> String {
    format!("41{}", prefix(namespace))
}

/// A packet's text, and the binary messages that have to follow it with nothing in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub text: String,
    pub attachments: Vec<Bytes>,
}

/// `5`: an [`event`] with attachments, into which the placeholders of `args` count. Attachments to
/// which no placeholder points are left out, one to which several point is sent once; with none
/// left it is a `2`.
///
/// # Errors
/// [`Fault::Attachments`] for a placeholder that points beside the attachments: the client would
/// close the connection over it. So a stranger's JSON, which may hold anything that looks like a
/// placeholder, can not stand beside attachments of others. [`Fault::TooManyAttachments`] for more
/// than [`MAX_ATTACHMENTS`], [`Fault::Payload`] for JSON that is nested too deep.
pub fn binary_event(
    namespace: &str,
    name: &str,
    id: Option<u64>,
    args: &str,
    attachments: &[Bytes],
    offset: Option<&str>,
) -> Result<Encoded, Fault> {
    let (args, attachments) = counted(args, attachments)?;
    let text = match attachments.len() {
        0 => event(namespace, name, id, &args, offset),
        // What is behind the type is the same.
        due => event(namespace, name, id, &args, offset).replacen("42", &format!("45{due}-"), 1),
    };
    Ok(Encoded { text, attachments })
}

/// `6`: an [`ack`] with attachments, else as [`binary_event`]; with no attachment left it is a `3`.
///
/// # Errors
/// As [`binary_event`].
pub fn binary_ack(
    namespace: &str,
    id: &str,
    args: &str,
    attachments: &[Bytes],
) -> Result<Encoded, Fault> {
    let (args, attachments) = counted(args, attachments)?;
    let text = match attachments.len() {
        0 => ack(namespace, id, &args),
        due => ack(namespace, id, &args).replacen("43", &format!("46{due}-"), 1),
    };
    Ok(Encoded { text, attachments })
}

/// The attachments that are used, in the order of their placeholders, and the text that counts so.
fn counted(args: &str, attachments: &[Bytes]) -> Result<(String, Vec<Bytes>), Fault> {
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

//! `events.md`: for each namespace a table of the events that the server sends, and one of those
//! that clients send, made from the AsyncAPI document.

use serde_json::{Map, Value};

use super::markdown::{code, sentence, table};
use super::schema::{named, notation, types};

const INTRODUCTION: &str = "\
# Events

An event has a name and one argument, its payload. A running server has this page as a document at
`/asyncapi.json`. [DELIVERY.md](DELIVERY.md) says what is promised about the delivery of events.

- **Stored** events are in the log: a client that resumes its session gets those that it missed, in
  order. Events that are not stored reach the sockets that are connected when they are sent.
- A client that asks for an **ack** gets `{ok: true, …}` with the fields in the table, or
  `{ok: false, error: {code, message}}`. A failure without an ack to tell it comes as `error`.
- An event of a client may have 256 arguments and 10 pieces of binary data, and beside binary data
  JSON that is nested 128 deep. Beyond the first and the last it is refused as `invalid`, and the
  connection goes on; beyond the second the connection is closed, as by Socket.IO itself.
- In the tables a field with `?` may be left out, and a capitalised name is one of the
  [types](#types) at the end.
";

/// The page.
pub(super) fn page(document: &Value) -> String {
    let servers = document.get("servers").and_then(Value::as_object).into_iter().flatten();
    let protocols = servers.map(|(name, server)| {
        let text = |key: &str| server.get(key).and_then(Value::as_str).unwrap_or_default();
        vec![name.clone(), code(text("pathname")), text("description").to_owned()]
    });
    let protocols = table(&["protocol", "path", "frames"], protocols);
    let channels = document.get("channels").and_then(Value::as_object).into_iter().flatten();
    let mut channels: Vec<(&str, &Map<String, Value>)> = channels
        .filter_map(|(_, channel)| {
            let address = channel.get("address")?.as_str()?;
            Some((address, channel.get("messages")?.as_object()?))
        })
        .collect();
    channels.sort_by_key(|(address, _)| *address);
    let in_tables = names_in_tables(channels.iter().map(|(_, messages)| *messages));
    let sections = channels.into_iter().map(|(address, messages)| {
        let heads = ["event", "sent to", "kind", "meaning", "payload"];
        let events = with_prefix(messages, "hears.");
        let received = table(&heads, events.map(|(_, message)| server_event(message)));
        let heads = ["event", "meaning", "payload", "ack"];
        let events = with_prefix(messages, "sends.").map(|(name, message)| {
            let ack = messages.get(&format!("acked.{name}"));
            client_event(document, message, ack)
        });
        let sent = table(&heads, events);
        format!(
            "\n## Namespace `{address}`\n\n### The server sends\n\n{received}\n\
             ### A client sends\n\n{sent}"
        )
    });
    let sections: String = sections.collect();
    format!("{INTRODUCTION}{sections}\n## Protocols\n\n{protocols}{}", types(document, &in_tables))
}

fn with_prefix<'a>(
    messages: &'a Map<String, Value>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    messages
        .iter()
        .filter_map(move |(key, message)| key.strip_prefix(prefix).map(|name| (name, message)))
}

/// The summary of a server event is `To AUDIENCE. KIND`.
fn server_event(message: &Value) -> Vec<String> {
    let summary = text(message, "summary");
    let (audience, kind) = summary.split_once(". ").unwrap_or((summary, ""));
    vec![
        code(text(message, "name")),
        audience.strip_prefix("To ").unwrap_or(audience).to_owned(),
        kind.to_owned(),
        sentence(text(message, "description")),
        code(&message.get("payload").map(notation).unwrap_or_default()),
    ]
}

/// The fields of what a client sends, and the type of a good ack.
fn client_event(document: &Value, message: &Value, ack: Option<&Value>) -> Vec<String> {
    let payload = message.get("payload").and_then(|payload| named(document, payload));
    let good_ack = ack.and_then(|ack| named(document, ack.get("payload")?)?.pointer("/anyOf/0"));
    vec![
        code(text(message, "name")),
        sentence(&[text(message, "summary"), text(message, "description")].join(" ")),
        code(&payload.map(notation).filter(|payload| payload != "{}").unwrap_or_default()),
        code(&good_ack.map(notation).unwrap_or_default()),
    ]
}

/// The names of the types whose fields the tables of client events have.
fn names_in_tables<'a>(messages: impl Iterator<Item = &'a Map<String, Value>>) -> Vec<&'a str> {
    let of_clients = messages.flatten().filter(|(key, _)| !key.starts_with("hears."));
    let references =
        of_clients.filter_map(|(_, message)| message.pointer("/payload/$ref")?.as_str());
    references.filter_map(|reference| reference.rsplit('/').next()).collect()
}

fn text<'a>(message: &'a Value, key: &str) -> &'a str {
    message.get(key).and_then(Value::as_str).unwrap_or_default()
}

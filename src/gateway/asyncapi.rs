//! The AsyncAPI 3 document: what sockets may send in each namespace, and what they hear there. Of
//! the events themselves it asks what they say of themselves; the ways to connect are told in
//! words.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::heard::{self, Heard};
use super::spoken;
use crate::event::{self, Kind, Told};

/// Where the schemas of things are.
const SCHEMAS: &str = "/components/schemas";

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for (name, address) in [("main", event::MAIN), ("admin", event::ADMIN)] {
        let mut messages = Map::new();
        let aliases = |event: &str| {
            let older =
                event::ALIASES.iter().filter(|(newer, _)| *newer == event).map(|(_, older)| *older);
            older.fold(String::new(), |said, older| said + " Also sent as `" + older + "`.")
        };
        for told in event::told().chain(spoken::told()).filter(|told| told.namespace == address) {
            let Told { name: event, kind, to, payload, .. } = told;
            let kept = if kind == Kind::Stored {
                "Kept: who is away gets it when it resumes."
            } else {
                "Not kept."
            };
            let summary = format!("To {to}. {kept}{}", aliases(event));
            messages.insert(
                format!("hears.{event}"),
                message(event, &summary, payload(&mut generator).as_value()),
            );
            operations.insert(
                format!("{name}.hears.{event}"),
                operation("receive", name, &format!("hears.{event}"), None),
            );
        }
        for heard in heard::all().into_iter().filter(|heard| heard.namespaces.contains(&address)) {
            let Heard { name: event, about, takes, answer, .. } = heard;
            messages.insert(format!("sends.{event}"), message(event, about, &takes));
            let acked = format!("acked.{event}");
            let answer = acknowledgement(answer(&mut generator).as_value());
            messages.insert(
                acked.clone(),
                message(&format!("{event} ack"), "What the ack says.", &answer),
            );
            operations.insert(
                format!("{name}.sends.{event}"),
                operation("send", name, &format!("sends.{event}"), Some(&acked)),
            );
        }
        channels.insert(name.into(), json!({"address": address, "title": format!("namespace {address}"), "messages": messages}));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "hubcast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What clients send and hear. Operations are told from the client's side: it sends, and it receives.",
            "license": {"name": "MIT OR Apache-2.0"}
        },
        "defaultContentType": "application/json",
        "servers": {
            "socketio": {
                "host": "localhost:3000", "pathname": "/socket.io/", "protocol": "socketio", "protocolVersion": "5",
                "description": "Socket.IO 5 over Engine.IO 4: WebSocket, long-polling, upgrade. A channel is a namespace; a message is an event with one argument."
            },
            "plain": {
                "host": "localhost:3000", "pathname": "/ws", "protocol": "ws",
                "description": "One JSON object a text frame: the client's {event, data, id?}, the server's {event, data, offset?} and, to a frame with an id, {ack: id, data}. ?namespace=/admin is the other channel. A connection without a token in its request begins with {event: \"auth\", data: {token}}. Close codes: 4400 no JSON, or another first frame; 4401 no good token, or its end; 4403 a customer on /admin; 4404 no such namespace; 1008 too slow, silent or too fast; 1009 over MAX_PAYLOAD; 1013 and 1001 come back later."
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"schemas": generator.take_definitions(true)}
    })
}

fn message(name: &str, summary: &str, payload: &Value) -> Value {
    json!({"name": name, "summary": summary, "payload": payload})
}

fn operation(action: &str, channel: &str, message: &str, reply: Option<&str>) -> Value {
    // A JSON Pointer (RFC 6901): no name has a ~ or a / in it.
    let at = |message: &str| json!({"$ref": format!("#/channels/{channel}/messages/{message}")});
    let channel_at = json!({"$ref": format!("#/channels/{channel}")});
    let mut operation = json!({"action": action, "channel": channel_at, "messages": [at(message)]});
    if let Some(reply) = reply {
        operation["reply"] = json!({"channel": channel_at, "messages": [at(reply)]});
    }
    operation
}

/// `{ok:true, …}`, or why not.
fn acknowledgement(answer: &Value) -> Value {
    let done = json!({"type": "object", "required": ["ok"], "properties": {"ok": {"const": true}}});
    let codes: Vec<&str> = crate::error::Code::ALL.iter().map(|code| code.as_str()).collect();
    let failed = json!({
        "type": "object",
        "required": ["ok", "error"],
        "properties": {
            "ok": {"const": false},
            "error": {"type": "object", "required": ["code", "message"], "properties": {"code": {"enum": codes}, "message": {"type": "string"}}}
        }
    });
    json!({"oneOf": [{"allOf": [done, answer]}, failed]})
}

//! The AsyncAPI 3 document: what clients may send in each namespace, and what they receive there.
//! The events come from their declarations; the two protocols are described here.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::builtin;
use super::client_event::ClientEvent;
use super::events;
use super::schema_names::{name_parts, pascal};
use crate::event::{self, EventDescription, EventKind};

/// The document of the server at that URL, with that path of Socket.IO. Its operations are the
/// client's: it sends, and it receives.
#[must_use]
pub fn document(server: &str, socketio_path: &str) -> Value {
    let (scheme, host) = server.split_once("://").unwrap_or(("http", server));
    let host = host.trim_end_matches('/');
    let plain = if scheme == "https" { "wss" } else { "ws" };
    let mut generator = event::generator(SchemaSettings::draft07());
    let mut payloads = Map::new();
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for (name, address) in [("main", event::MAIN), ("admin", event::ADMIN)] {
        let mut channel = Channel { name, messages: Map::new() };
        let server_events = event::all().chain(builtin::EVENTS);
        for event in server_events.filter(|event| event.namespaces.contains(&address)) {
            let message = channel.add_server_event(event, &mut generator);
            let operation = channel.operation("receive", &message, None);
            operations.insert(format!("{name}.{message}"), operation);
        }
        for event in events::of(address) {
            let payload = format!("{}Payload", pascal(event.name));
            let (message, ack) = channel.add_client_event(event, &payload, &mut generator);
            payloads.insert(payload, event.payload.clone());
            let operation = channel.operation("send", &message, Some(&ack));
            operations.insert(format!("{name}.{message}"), operation);
        }
        let channel = json!({
            "address": address,
            "title": format!("namespace {address}"),
            "messages": channel.messages,
        });
        channels.insert(name.into(), channel);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.append(&mut payloads);
    for (name, schema) in &mut schemas {
        name_parts(schema, name);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "hubcast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What clients send and receive. An operation is the client's: it \
                            sends, and it receives.",
            "license": {"name": "MIT OR Apache-2.0"}
        },
        "defaultContentType": "application/json",
        "servers": {
            "socketio": {
                "host": host,
                "pathname": format!("{socketio_path}/"),
                "protocol": "socketio",
                "protocolVersion": "5",
                "description": "Socket.IO 5 over Engine.IO 4: WebSocket, long-polling, upgrade. A \
                                channel is a namespace; a message is an event with one argument."
            },
            "plain": {
                "host": host,
                "pathname": "/ws",
                "protocol": plain,
                "description": PLAIN_PROTOCOL
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas}
    })
}

/// The plain protocol, in words.
const PLAIN_PROTOCOL: &str = "One JSON object per text frame: the client's {event, data, id?}, \
    the server's {event, data, offset?} and, for a frame with an id, {ack: id, data}. \
    ?namespace=/admin is the other channel. A text `ping` is answered `pong`. A connection without \
    a token in its request begins with {event: \"auth\", data: {token}}. Close codes: 4400 no \
    JSON, or another first frame; \
    4401 no good token, or its end; 4403 a customer on /admin; 4404 no such namespace; \
    4429 idle for longest of too many sockets of one user; 1008 too slow, silent or too fast; \
    1009 over MAX_PAYLOAD; 1013 and 1001: connect again later.";

/// A namespace: a channel of the document.
struct Channel {
    name: &'static str,
    messages: Map<String, Value>,
}

impl Channel {
    /// Adds the message of a server event, and returns the message's key.
    fn add_server_event(
        &mut self,
        event: &EventDescription,
        generator: &mut SchemaGenerator,
    ) -> String {
        let EventDescription { name, kind, audience, doc, payload, .. } = event;
        let kind = match kind {
            EventKind::Stored => "Stored: a resumed socket gets it later.",
            EventKind::Transient => "Not stored.",
        };
        let older = event::ALIASES.iter().filter(|(newer, _)| newer == name);
        let aliases =
            older.fold(String::new(), |text, (_, older)| text + " Also sent as `" + older + "`.");
        let mut message = message(
            name,
            &format!("To {audience}. {kind}{aliases}"),
            payload(generator).as_value(),
        );
        message["description"] = doc.trim().into();
        let key = format!("hears.{name}");
        self.messages.insert(key.clone(), message);
        key
    }

    /// Adds the messages of a client event, whose payload is the schema of that name, and of its
    /// ack. Returns their keys.
    fn add_client_event(
        &mut self,
        event: &ClientEvent,
        payload: &str,
        generator: &mut SchemaGenerator,
    ) -> (String, String) {
        let name = event.name;
        let (key, ack_key) = (format!("sends.{name}"), format!("acked.{name}"));
        let payload = event::reference(payload);
        let ack = (event.ack)(generator).to_value();
        self.messages.insert(key.clone(), message(name, event.doc, &payload));
        self.messages
            .insert(ack_key.clone(), message(&format!("{name} ack"), "The ack's data.", &ack));
        (key, ack_key)
    }

    fn operation(&self, action: &str, message: &str, reply: Option<&str>) -> Value {
        let name = self.name;
        // A JSON Pointer (RFC 6901) needs no escapes here: no name has a ~ or a /.
        let channel = json!({"$ref": format!("#/channels/{name}")});
        let at = |key: &str| json!([{"$ref": format!("#/channels/{name}/messages/{key}")}]);
        let mut operation = json!({"action": action, "channel": channel, "messages": at(message)});
        if let Some(reply) = reply {
            operation["reply"] = json!({"channel": channel, "messages": at(reply)});
        }
        operation
    }
}

fn message(name: &str, summary: &str, payload: &Value) -> Value {
    json!({"name": name, "summary": summary, "payload": payload})
}

//! What there is to say about each event that clients send: made into the AsyncAPI document.
//! [`events`](super::events) handles them.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::{events, tokens};
use crate::error::Error;
use crate::event::{ADMIN, MAIN, schema_of};
use crate::model::fields::{self, Fields};
use crate::model::{Message, Notification, ReadMark, Timestamp, UserId};
use crate::service::messages::NewMessage;
use crate::service::{conversations, notifications};

/// An event that a client may send.
pub(super) struct Heard {
    pub(super) namespaces: &'static [&'static str],
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// JSON Schema of what it says.
    pub(super) takes: Value,
    /// What its ack says beside `ok`.
    pub(super) answer: fn(&mut SchemaGenerator) -> Schema,
}

impl Heard {
    fn new<T, A: JsonSchema>(
        name: &'static str,
        about: &'static str,
        read: impl FnOnce(Fields<'_>) -> Result<T, Error>,
    ) -> Self {
        Self {
            namespaces: &[MAIN],
            name,
            about,
            takes: Fields::schema_of_event(read),
            answer: schema_of::<A>,
        }
    }
}

/// Who is in a room: at most 200 are named, all are counted.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "said to be so in the document; `events` writes it")]
struct Entered {
    room: String,
    members: Vec<UserId>,
    member_count: usize,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "said to be so in the document; `events` writes it")]
struct Sent {
    message: Message,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "said to be so in the document; `events` writes it")]
struct Read {
    notification: Notification,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "said to be so in the document; `events` writes it")]
struct ReadAll {
    updated: usize,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "said to be so in the document; `events` writes it")]
struct Refreshed {
    expires_at: Timestamp,
}

/// No more than `ok`.
#[derive(JsonSchema)]
struct Done {}

/// All of them.
pub(super) fn all() -> Vec<Heard> {
    vec![
        Heard::new::<_, Entered>(
            "join:project",
            "Join the room project:ID. Members only.",
            events::project,
        ),
        Heard::new::<_, Entered>("leave:project", "Leave it.", events::project),
        Heard::new::<_, Entered>(
            "join:conversation",
            "Join the room conversation:ID. Members only.",
            events::conversation,
        ),
        Heard::new::<_, Entered>("leave:conversation", "Leave it.", events::conversation),
        Heard::new::<_, Entered>(
            "joinRoom",
            "Join a room by its name: project:ID or conversation:ID. Its own user:ID, and admin for an admin, a socket is in from the start.",
            events::room,
        ),
        Heard::new::<_, Entered>("leaveRoom", "Leave it.", events::room),
        Heard::new::<_, Sent>(
            "message:send",
            "Send a message to a conversation. The same clientId again is the same message.",
            NewMessage::read_event,
        ),
        Heard::new::<_, Done>(
            "message",
            "Be answered with `message`, the same content, bytes too.",
            events::content,
        ),
        Heard::new::<_, Done>(
            "typing",
            "Tell the others in a conversation that one types, or has stopped.",
            events::typing,
        ),
        Heard::new::<_, ReadMark>(
            "conversation:read",
            "Say how far one has read.",
            conversations::read_mark_event,
        ),
        Heard::new::<_, Read>(
            "notification:read",
            "Mark a notification as read.",
            notifications::read_id,
        ),
        Heard::new::<_, ReadAll>(
            "notification:read-all",
            "Mark all of them as read.",
            fields::nothing,
        ),
        Heard {
            namespaces: &[MAIN, ADMIN],
            ..Heard::new::<_, Refreshed>(
                "auth:refresh",
                "Go on with another token of the same user.",
                tokens::read,
            )
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_event_that_is_handled_is_told_of() {
        let source = include_str!("events.rs");
        let arms = source.lines().filter_map(|line| {
            line.trim().strip_prefix('"')?.split_once("\" => ").map(|(name, _)| name)
        });
        let handled: BTreeSet<&str> = arms.collect();
        let told: BTreeSet<&str> = all().iter().map(|heard| heard.name).collect();
        assert!(handled.len() > 10, "{handled:?}");
        assert_eq!(handled, told);
    }

    #[test]
    fn what_an_event_takes_is_told_by_its_reader() {
        let heard = all().into_iter().find(|heard| heard.name == "message:send").expect("there");
        let id = serde_json::json!({"anyOf": [{"type": "integer", "minimum": 1, "maximum": i64::MAX}, {"type": "string", "pattern": r"^\d+$"}]});
        assert_eq!(heard.takes["properties"]["conversationId"], id);
        assert_eq!(
            heard.takes["properties"]["message"]["required"],
            serde_json::json!(["content"])
        );
        assert_eq!(heard.takes["required"], serde_json::json!(["conversationId", "message"]));
        assert_eq!(heard.takes["additionalProperties"], false);
    }
}

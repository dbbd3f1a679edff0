//! The client events of each namespace, and their handlers. A handler calls one service function
//! and answers with the ack.

use std::fmt::Display;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::builtin::{ECHO, Echo};
use super::client_event::{Call, ClientEvent, to_json};
use super::tokens;
use crate::error::Error;
use crate::event::{ADMIN, Joinable, MAIN, Room};
use crate::model::fields::{self, Fields};
use crate::model::{
    ConversationId, Message, MessageId, Notification, NotificationId, ProjectId, ReadMark,
    Timestamp, UserId,
};
use crate::realtime::settings::MAX_ROOMS;
use crate::realtime::{Payload, Present};
use crate::service::messages::{self, NewMessage};
use crate::service::{conversations, notifications, rooms};
use crate::store::Once;

/// The client events of a namespace.
pub(super) fn of(namespace: &str) -> &'static [ClientEvent] {
    static MAIN_EVENTS: LazyLock<Vec<ClientEvent>> = LazyLock::new(main);
    static ADMIN_EVENTS: LazyLock<Vec<ClientEvent>> = LazyLock::new(admin);
    match namespace {
        MAIN => &MAIN_EVENTS,
        ADMIN => &ADMIN_EVENTS,
        _ => &[],
    }
}

fn main() -> Vec<ClientEvent> {
    vec![
        ClientEvent::new(
            "join:project",
            "Join the room project:ID. Members only.",
            read_project,
            join,
        ),
        ClientEvent::new("leave:project", "Leave the room project:ID.", read_project, leave),
        ClientEvent::new(
            "join:conversation",
            "Join the room conversation:ID. Members only.",
            read_conversation,
            join,
        ),
        ClientEvent::new(
            "leave:conversation",
            "Leave the room conversation:ID.",
            read_conversation,
            leave,
        ),
        ClientEvent::new(
            "joinRoom",
            "Join a room by its name: project:ID or conversation:ID. A socket is in its own \
             user:ID, and an admin's socket in admin, from the start.",
            read_room,
            join_by_name,
        ),
        ClientEvent::new("leaveRoom", "Leave a room by its name.", read_room, leave_by_name),
        ClientEvent::new(
            "message:send",
            "Send a message to a conversation. A second one with the same clientId is the same \
             message; without one, a client that sends again after a lost ack (`retries`) sends a \
             second message. The sender's read mark moves to the message before it, without \
             an event.",
            NewMessage::read_event,
            send_message,
        ),
        ClientEvent::new(
            "message",
            "Get `message` back with the same content, bytes included.",
            read_content,
            echo,
        ),
        ClientEvent::new(
            "typing",
            "Tell the others in a conversation that the user is typing, or has stopped.",
            read_typing,
            typing,
        ),
        ClientEvent::new(
            "conversation:read",
            "Mark a conversation as read up to a message.",
            conversations::read_mark_event,
            mark_conversation_read,
        ),
        ClientEvent::new(
            "notification:read",
            "Mark a notification as read.",
            notifications::read_id,
            mark_notification_read,
        ),
        ClientEvent::new(
            "notification:read-all",
            "Mark all notifications as read.",
            fields::no_fields,
            mark_all_notifications_read,
        ),
        ClientEvent::new("auth:refresh", REFRESH, tokens::read, refresh),
    ]
}

fn admin() -> Vec<ClientEvent> {
    vec![ClientEvent::new("auth:refresh", REFRESH, tokens::read, refresh_admin)]
}

const REFRESH: &str = "Continue with another token of the same user.";

/// The users in a room, once the socket has joined or left it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RoomUsers {
    /// The number of all users.
    member_count: usize,
    /// At most 200 of the users.
    members: Vec<UserId>,
    room: String,
}

impl RoomUsers {
    fn new(room: impl Display, present: &Present) -> Self {
        // Each user is the JSON text of the identity that `welcome` set.
        let members = present.users.iter().filter_map(|user| serde_json::from_str(user).ok());
        Self { member_count: present.count, members: members.collect(), room: room.to_string() }
    }
}

async fn join(call: Call, room: Joinable) -> Result<RoomUsers, Error> {
    if call.client.has_all_rooms() {
        return Err(Error::Conflict(format!("a socket can be in at most {MAX_ROOMS} rooms")));
    }
    let present = rooms::join(&call.services, &call.caller, room, call.client.handle()).await?;
    Ok(RoomUsers::new(room, &present))
}

async fn leave(call: Call, room: Joinable) -> Result<RoomUsers, Error> {
    let present = rooms::leave(&call.services, &call.caller, room, call.client.handle()).await?;
    Ok(RoomUsers::new(room, &present))
}

/// Joining a room that the socket is always in succeeds.
async fn join_by_name(call: Call, room: Room) -> Result<RoomUsers, Error> {
    match Joinable::try_from(room) {
        Ok(room) => join(call, room).await,
        Err(room) => {
            let present = rooms::own(&call.services, &call.caller, room).await?;
            Ok(RoomUsers::new(room, &present))
        }
    }
}

async fn leave_by_name(call: Call, room: Room) -> Result<RoomUsers, Error> {
    match Joinable::try_from(room) {
        Ok(room) => leave(call, room).await,
        Err(room) => Err(Error::Conflict(format!("{room} is not left while the socket is there"))),
    }
}

fn read_project(mut fields: Fields<'_>) -> Result<Joinable, Error> {
    let id = fields.required("projectId", fields::id::<ProjectId>);
    fields.finish(|| id).map(Joinable::Project)
}

fn read_conversation(mut fields: Fields<'_>) -> Result<Joinable, Error> {
    let id = fields.required("conversationId", fields::id::<ConversationId>);
    fields.finish(|| id).map(Joinable::Conversation)
}

fn read_room(mut fields: Fields<'_>) -> Result<Room, Error> {
    let name = fields.required("room", fields::text);
    let named = Room::by_name(&fields.finish(|| name)?);
    named.ok_or_else(|| {
        Error::BadRequest("room must be project:ID, conversation:ID, user:ID or admin".into())
    })
}

#[derive(Serialize, JsonSchema)]
struct SentMessage {
    message: Message,
}

async fn send_message(
    call: Call,
    (conversation, new): (ConversationId, NewMessage),
) -> Result<SentMessage, Error> {
    let message =
        messages::send(&call.services, &call.caller, conversation, new, Once::Unkeyed).await?;
    Ok(SentMessage { message })
}

/// An answer with no more than `ok`.
#[derive(Serialize, JsonSchema)]
struct Done {}

async fn echo(call: Call, content: Box<RawValue>) -> Result<Done, Error> {
    let echo = Echo { content: &content, from: call.caller.user, at: Timestamp::now() };
    let echo = to_json(&echo)?;
    let echo = Payload::with_attachments([echo.get()], call.attachments).map_err(|fault| {
        tracing::error!(?fault, "cannot send a client's content back");
        Error::Internal
    })?;
    call.client.emit(ECHO.name(), echo);
    Ok(Done {})
}

fn read_content(mut fields: Fields<'_>) -> Result<Box<RawValue>, Error> {
    let content = fields.required("content", fields::anything);
    fields.finish(|| content)
}

async fn typing(call: Call, typing: (ConversationId, bool)) -> Result<Done, Error> {
    let (conversation, is_typing) = typing;
    let is_in = call.client.is_in(&Joinable::Conversation(conversation).to_string());
    rooms::typing(&call.services, &call.caller, conversation, is_typing, is_in).await?;
    Ok(Done {})
}

fn read_typing(mut fields: Fields<'_>) -> Result<(ConversationId, bool), Error> {
    let conversation = fields.required("conversationId", fields::id);
    let is_typing = fields.required("isTyping", fields::flag);
    fields.finish(|| Some((conversation?, is_typing?)))
}

async fn mark_conversation_read(
    call: Call,
    (conversation, message): (ConversationId, MessageId),
) -> Result<ReadMark, Error> {
    conversations::mark_read(&call.services, &call.caller, conversation, message, Once::Unkeyed)
        .await
}

#[derive(Serialize, JsonSchema)]
struct ReadNotification {
    notification: Notification,
}

async fn mark_notification_read(call: Call, id: NotificationId) -> Result<ReadNotification, Error> {
    let notification = notifications::mark_read(&call.services, &call.caller, id).await?;
    Ok(ReadNotification { notification })
}

#[derive(Serialize, JsonSchema)]
struct ReadNotifications {
    updated: usize,
}

async fn mark_all_notifications_read(call: Call, (): ()) -> Result<ReadNotifications, Error> {
    let updated = notifications::read_all(&call.services, &call.caller).await?;
    Ok(ReadNotifications { updated })
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Refreshed {
    expires_at: Timestamp,
}

/// A token with another role moves the socket in or out of the room `admin`. This is not kept: a
/// resumed socket gets the rooms of the token that it comes with.
async fn refresh(call: Call, token: String) -> Result<Refreshed, Error> {
    let now = tokens::refresh(&call.services, &call.client, &token, |_| Ok(())).await?;
    match (call.caller.is_admin(), now.is_admin()) {
        (false, true) => call.client.join(Room::Admin.to_string()).await,
        (true, false) => drop(call.client.leave(Room::Admin.to_string()).await),
        _ => {}
    }
    Ok(Refreshed { expires_at: now.expires_at })
}

async fn refresh_admin(call: Call, token: String) -> Result<Refreshed, Error> {
    let now =
        tokens::refresh(&call.services, &call.client, &token, super::admin::may_enter).await?;
    Ok(Refreshed { expires_at: now.expires_at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schema_of_a_payload_comes_from_its_reader() {
        let event = of(MAIN).iter().find(|event| event.name == "message:send").expect("declared");
        let id = json!({"anyOf": [
            {"type": "integer", "minimum": 1, "maximum": i64::MAX},
            {"type": "string", "pattern": r"^\d+$"},
        ]});
        assert_eq!(event.payload["properties"]["conversationId"], id);
        assert_eq!(event.payload["properties"]["message"]["required"], json!(["content"]));
        assert_eq!(event.payload["required"], json!(["conversationId", "message"]));
        assert_eq!(event.payload["additionalProperties"], false);
    }

    #[test]
    fn an_event_is_declared_once_in_a_namespace() {
        for namespace in [MAIN, ADMIN] {
            let mut names: Vec<&str> = of(namespace).iter().map(|event| event.name).collect();
            let declared = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), declared, "{namespace}");
        }
    }
}

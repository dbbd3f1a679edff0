//! What clients send on `/`: each event's payload read, its verb called, its ack made. One line of
//! the table per event.

use std::fmt::Display;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{Reply, tokens, unknown};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{Joinable, Room};
use crate::model::fields::{self, Fields};
use crate::model::{ConversationId, Message, Notification, ProjectId, Timestamp, UserId};
use crate::realtime::settings::MAX_ROOMS;
use crate::realtime::{Client, Incoming, Payload, Present};
use crate::service::messages::{self, NewMessage};
use crate::service::{Services, conversations, notifications, rooms};
use crate::store::Once;

/// The caller's socket, and what came on it.
pub(super) struct Call<'a> {
    pub services: &'a Services,
    pub caller: &'a Identity,
    pub client: &'a Client,
}

impl Call<'_> {
    /// Handles one event, and says what its ack is.
    pub(super) async fn handle(&self, event: Incoming) -> Reply {
        let payload = payload(&event);
        let fields = || Fields::of_event(payload);
        match event.name.as_str() {
            "join:project" => self.join(project(fields()?)?).await,
            "leave:project" => self.leave(project(fields()?)?).await,
            "join:conversation" => self.join(conversation(fields()?)?).await,
            "leave:conversation" => self.leave(conversation(fields()?)?).await,
            "joinRoom" => self.join_by_name(room(fields()?)?).await,
            "leaveRoom" => self.leave_by_name(room(fields()?)?).await,
            "message:send" => self.send(fields()?).await,
            "message" => self.echo(fields()?, event.attachments.clone()),
            "typing" => self.typing(fields()?).await,
            "conversation:read" => self.read_conversation(fields()?).await,
            "notification:read" => self.read_notification(fields()?).await,
            "notification:read-all" => self.read_all_notifications(fields()?).await,
            "auth:refresh" => self.refresh(fields()?).await,
            _ => Err(unknown(&event)),
        }
    }

    /// With another role the socket is in other rooms. Nothing of that is kept: one that is resumed
    /// is in the rooms of the token that it comes with.
    async fn refresh(&self, fields: Fields<'_>) -> Reply {
        let now = tokens::refresh(self.services, self.client, fields, |_| Ok(())).await?;
        match (self.caller.is_admin(), now.is_admin()) {
            (false, true) => self.client.join(Room::Admin.to_string()).await,
            (true, false) => drop(self.client.leave(Room::Admin.to_string()).await),
            _ => {}
        }
        refreshed(&now)
    }

    async fn join(&self, room: Joinable) -> Reply {
        if self.client.has_all_rooms() {
            return Err(Error::Conflict(format!("a socket can be in at most {MAX_ROOMS} rooms")));
        }
        let present = rooms::join(self.services, self.caller, room, self.client.handle()).await?;
        answer(room, &present)
    }

    async fn leave(&self, room: Joinable) -> Reply {
        answer(room, &rooms::leave(self.services, room, self.client.handle()).await?)
    }

    /// A room that the socket is in from the start counts as joined.
    async fn join_by_name(&self, room: Room) -> Reply {
        match Joinable::try_from(room) {
            Ok(room) => self.join(room).await,
            Err(room) => answer(room, &rooms::own(self.services, self.caller, room).await?),
        }
    }

    async fn leave_by_name(&self, room: Room) -> Reply {
        match Joinable::try_from(room) {
            Ok(room) => self.leave(room).await,
            Err(room) => {
                Err(Error::Conflict(format!("{room} is not left while the socket is there")))
            }
        }
    }

    async fn send(&self, fields: Fields<'_>) -> Reply {
        let (conversation, new) = NewMessage::read_event(fields)?;
        let message =
            messages::send(self.services, self.caller, conversation, new, Once::No).await?;
        ack(&Sent { message: &message })
    }

    /// Seed 001: a message comes back to its sender.
    fn echo(&self, fields: Fields<'_>, attachments: Vec<Bytes>) -> Reply {
        let content = content(fields)?;
        let back = Echo { content: &content, from: self.caller.user, at: Timestamp::now() };
        let back = raw(&back)?;
        let back = Payload::with_attachments([back.get()], attachments).map_err(|fault| {
            tracing::error!(?fault, "what a client has sent can not be sent back");
            Error::Internal
        })?;
        self.client.emit("message", back);
        ack(&json!({}))
    }

    async fn typing(&self, fields: Fields<'_>) -> Reply {
        let (conversation, is_typing) = typing(fields)?;
        let is_in = self.client.is_in(&Joinable::Conversation(conversation).to_string());
        rooms::typing(self.services, self.caller, conversation, is_typing, is_in).await?;
        ack(&json!({}))
    }

    async fn read_conversation(&self, fields: Fields<'_>) -> Reply {
        let (conversation, message) = conversations::read_mark_event(fields)?;
        ack(&conversations::mark_read(self.services, self.caller, conversation, message, Once::No)
            .await?)
    }

    async fn read_notification(&self, fields: Fields<'_>) -> Reply {
        let id = notifications::read_id(fields)?;
        let notification = notifications::read(self.services, self.caller, id).await?;
        ack(&Read { notification: &notification })
    }

    async fn read_all_notifications(&self, fields: Fields<'_>) -> Reply {
        fields::nothing(fields)?;
        let updated = notifications::read_all(self.services, self.caller).await?;
        ack(&json!({"updated": updated}))
    }
}

#[derive(Serialize)]
struct Echo<'a> {
    content: &'a RawValue,
    from: UserId,
    at: Timestamp,
}

#[derive(Serialize)]
struct Sent<'a> {
    message: &'a Message,
}

/// Not by `json!`, which would read its data's numbers, and stop at one that no float can hold.
#[derive(Serialize)]
struct Read<'a> {
    notification: &'a Notification,
}

#[derive(Serialize)]
struct Acked<'a, T> {
    ok: bool,
    #[serde(flatten)]
    answer: &'a T,
}

/// The first argument of an event, as JSON; null is as good as none.
pub(super) fn payload(event: &Incoming) -> &str {
    event.args.first().map(|first| first.get()).filter(|first| *first != "null").unwrap_or("{}")
}

/// The ack of `auth:refresh`: {ok, expiresAt}.
pub(super) fn refreshed(identity: &Identity) -> Reply {
    ack(&json!({"expiresAt": identity.expires_at}))
}

/// Whatever there is to be sent back.
pub(super) fn content(mut fields: Fields<'_>) -> Result<Box<RawValue>, Error> {
    let content = fields.required("content", fields::anything);
    fields.end(|| content)
}

pub(super) fn typing(mut fields: Fields<'_>) -> Result<(ConversationId, bool), Error> {
    let conversation = fields.required("conversationId", fields::id);
    let is_typing = fields.required("isTyping", fields::flag);
    fields.end(|| Some((conversation?, is_typing?)))
}

pub(super) fn project(mut fields: Fields<'_>) -> Result<Joinable, Error> {
    let id = fields.required("projectId", fields::id::<ProjectId>);
    fields.end(|| id).map(Joinable::Project)
}

pub(super) fn conversation(mut fields: Fields<'_>) -> Result<Joinable, Error> {
    let id = fields.required("conversationId", fields::id::<ConversationId>);
    fields.end(|| id).map(Joinable::Conversation)
}

pub(super) fn room(mut fields: Fields<'_>) -> Result<Room, Error> {
    let name = fields.required("room", fields::text);
    let named = Room::by_name(&fields.end(|| name)?);
    named.ok_or_else(|| {
        Error::BadRequest("room must be project:ID, conversation:ID, user:ID or admin".into())
    })
}

fn answer(room: impl Display, present: &Present) -> Reply {
    let mut answer = present.to_json(&room.to_string());
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("memberCount".into(), present.count.into());
    }
    ack(&answer)
}

/// `{ok:true, …}`
fn ack(answer: &impl Serialize) -> Reply {
    raw(&Acked { ok: true, answer }).map(Payload::from)
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(|fault| {
        tracing::error!(%fault, "an answer can not be written as JSON");
        Error::Internal
    })
}

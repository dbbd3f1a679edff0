//! Messages: sending them, and reading what was said. For the conversation's members only.

use std::collections::HashMap;

use diesel::QueryResult;

use super::conversations::not_found;
use super::permissions::{Action, Standing, permit};
use super::{Page, Services};
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::fields::{self, Fields};
use crate::model::{ConversationId, Message, MessageId, UserId};
use crate::store::messages::{self as rows, MessageKey};
use crate::store::{BatchedWrite, Once, Tx, conversations};

/// Longest content, in characters.
const MAX_CONTENT: usize = 65_536;
/// What a message is, when its sender does not say.
pub const TEXT: &str = "text";

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub content: String,
    pub kind: String,
    /// The sender's own name for it: the same again, in the same conversation, is the same message.
    pub client_id: Option<String>,
}

impl NewMessage {
    /// From `{content, type?, clientId?}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let body = Body::take(&mut fields);
        let client_id = fields.optional("clientId", fields::filled);
        fields.end(|| Some(body?.with(client_id?)))
    }

    /// From a socket's `{conversationId, message: {content, type?}, clientId?}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read_event(mut fields: Fields<'_>) -> Result<(ConversationId, Self), Error> {
        let conversation = fields.required("conversationId", fields::id);
        let body = fields.nested("message", |mut inner| {
            let body = Body::take(&mut inner);
            inner.end(|| body)
        });
        let client_id = fields.optional("clientId", fields::filled);
        fields.end(|| Some((conversation?, body?.with(client_id?))))
    }
}

/// What both forms have.
struct Body {
    content: String,
    kind: Option<String>,
}

impl Body {
    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let content = fields.required("content", fields::at_most(MAX_CONTENT));
        let kind = fields.optional("type", fields::filled);
        Some(Self { content: content?, kind: kind? })
    }

    fn with(self, client_id: Option<String>) -> NewMessage {
        NewMessage {
            content: self.content,
            kind: self.kind.unwrap_or_else(|| TEXT.into()),
            client_id,
        }
    }
}

/// Sends a message to the conversation's room, and to its members who are elsewhere. With a client
/// id that the caller has used there before it gives the first message, and nothing is sent.
///
/// # Errors
/// [`Error::NotFound`], also for a conversation in which the caller is not.
pub async fn send(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    new: NewMessage,
    once: Once,
) -> Result<Message, Error> {
    // It is announced twice.
    let bytes = fields::json_len(&new.content) * 2;
    services.db.write_batched(once, bytes, Send { conversation: id, caller: *caller, new }).await
}

struct Send {
    conversation: ConversationId,
    caller: Identity,
    new: NewMessage,
}

/// Where one of a batch is to be found.
enum Place {
    /// Among the new ones; with the conversation's members.
    New(usize, Vec<UserId>),
    /// There too, by the same name.
    Again(usize),
    /// It was there.
    Before(Message),
}

/// What became of one.
enum Sent {
    /// With the conversation's members.
    New(Message, Vec<UserId>),
    Before(Message),
}

impl Send {
    fn name(&self) -> Option<MessageKey> {
        Some((self.conversation, self.caller.user, self.new.client_id.clone()?))
    }

    fn row(&self, seq: i64) -> rows::NewMessage {
        let NewMessage { content, kind, client_id } = self.new.clone();
        rows::NewMessage {
            conversation: self.conversation,
            seq,
            sender: self.caller.user,
            content,
            kind,
            client_id,
        }
    }
}

impl BatchedWrite for Send {
    type Answer = Message;
    type Done = Sent;

    async fn write_batch(tx: &mut Tx, batch: &[&Self]) -> QueryResult<Vec<Result<Sent, Error>>> {
        let mut conversations: Vec<_> = batch.iter().map(|send| send.conversation).collect();
        conversations.sort_unstable();
        conversations.dedup();
        let mut held = conversations::lock(tx, &conversations).await?;
        let names: Vec<_> = batch.iter().filter_map(|send| send.name()).collect();
        let before = rows::by_keys(tx.conn(), &names).await?;

        let (mut new, mut places_by_name) = (Vec::new(), HashMap::new());
        let mut place = |send: &Self| {
            let missing = || not_found(send.conversation);
            let held = held.get_mut(&send.conversation).ok_or_else(missing)?;
            let standing = Standing::member(held.members.contains(&send.caller.user));
            permit(&send.caller, Action::SpeakInConversation, standing)
                .map_err(|denied| denied.or(missing))?;
            let name = send.name();
            if let Some(message) = name.as_ref().and_then(|name| before.get(name)) {
                return Ok(Place::Before(message.clone()));
            }
            if let Some(first) = name.as_ref().and_then(|name| places_by_name.get(name)) {
                return Ok(Place::Again(*first));
            }
            held.last_seq += 1;
            places_by_name.extend(name.map(|name| (name, new.len())));
            new.push(send.row(held.last_seq));
            Ok(Place::New(new.len() - 1, held.members.clone()))
        };
        let places: Vec<Result<Place, Error>> = batch.iter().map(|send| place(send)).collect();

        let messages = rows::insert_all(tx, new).await?;
        // As many as were given.
        let written = |at: usize| messages.get(at).cloned().ok_or(Error::Internal);
        let sent = |place: Result<Place, Error>| match place? {
            Place::New(at, members) => Ok(Sent::New(written(at)?, members)),
            Place::Again(at) => written(at).map(Sent::Before),
            Place::Before(message) => Ok(Sent::Before(message)),
        };
        Ok(places.into_iter().map(sent).collect())
    }

    fn announce(sent: Sent, tx: &mut Tx) -> Message {
        match sent {
            Sent::New(message, members) => {
                for event in event::new_message(&message, members) {
                    tx.emit(event);
                }
                message
            }
            Sent::Before(message) => message,
        }
    }
}

/// What was said, newest first: at most `limit` messages of those before `before`.
///
/// # Errors
/// [`Error::NotFound`], also for a conversation in which the caller is not.
pub async fn history(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    limit: u16,
    before: Option<MessageId>,
) -> Result<Page<Message>, Error> {
    let user = caller.user;
    let asked = rows::MessagePage { conversation: id, before, limit: Page::<Message>::ask(limit) };
    let read = services.db.read(async move |conn| {
        let is_member = conversations::is_member(conn, id, user).await?;
        Ok((is_member, if is_member { rows::list(conn, &asked).await? } else { Vec::new() }))
    });
    let (is_member, items) = read.await?;
    permit(caller, Action::ReadConversation, Standing::member(is_member))
        .map_err(|denied| denied.or(|| not_found(id)))?;
    Ok(Page::of(items, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str, kind: &str, client_id: Option<&str>) -> NewMessage {
        NewMessage {
            content: content.into(),
            kind: kind.into(),
            client_id: client_id.map(Into::into),
        }
    }

    fn of_body(body: &str) -> Result<NewMessage, Vec<String>> {
        Fields::parse(body.as_bytes()).and_then(NewMessage::read).map_err(|error| error.messages())
    }

    fn of_event(payload: &str) -> Result<(ConversationId, NewMessage), Vec<String>> {
        Fields::of_event(payload).and_then(NewMessage::read_event).map_err(|error| error.messages())
    }

    #[test]
    fn both_doors_read_the_same_message() {
        assert_eq!(of_body(r#"{"content":"Hello!"}"#), Ok(message("Hello!", "text", None)));
        assert_eq!(
            of_body(r#"{"content":"x","type":"image","clientId":"c-1"}"#),
            Ok(message("x", "image", Some("c-1")))
        );
        let payload =
            r#"{"conversationId":"9","message":{"content":"x","type":"image"},"clientId":"c-1"}"#;
        assert_eq!(of_event(payload), Ok((ConversationId(9), message("x", "image", Some("c-1")))));
        let payload = r#"{"conversationId":9,"message":{"content":"Hello!"}}"#;
        assert_eq!(of_event(payload), Ok((ConversationId(9), message("Hello!", "text", None))));
    }

    #[test]
    fn content_has_a_length_and_a_client_id_is_never_empty() {
        let of_length = |length| of_body(&format!(r#"{{"content":"{}"}}"#, "ä".repeat(length)));
        assert!(of_length(65_536).is_ok());
        assert_eq!(
            of_length(65_537),
            Err(vec!["content must be shorter than or equal to 65536 characters".into()])
        );
        assert!(
            of_body(r#"{"content":""}"#)
                .is_err_and(|faults| faults.contains(&"content should not be empty".into()))
        );
        assert_eq!(
            of_body(r#"{"content":"x","clientId":""}"#),
            Err(vec!["clientId should not be empty".into()])
        );
        let long = "c".repeat(256);
        assert!(of_body(&format!(r#"{{"content":"x","clientId":"{long}"}}"#)).is_err());
        assert!(of_body(&format!(r#"{{"content":"x","clientId":"{}"}}"#, &long[1..])).is_ok());
    }

    #[test]
    fn faults_of_the_message_within_an_event_are_told_by_their_place() {
        let faults =
            of_event(r#"{"conversationId":9,"message":{"content":5,"clientId":"c"},"to":1}"#)
                .expect_err("is refused");
        for fault in [
            "property to should not exist",
            "message.property clientId should not exist",
            "message.content must be a string",
        ] {
            assert!(faults.contains(&fault.to_owned()), "{faults:?}");
        }
        assert_eq!(
            of_event(r#"{"conversationId":9}"#),
            Err(vec!["message must be an object".into()])
        );
    }
}

//! Messages: sending them, and reading the history. Only the conversation's members may do either.

use std::collections::HashMap;

use diesel::QueryResult;

use super::conversations::{not_found, recheck};
use super::permissions::{Action, Relation, permit};
use super::quotas::{self, Added, Quotas};
use super::{Page, Services};
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::fields::{self, Fields};
use crate::model::{ConversationId, Message, MessageId, UserId};
use crate::store::messages::{self as rows, MessageKey};
use crate::store::{BatchedWrite, Once, Tx, conversations, usage};

/// The most characters in a message's content.
const MAX_CONTENT: usize = 65_536;
/// The type of a message whose sender gives none.
pub const TEXT: &str = "text";

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub content: String,
    pub kind: String,
    /// Chosen by the sender. A second message with the same id in the same conversation is not
    /// sent again.
    pub client_id: Option<String>,
}

impl NewMessage {
    /// Reads `{content, type?, clientId?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let body = Body::take(&mut fields);
        let client_id = fields.optional("clientId", fields::non_empty);
        fields.finish(|| Some(body?.with(client_id?)))
    }

    /// Reads the client event's `{conversationId, message: {content, type?}, clientId?}`.
    pub fn read_event(mut fields: Fields<'_>) -> Result<(ConversationId, Self), Error> {
        let conversation = fields.required("conversationId", fields::id);
        let body = fields.nested("message", |mut inner| {
            let body = Body::take(&mut inner);
            inner.finish(|| body)
        });
        let client_id = fields.optional("clientId", fields::non_empty);
        fields.finish(|| Some((conversation?, body?.with(client_id?))))
    }
}

/// The fields of both forms.
struct Body {
    content: String,
    kind: Option<String>,
}

impl Body {
    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let content = fields.required("content", fields::at_most(MAX_CONTENT));
        let kind = fields.optional("type", fields::non_empty);
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

/// Sends a message to the conversation's room, and to its members outside the room. Moves the
/// sender's read mark to the message before its own, without an event. If the caller has used the
/// client id before, returns the first message and sends nothing.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member, [`Error::RateLimited`].
pub async fn send(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    new: NewMessage,
    once: Once,
) -> Result<Message, Error> {
    let db = services.db_of(caller);
    let words = fields::json_len(&new.content);
    services.publish_limits.admit(caller, 1, words)?;
    // Two events carry the content, for different receivers.
    let bytes = words * 2;
    let once = once.checked(recheck(caller, id, Action::WriteInConversation));
    let quotas = services.quotas;
    let send = SendMessage { conversation: id, caller: *caller, new, quotas };
    db.write_batched(once, bytes, send).await
}

struct SendMessage {
    conversation: ConversationId,
    caller: Identity,
    new: NewMessage,
    quotas: Quotas,
}

/// Where the message of one call of a batch comes from.
enum BatchSlot {
    /// It is new: its index among the new messages, and the conversation's members.
    New(usize, Vec<UserId>),
    /// An earlier call of the batch has the same client id: the index of its message.
    Repeated(usize),
    /// An earlier batch has stored it.
    Stored(Message),
}

/// The message of one call.
enum SendOutcome {
    /// A new message, with the conversation's members, who receive its event.
    New(Message, Vec<UserId>),
    /// A message whose event was sent before.
    Known(Message),
}

impl SendMessage {
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

impl BatchedWrite for SendMessage {
    type Answer = Message;
    type Done = SendOutcome;

    async fn write_batch(
        tx: &mut Tx,
        batch: &[&Self],
    ) -> QueryResult<Vec<Result<SendOutcome, Error>>> {
        let mut conversations: Vec<_> = batch.iter().map(|send| send.conversation).collect();
        conversations.sort_unstable();
        conversations.dedup();
        let mut held = conversations::lock(tx, &conversations).await?;
        let names: Vec<_> = batch.iter().filter_map(|send| send.name()).collect();
        let before = rows::by_keys(tx.conn(), &names).await?;

        let mut usage =
            usage::of(tx.conn(), &quotas::counted(batch.iter().map(|send| &send.caller))).await?;
        let (mut new, mut slots_by_name) = (Vec::new(), HashMap::new());
        let mut slot = |send: &Self| {
            let missing = || not_found(send.conversation);
            let held = held.get_mut(&send.conversation).ok_or_else(missing)?;
            let relation = Relation::member(held.members.contains(&send.caller.user));
            permit(&send.caller, Action::WriteInConversation, relation)
                .map_err(|denied| denied.into_error(missing))?;
            let name = send.name();
            if let Some(message) = name.as_ref().and_then(|name| before.get(name)) {
                return Ok(BatchSlot::Stored(message.clone()));
            }
            if let Some(first) = name.as_ref().and_then(|name| slots_by_name.get(name)) {
                return Ok(BatchSlot::Repeated(*first));
            }
            let added = Added::Text(send.new.content.len());
            send.quotas.count(&mut usage, &send.caller, added)?;
            held.last_seq += 1;
            slots_by_name.extend(name.map(|name| (name, new.len())));
            new.push(send.row(held.last_seq));
            Ok(BatchSlot::New(new.len() - 1, held.members.clone()))
        };
        let slots: Vec<Result<BatchSlot, Error>> = batch.iter().map(|send| slot(send)).collect();

        let messages = rows::insert_all(tx, new).await?;
        // `insert_all` returns one message for each new one.
        let written = |at: usize| messages.get(at).cloned().ok_or(Error::Internal);
        let sent = |slot: Result<BatchSlot, Error>| match slot? {
            BatchSlot::New(at, members) => Ok(SendOutcome::New(written(at)?, members)),
            BatchSlot::Repeated(at) => written(at).map(SendOutcome::Known),
            BatchSlot::Stored(message) => Ok(SendOutcome::Known(message)),
        };
        Ok(slots.into_iter().map(sent).collect())
    }

    fn emit_and_answer(sent: SendOutcome, tx: &mut Tx) -> Message {
        match sent {
            SendOutcome::New(message, members) => {
                for event in event::new_message(&message, members) {
                    tx.emit(event);
                }
                message
            }
            SendOutcome::Known(message) => message,
        }
    }
}

/// Lists the messages, newest first: at most `limit`, with ids below `before`.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member.
pub async fn history(
    services: &Services,
    caller: &Identity,
    id: ConversationId,
    limit: u16,
    before: Option<MessageId>,
) -> Result<Page<Message>, Error> {
    let db = services.db_of(caller);
    let user = caller.user;
    let asked =
        rows::MessagePage { conversation: id, before, limit: Page::<Message>::query_limit(limit) };
    let read = db.read(async move |conn| {
        let is_member = conversations::is_member(conn, id, user).await?;
        let none = (Vec::new(), false);
        Ok((is_member, if is_member { rows::list(conn, &asked).await? } else { none }))
    });
    let (is_member, (items, is_cut)) = read.await?;
    permit(caller, Action::ReadConversation, Relation::member(is_member))
        .map_err(|denied| denied.into_error(|| not_found(id)))?;
    let page = Page::from_rows(items, limit);
    Ok(Page { more: page.more || is_cut, ..page })
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
    fn rest_and_sockets_read_the_same_message() {
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
    fn faults_of_a_nested_message_carry_its_name() {
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

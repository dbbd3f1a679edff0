//! Events of conversations: new messages, and read marks.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, server_events};
use crate::model::{ConversationId, Message, MessageId, ReadMark, UserId};

server_events! {
    /// A new message of the conversation.
    MESSAGE_NEW: stored Message = [MAIN] "message:new" to "the room conversation:ID";
    /// The same message, for the members that are not in the room.
    MESSAGE_RECEIVED: stored Message = [MAIN] "messageReceived"
        to "members of the conversation, but not their sockets in conversation:ID";
    /// A member has read the conversation up to that message.
    CONVERSATION_READ: stored ConversationRead = [MAIN] "conversation:read"
        to "the room conversation:ID";
    /// How many messages of the conversation the user has not read, after a read mark has moved.
    CONVERSATIONS_UNREAD: transient ConversationUnread = [MAIN] "conversations:unread"
        to "the reader: all of the user's sockets";
}

/// `message:new` and `messageReceived` of one message.
#[must_use]
pub fn new_message(message: &Message, members: Vec<UserId>) -> [NewEvent; 2] {
    let id = message.conversation_id;
    let room = Room::Conversation(id);
    let new = MESSAGE_NEW.to(vec![room], message);
    let received = MESSAGE_RECEIVED
        .with_data(vec![Room::Members(id)], new.data.clone())
        .with_members(members)
        .except(vec![room]);
    [new, received]
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names that clients see")]
pub(super) struct ConversationRead {
    conversation_id: ConversationId,
    user_id: UserId,
    message_id: MessageId,
}

/// `conversation:read`.
#[must_use]
pub fn conversation_read(reading: &ReadMark) -> NewEvent {
    let payload = ConversationRead {
        conversation_id: reading.conversation_id,
        user_id: reading.user_id,
        message_id: reading.message_id,
    };
    CONVERSATION_READ.to(vec![Room::Conversation(reading.conversation_id)], &payload)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationUnread {
    conversation_id: ConversationId,
    unread_count: i64,
}

/// `conversations:unread`. Transient: a list of conversations, read again, has the counts.
#[must_use]
pub fn conversation_unread(reading: &ReadMark) -> NewEvent {
    let payload = ConversationUnread {
        conversation_id: reading.conversation_id,
        unread_count: reading.unread_count,
    };
    CONVERSATIONS_UNREAD.to(vec![Room::User(reading.user_id)], &payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::model::Timestamp;

    const ROOM: Room = Room::Conversation(ConversationId(9));

    #[test]
    fn a_message_goes_to_the_room_and_to_the_members_outside_of_it() {
        let message = Message {
            id: MessageId(5),
            conversation_id: ConversationId(9),
            seq: 2,
            sender_id: Some(UserId(7)),
            content: "Hello!".into(),
            kind: "text".into(),
            client_id: Some("c-1".into()),
            created_at: Timestamp::from_unix_seconds(0).expect("the epoch is a time"),
        };
        let [new, received] = new_message(&message, vec![UserId(7), UserId(8)]);
        let data = concat!(
            r#"{"id":5,"conversationId":9,"seq":2,"senderId":7,"content":"Hello!","type":"text","#,
            r#""clientId":"c-1","createdAt":"1970-01-01T00:00:00.000Z"}"#,
        );
        assert_eq!((new.namespace, &*new.name, &*new.data), ("/", "message:new", data));
        assert_eq!((new.rooms, new.except, new.members), (vec![ROOM], vec![], vec![]));
        assert_eq!(
            (received.namespace, &*received.name, &*received.data),
            ("/", "messageReceived", data)
        );
        assert_eq!(
            (received.rooms, received.except),
            (vec![Room::Members(ConversationId(9))], vec![ROOM])
        );
        assert_eq!(received.members, [UserId(7), UserId(8)]);
    }

    #[test]
    fn a_read_mark_goes_to_the_room_and_the_unread_count_to_the_reader_alone() {
        let reading = ReadMark {
            conversation_id: ConversationId(9),
            user_id: UserId(7),
            message_id: MessageId(5),
            unread_count: 3,
        };
        let event = conversation_read(&reading);
        assert_eq!(
            (event.namespace, &*event.name, event.rooms),
            ("/", "conversation:read", vec![ROOM])
        );
        assert_eq!(event.data, r#"{"conversationId":9,"userId":7,"messageId":5}"#);
        let count = conversation_unread(&reading);
        assert_eq!(
            (&*count.name, count.kind, count.rooms),
            ("conversations:unread", EventKind::Transient, vec![Room::User(UserId(7))])
        );
        assert_eq!(count.data, r#"{"conversationId":9,"unreadCount":3}"#);
    }
}

//! Conversations: messages, and how far a member has read.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, Told};
use crate::model::{ConversationId, Message, MessageId, ReadMark, UserId};

/// What this file makes.
pub(super) const TOLD: &[Told] = &[
    Told::stored::<Message>("message:new", "the room conversation:ID"),
    Told::stored::<Message>(
        "messageReceived",
        "members of the conversation, but not their sockets in conversation:ID",
    ),
    Told::stored::<ConversationRead>("conversation:read", "the room conversation:ID"),
];

/// `message:new`, to the conversation's room, and `messageReceived`, to the sockets of its members
/// that are not in there.
#[must_use]
pub fn new_message(message: &Message, members: Vec<UserId>) -> [NewEvent; 2] {
    let room = Room::Conversation(message.conversation_id);
    let new = NewEvent::stored(MAIN, "message:new", vec![room], message);
    let elsewhere = NewEvent {
        name: "messageReceived".into(),
        rooms: vec![Room::Members(message.conversation_id)],
        ..new.clone()
    };
    [new, elsewhere.with_members(members).except(vec![room])]
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names that clients see")]
struct ConversationRead {
    conversation_id: ConversationId,
    user_id: UserId,
    message_id: MessageId,
}

/// `conversation:read`, to the conversation's room.
#[must_use]
pub fn conversation_read(reading: &ReadMark) -> NewEvent {
    let payload = ConversationRead {
        conversation_id: reading.conversation_id,
        user_id: reading.user_id,
        message_id: reading.message_id,
    };
    NewEvent::stored(
        MAIN,
        "conversation:read",
        vec![Room::Conversation(reading.conversation_id)],
        &payload,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let data = r#"{"id":5,"conversationId":9,"seq":2,"senderId":7,"content":"Hello!","type":"text","clientId":"c-1","createdAt":"1970-01-01T00:00:00.000Z"}"#;
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
    fn a_read_mark_is_told_to_the_room_without_what_only_its_owner_needs() {
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
    }
}

//! Transient events of rooms.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, server_events};
use crate::model::{ConversationId, UserId};

server_events! {
    /// A user is typing, or has stopped.
    TYPING: transient Typist = [MAIN] "typing" to "the others in the room conversation:ID";
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Typist {
    conversation_id: ConversationId,
    user_id: UserId,
    is_typing: bool,
}

/// `typing`, to the room without the user's own sockets.
#[must_use]
pub fn typing(conversation_id: ConversationId, user_id: UserId, is_typing: bool) -> NewEvent {
    let payload = Typist { conversation_id, user_id, is_typing };
    TYPING.to(vec![Room::Conversation(conversation_id)], &payload).except(vec![Room::User(user_id)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    #[test]
    fn typing_goes_to_the_others_and_is_transient() {
        let event = typing(ConversationId(9), UserId(5), true);
        assert_eq!(
            (event.namespace, &*event.name, event.kind),
            ("/", "typing", EventKind::Transient)
        );
        assert_eq!(
            (event.rooms, event.except),
            (vec![Room::Conversation(ConversationId(9))], vec![Room::User(UserId(5))])
        );
        assert_eq!(event.data, r#"{"conversationId":9,"userId":5,"isTyping":true}"#);
    }
}

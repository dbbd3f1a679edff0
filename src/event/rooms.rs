//! What is said in rooms and not kept.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, Told};
use crate::model::{ConversationId, UserId};

/// What this file makes.
pub(super) const TOLD: &[Told] =
    &[Told::passing::<Typist>("typing", "the others in the room conversation:ID")];

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Typist {
    conversation_id: ConversationId,
    user_id: UserId,
    is_typing: bool,
}

/// `typing`, to the others in the conversation's room: to none of the typist's own sockets.
#[must_use]
pub fn typing(conversation_id: ConversationId, user_id: UserId, is_typing: bool) -> NewEvent {
    let payload = Typist { conversation_id, user_id, is_typing };
    NewEvent::ephemeral(MAIN, "typing", vec![Room::Conversation(conversation_id)], &payload)
        .except(vec![Room::User(user_id)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;

    #[test]
    fn typing_is_for_the_others_and_not_kept() {
        let event = typing(ConversationId(9), UserId(5), true);
        assert_eq!((event.namespace, &*event.name, event.kind), ("/", "typing", Kind::Ephemeral));
        assert_eq!(
            (event.rooms, event.except),
            (vec![Room::Conversation(ConversationId(9))], vec![Room::User(UserId(5))])
        );
        assert_eq!(event.data, r#"{"conversationId":9,"userId":5,"isTyping":true}"#);
    }
}

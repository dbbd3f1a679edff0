//! Messages of conversations.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ConversationId, MessageId, Timestamp, UserId};
use crate::schema::messages;

/// A message, the same in the database, in answers and in events. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = messages)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// The number of the message in its conversation, from 1, without gaps.
    pub seq: i64,
    /// Null if that account was removed.
    pub sender_id: Option<UserId>,
    pub content: String,
    /// Any short text, by default `text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Chosen by the sender, so that sending it again makes no second message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_in_camel_case_and_a_client_id_only_when_there_is_one() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let message = Message {
            id: MessageId(5),
            conversation_id: ConversationId(9),
            seq: 2,
            sender_id: Some(UserId(7)),
            content: "Hello!".into(),
            kind: "text".into(),
            client_id: None,
            created_at: time,
        };
        let json = serde_json::to_string(&message).expect("plain data serialises");
        assert_eq!(
            json,
            concat!(
                r#"{"id":5,"conversationId":9,"seq":2,"senderId":7,"content":"Hello!","#,
                r#""type":"text","createdAt":"1970-01-01T00:00:00.000Z"}"#
            )
        );
        assert_eq!(serde_json::from_str::<Message>(&json).ok().as_ref(), Some(&message));
        let named = Message { client_id: Some("c-1".into()), ..message };
        let json = serde_json::to_string(&named).expect("plain data serialises");
        assert!(json.contains(r#""type":"text","clientId":"c-1","createdAt""#), "{json}");
    }
}

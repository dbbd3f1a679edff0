//! Conversations, and the read marks of their members.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ConversationId, Member, Message, MessageId, ProjectId, Timestamp, UserId};
use crate::schema::conversations;

/// A conversation. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = conversations)]
pub struct Conversation {
    pub id: ConversationId,
    pub title: Option<String>,
    /// The project that all its members belong to, if any.
    pub project_id: Option<ProjectId>,
    /// The user that may add and remove members. Null if that account was removed.
    pub owner_id: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A new conversation, with its first members in the order they joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationWithMembers {
    #[serde(flatten)]
    pub conversation: Conversation,
    pub members: Vec<Member>,
    /// The number of all members, if there are more than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<i64>,
    /// The users of `memberIds` who were asked to become members, where members are invited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invited: Vec<UserId>,
}

/// A conversation in a member's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    #[serde(flatten)]
    pub conversation: Conversation,
    /// Messages of others after this member's read mark.
    pub unread_count: i64,
    pub last_message: Option<Message>,
}

/// A single conversation, as a member reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationDetail {
    #[serde(flatten)]
    pub summary: ConversationSummary,
    pub members: Vec<Member>,
    /// The number of all members, if there are more than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<i64>,
}

/// The read mark of a member, as the answer to marking a message as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadMark {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    /// The message that was marked as read.
    pub message_id: MessageId,
    /// Messages of others after the read mark.
    pub unread_count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_written_in_camel_case_with_what_is_unread() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let conversation = Conversation {
            id: ConversationId(9),
            title: None,
            project_id: None,
            owner_id: None,
            created_at: time,
            updated_at: time,
        };
        let summary = ConversationSummary { conversation, unread_count: 2, last_message: None };
        assert_eq!(
            serde_json::to_string(&ConversationDetail {
                summary,
                members: Vec::new(),
                member_count: None,
            })
            .ok()
            .as_deref(),
            Some(concat!(
                r#"{"id":9,"title":null,"projectId":null,"ownerId":null,"#,
                r#""createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z","#,
                r#""unreadCount":2,"lastMessage":null,"members":[]}"#
            ))
        );
    }
}

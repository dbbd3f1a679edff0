//! Invitations to conversations and projects, and blocks of users.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{BlockId, ConversationId, InvitationId, Member, ProjectId, Timestamp, UserId};

words!(
    /// What an invitation is to.
    InvitationKind { Conversation = "conversation", Project = "project" }
);

/// An invitation, as the invited person sees it. camelCase on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    pub id: InvitationId,
    pub kind: InvitationKind,
    /// Null for an invitation to a project.
    pub conversation_id: Option<ConversationId>,
    /// Null for an invitation to a conversation.
    pub project_id: Option<ProjectId>,
    /// The title of the conversation, if it has one, or the name of the project.
    pub title: Option<String>,
    pub invited_by: InvitedBy,
    pub created_at: Timestamp,
}

/// The inviter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitedBy {
    pub id: UserId,
    pub name: String,
}

/// The answer to adding somebody: a new member, or, where members are invited, a person to
/// ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Added {
    Member(Member),
    Invited(InvitedUser),
}

/// An invited user. The answer is the same for a user that does not exist, or that blocks the
/// caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitedUser {
    pub user_id: UserId,
    /// Always true.
    pub invited: bool,
}

/// A user whom the caller has blocked. camelCase on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    pub id: BlockId,
    /// The blocked user.
    pub user_id: UserId,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_adding_somebody_is_read_as_it_was_written() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let user_id = UserId(7);
        for (added, json) in [
            (
                Added::Member(Member { user_id, name: "Ann".into(), joined_at: time }),
                r#"{"userId":7,"name":"Ann","joinedAt":"1970-01-01T00:00:00.000Z"}"#,
            ),
            (
                Added::Invited(InvitedUser { user_id, invited: true }),
                r#"{"userId":7,"invited":true}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&added).ok().as_deref(), Some(json));
            assert_eq!(serde_json::from_str::<Added>(json).ok(), Some(added));
        }
    }
}

//! Projects, their members and their stages.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ProjectId, StageId, Timestamp, UserId};
use crate::schema::{projects, stages};

/// A project. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = projects)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    pub description: Option<String>,
    /// Any short text, at first `active`.
    pub status: String,
    /// The user that may add and remove members. Null if that account was removed.
    pub owner_id: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A member of a project or a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub user_id: UserId,
    pub name: String,
    pub joined_at: Timestamp,
}

/// A step of a project.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = stages)]
pub struct Stage {
    pub id: StageId,
    pub project_id: ProjectId,
    pub name: String,
    /// Null until the stage is completed.
    pub completed_at: Option<Timestamp>,
    pub completed_by: Option<UserId>,
    pub created_at: Timestamp,
}

/// A single project, as a member reads it: its own fields, its first members in the order they
/// joined, and its first stages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectDetail {
    #[serde(flatten)]
    pub project: Project,
    pub members: Vec<Member>,
    /// The number of all members, if there are more than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<i64>,
    pub stages: Vec<Stage>,
    /// The number of all stages, if there are more than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_count: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_written_in_camel_case_with_its_members_and_stages() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let project = Project {
            id: ProjectId(3),
            name: "Relaunch".into(),
            description: None,
            status: "active".into(),
            owner_id: Some(UserId(7)),
            created_at: time,
            updated_at: time,
        };
        let stage = Stage {
            id: StageId(4),
            project_id: ProjectId(3),
            name: "Design".into(),
            completed_at: None,
            completed_by: None,
            created_at: time,
        };
        let members = vec![Member { user_id: UserId(7), name: "Ann".into(), joined_at: time }];
        assert_eq!(
            serde_json::to_string(&ProjectDetail {
                project,
                members,
                member_count: None,
                stages: vec![stage],
                stage_count: None,
            })
            .ok()
            .as_deref(),
            Some(concat!(
                r#"{"id":3,"name":"Relaunch","description":null,"status":"active","ownerId":7,"#,
                r#""createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z","#,
                r#""members":[{"userId":7,"name":"Ann","joinedAt":"1970-01-01T00:00:00.000Z"}],"#,
                r#""stages":[{"id":4,"projectId":3,"name":"Design","completedAt":null,"#,
                r#""completedBy":null,"createdAt":"1970-01-01T00:00:00.000Z"}]}"#
            ))
        );
    }
}

//! Events of projects, to the sockets in the project's room.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, server_events};
use crate::model::{Member, Project, ProjectId, Stage, Timestamp, UserId};

server_events! {
    /// A project has changed: its status, its details, its members or its stages.
    PROJECT_UPDATE: stored ProjectUpdate<'static> = [MAIN] "project:update"
        to "the room project:ID";
    /// A stage of a project was completed.
    STAGE_COMPLETED: stored StageCompleted<'static> = [MAIN] "stage:completed"
        to "the room project:ID";
}

/// A change of a project.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum ProjectChange<'a> {
    #[serde(rename_all = "camelCase")]
    StatusChange {
        status: &'a str,
        previous_status: &'a str,
    },
    /// Its name, its description, or both.
    DetailsChange {
        name: &'a str,
        description: &'a Option<String>,
    },
    #[serde(rename_all = "camelCase")]
    MemberAdded {
        user_id: UserId,
        name: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    MemberRemoved {
        user_id: UserId,
    },
    StageAdded {
        stage: &'a Stage,
    },
}

impl<'a> ProjectChange<'a> {
    #[must_use]
    pub fn member_added(member: &'a Member) -> Self {
        Self::MemberAdded { user_id: member.user_id, name: &member.name }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectUpdate<'a> {
    project_id: ProjectId,
    #[serde(flatten)]
    change: ProjectChange<'a>,
    updated_at: Timestamp,
}

/// `project:update`.
#[must_use]
pub fn project_update(project: &Project, change: ProjectChange<'_>) -> NewEvent {
    let payload = ProjectUpdate { project_id: project.id, change, updated_at: project.updated_at };
    PROJECT_UPDATE.to(vec![Room::Project(project.id)], &payload)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StageCompleted<'a> {
    project_id: ProjectId,
    stage: &'a Stage,
}

/// `stage:completed`.
#[must_use]
pub fn stage_completed(stage: &Stage) -> NewEvent {
    let payload = StageCompleted { project_id: stage.project_id, stage };
    STAGE_COMPLETED.to(vec![Room::Project(stage.project_id)], &payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StageId;

    fn time() -> Timestamp {
        Timestamp::from_unix_seconds(0).expect("the epoch is a time")
    }

    fn stage() -> Stage {
        Stage {
            id: StageId(4),
            project_id: ProjectId(3),
            name: "Design".into(),
            completed_at: Some(time()),
            completed_by: Some(UserId(7)),
            created_at: time(),
        }
    }

    const STAGE: &str = concat!(
        r#"{"id":4,"projectId":3,"name":"Design","completedAt":"1970-01-01T00:00:00.000Z","#,
        r#""completedBy":7,"createdAt":"1970-01-01T00:00:00.000Z"}"#,
    );

    #[test]
    fn a_project_update_goes_to_the_projects_room_with_the_change() {
        let project = Project {
            id: ProjectId(3),
            name: "Relaunch".into(),
            description: None,
            status: "active".into(),
            owner_id: None,
            created_at: time(),
            updated_at: time(),
        };
        let member = Member { user_id: UserId(7), name: "Ann".into(), joined_at: time() };
        let changes = [
            (
                ProjectChange::StatusChange { status: "done", previous_status: "active" },
                r#""type":"status_change","data":{"status":"done","previousStatus":"active"}"#
                    .to_owned(),
            ),
            (
                ProjectChange::DetailsChange { name: "Relaunch", description: &None },
                r#""type":"details_change","data":{"name":"Relaunch","description":null}"#
                    .to_owned(),
            ),
            (
                ProjectChange::member_added(&member),
                r#""type":"member_added","data":{"userId":7,"name":"Ann"}"#.to_owned(),
            ),
            (
                ProjectChange::MemberRemoved { user_id: UserId(7) },
                r#""type":"member_removed","data":{"userId":7}"#.to_owned(),
            ),
            (
                ProjectChange::StageAdded { stage: &stage() },
                format!(r#""type":"stage_added","data":{{"stage":{STAGE}}}"#),
            ),
        ];
        for (change, text) in changes {
            let event = project_update(&project, change);
            assert_eq!(
                (event.namespace, &*event.name, event.rooms),
                ("/", "project:update", vec![Room::Project(ProjectId(3))])
            );
            assert_eq!(
                event.data,
                format!(r#"{{"projectId":3,{text},"updatedAt":"1970-01-01T00:00:00.000Z"}}"#)
            );
        }
    }

    #[test]
    fn a_completed_stage_goes_whole_to_the_projects_room() {
        let event = stage_completed(&stage());
        assert_eq!(
            (event.namespace, &*event.name, event.rooms),
            ("/", "stage:completed", vec![Room::Project(ProjectId(3))])
        );
        assert_eq!(event.data, format!(r#"{{"projectId":3,"stage":{STAGE}}}"#));
    }
}

//! Projects: creating and changing them, and their members. Only members may do this; the owner
//! adds and removes members. The module `stages` has their stages.

use diesel::QueryResult;

use super::permissions::{Action, Relation, permit};
use super::{Page, Services, invitations, quotas, remove_from_rooms};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, Joinable, ProjectChange, Room};
use crate::model::fields::{self, Fields};
use crate::model::{Added, InvitedUser, Member, Project, ProjectDetail, ProjectId, UserId};
use crate::store::{Conn, Once, Tx, conversations, is_taken, members, projects as rows, users};

/// The most characters in a description.
const MAX_DESCRIPTION: usize = 10_000;

/// A project to create.
pub struct NewProject {
    pub name: String,
    pub description: Option<String>,
}

impl NewProject {
    /// Reads `{name, description?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let name = fields.required("name", fields::title);
        let description = fields.optional("description", fields::at_most(MAX_DESCRIPTION));
        fields.finish(|| Some(Self { name: name?, description: description? }))
    }
}

/// The fields of a project to change; `None` leaves a field as it is.
pub struct ProjectPatch {
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
}

impl ProjectPatch {
    /// Reads `{name?, description?, status?}`, with at least one of them.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let name = fields.optional("name", fields::non_empty_title);
        let description = fields.optional("description", fields::at_most(MAX_DESCRIPTION));
        let status = fields.optional("status", fields::non_empty_title);
        let patch = fields
            .finish(|| Some(Self { name: name?, description: description?, status: status? }))?;
        if let Self { name: None, description: None, status: None } = patch {
            return Err(Error::Faults(vec![
                "one of name, description, status should not be empty".into(),
            ]));
        }
        Ok(patch)
    }
}

/// Creates a project. The caller is its owner and first member.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewProject,
    once: Once,
) -> Result<Project, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::MakeProject, Relation::NONE)?;
    let (identity, caller, quotas) = (*caller, caller.user, services.quotas);
    let write = async move |tx: &mut Tx| {
        let content = rows::ProjectContent {
            name: new.name,
            description: new.description.and_then(filled),
            status: "active".into(),
        };
        quotas.check(tx, &identity, quotas::Added::Project).await?;
        let project = rows::insert(tx, caller, content).await?;
        rows::add_member(tx, project.id, caller).await?;
        Ok(project)
    };
    db.write(once, write).await
}

/// Lists the caller's projects: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<ProjectId>,
) -> Result<Page<Project>, Error> {
    let db = services.db_of(caller);
    // The query returns only projects of which the caller is a member.
    permit(caller, Action::ReadProject, Relation::member(true))?;
    let asked = rows::ProjectPage {
        member: caller.user,
        before,
        limit: Page::<Project>::query_limit(limit),
    };
    let items = db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::from_rows(items, limit))
}

/// Returns one project, with its first members and stages.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member.
pub async fn get(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
) -> Result<ProjectDetail, Error> {
    let db = services.db_of(caller);
    let caller = *caller;
    let read = db.read(async move |conn| {
        let Some(project) = rows::by_id(conn, id).await? else { return Ok(None) };
        let is_member = rows::is_member(conn, id, caller.user).await?;
        if permit(&caller, Action::ReadProject, Relation::member(is_member)).is_err() {
            return Ok(None);
        }
        let (listed, member_count) = members::first_of_project(conn, id).await?;
        let (stages, stage_count) = rows::first_stages(conn, id).await?;
        Ok(Some(ProjectDetail { project, members: listed, member_count, stages, stage_count }))
    });
    read.await?.ok_or_else(|| not_found(id))
}

/// Lists the members, highest user id first: at most `limit`, with user ids below `before`.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member.
pub async fn members(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    limit: u16,
    before: Option<UserId>,
) -> Result<Page<Member>, Error> {
    let most = Page::<Member>::query_limit(limit);
    let read = async move |conn: &mut Conn| members::of_project(conn, id, before, most).await;
    Ok(Page::from_rows(list_of(services, caller, id, read).await?, limit))
}

/// Reads rows of a project for a member.
pub(super) async fn list_of<T: Send + 'static>(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    rows: impl AsyncFnOnce(&mut Conn) -> QueryResult<Vec<T>> + Send + 'static,
) -> Result<Vec<T>, Error> {
    let db = services.db_of(caller);
    let caller = *caller;
    let read = db.read(async move |conn| {
        let is_member = rows::is_member(conn, id, caller.user).await?;
        let permitted = permit(&caller, Action::ReadProject, Relation::member(is_member));
        if permitted.is_ok() { rows(conn).await.map(Some) } else { Ok(None) }
    });
    read.await?.ok_or_else(|| not_found(id))
}

/// Turns an empty description into none.
fn filled(description: String) -> Option<String> {
    Some(description).filter(|text| !text.is_empty())
}

/// Changes a project, and sends the changes to its room.
pub async fn update(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    patch: ProjectPatch,
) -> Result<Project, Error> {
    let db = services.db_of(caller);
    let (caller, limits, quotas) = (*caller, services.publish_limits.clone(), services.quotas);
    let bytes = patch.description.as_deref().map_or(0, fields::json_len);
    let write = async move |tx: &mut Tx| {
        let before = hold(tx, &caller, id, Action::ChangeProject, None).await?;
        let [old, new] = [&before.description, &patch.description].map(Option::as_deref);
        quotas.check_longer(tx, &caller, old, new).await?;
        let content = rows::ProjectContent {
            name: patch.name.unwrap_or_else(|| before.name.clone()),
            description: patch.description.map_or_else(|| before.description.clone(), filled),
            status: patch.status.unwrap_or_else(|| before.status.clone()),
        };
        let description = content.description.as_deref().map_or(0, fields::json_len);
        limits.admit(&caller, 2, description + fields::json_len(&content.name))?;
        let project = rows::change(tx, id, content).await?;
        if project.status != before.status {
            let change = ProjectChange::StatusChange {
                status: &project.status,
                previous_status: &before.status,
            };
            tx.emit(event::project_update(&project, change));
        }
        if project.name != before.name || project.description != before.description {
            let change = ProjectChange::DetailsChange {
                name: &project.name,
                description: &project.description,
            };
            tx.emit(event::project_update(&project, change));
        }
        Ok(project)
    };
    db.write_large(Once::Unkeyed, bytes, write).await
}

/// Adds a member, and sends the event to the project's room, or invites one; for the owner only.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Faults`] for a user that does not exist or
/// has blocked the caller, [`Error::Conflict`] for a user that is a member already, and for too
/// many invitations.
pub async fn add_member(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    user: UserId,
    once: Once,
) -> Result<Added, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, 0)?;
    let (caller, rules, asks) = (*caller, services.adding, services.adding.asks(caller));
    let (once, quotas) =
        (once.checked(recheck(&caller, id, Action::AddProjectMember)), services.quotas);
    let write = async move |tx: &mut Tx| {
        let project = hold(tx, &caller, id, Action::AddProjectMember, None).await?;
        if asks && !rows::is_member(tx.conn(), id, user).await? {
            invitations::invite(tx, caller.user, Joinable::Project(id), &[user], rules).await?;
            return Ok(Added::Invited(InvitedUser { user_id: user, invited: true }));
        }
        let unknown = || Error::Faults(vec!["userId must refer to an existing user".into()]);
        if invitations::blockers(tx, &caller, &[user]).await?.contains(&user) {
            return Err(unknown());
        }
        let name = users::by_id(tx.conn(), user).await?.ok_or_else(unknown)?.name;
        quotas.check_members(&caller, rows::member_count(tx.conn(), id).await?, 1)?;
        let joined_at = rows::add_member(tx, id, user).await.map_err(|error| {
            if is_taken(&error) {
                Error::Conflict(format!("User {user} is already a member"))
            } else {
                error.into()
            }
        })?;
        let member = Member { user_id: user, name, joined_at };
        tx.emit(event::project_update(&project, ProjectChange::member_added(&member)));
        Ok(Added::Member(member))
    };
    db.write(once, write).await
}

/// Removes a member from the project, its conversations and all their rooms, and sends the event to
/// the members that stay; or takes an invitation back. The owner may do this, and the member
/// itself.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`] for the owner.
pub async fn remove_member(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    user: UserId,
) -> Result<(), Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, 0)?;
    let (caller, hub) = (*caller, services.hub.clone());
    let write = async move |tx: &mut Tx| {
        let project = hold(tx, &caller, id, Action::RemoveProjectMember, Some(user)).await?;
        if project.owner_id == Some(user) {
            return Err(Error::Conflict("The owner cannot be removed".into()));
        }
        if !rows::remove_member(tx, id, user).await? {
            if invitations::withdraw(tx, Joinable::Project(id), user).await? {
                return Ok(());
            }
            return Err(Error::NotFound(format!("Member with ID {user} not found")));
        }
        let joint = conversations::touch_joint(tx, id, user).await?;
        conversations::remove_member(tx, &joint, user).await?;
        conversations::pass_on(tx, &joint, user).await?;
        let rooms = joint.into_iter().map(Room::Conversation).chain([Room::Project(id)]).collect();
        remove_from_rooms(tx, hub, user, rooms).await?;
        tx.emit(event::project_update(&project, ProjectChange::MemberRemoved { user_id: user }));
        Ok(())
    };
    db.write(Once::Unkeyed, write).await
}

/// Locks the project and its members until the commit, and checks the caller's permission. `user`
/// is the user that the action is about, if the permission depends on it.
pub(super) async fn hold(
    tx: &mut Tx,
    caller: &Identity,
    id: ProjectId,
    action: Action,
    user: Option<UserId>,
) -> Result<Project, Error> {
    let project = rows::touch(tx, id).await?.ok_or_else(|| not_found(id))?;
    let relation = relation(tx.conn(), caller, &project, user).await?;
    permit(caller, action, relation).map_err(|denied| denied.into_error(|| not_found(id)))?;
    Ok(project)
}

/// Checks the caller's permission once more, before a kept answer is returned.
pub(super) fn recheck(
    caller: &Identity,
    id: ProjectId,
    action: Action,
) -> impl AsyncFnOnce(&mut Conn) -> Result<(), Error> + Send + 'static {
    let caller = *caller;
    async move |conn: &mut Conn| {
        let project = rows::by_id(conn, id).await?.ok_or_else(|| not_found(id))?;
        let relation = relation(conn, &caller, &project, None).await?;
        permit(&caller, action, relation).map_err(|denied| denied.into_error(|| not_found(id)))
    }
}

async fn relation(
    conn: &mut Conn,
    caller: &Identity,
    project: &Project,
    user: Option<UserId>,
) -> QueryResult<Relation> {
    let is_member = rows::is_member(conn, project.id, caller.user).await?;
    Ok(Relation::own(user == Some(caller.user))
        .and(Relation::member(is_member))
        .and(Relation::owner(project.owner_id == Some(caller.user))))
}

pub(super) fn not_found(id: ProjectId) -> Error {
    Error::NotFound(format!("Project with ID {id} not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(body: &str) -> Result<ProjectPatch, Vec<String>> {
        Fields::parse(body.as_bytes())
            .and_then(ProjectPatch::read)
            .map_err(|error| error.messages())
    }

    #[test]
    fn a_patch_has_at_least_one_field_and_empties_no_name() {
        assert!(matches!(
            patch(r#"{"status":"done"}"#),
            Ok(ProjectPatch { name: None, description: None, status: Some(status) })
                if status == "done"
        ));
        assert!(matches!(
            patch(r#"{"description":""}"#),
            Ok(ProjectPatch { description: Some(_), .. })
        ));
        for body in ["{}", r#"{"name":null}"#] {
            assert_eq!(
                patch(body).err(),
                Some(vec!["one of name, description, status should not be empty".into()]),
                "{body}"
            );
        }
        let faults = vec![
            "property ownerId should not exist".into(),
            "name should not be empty".into(),
            "status must be a string".into(),
        ];
        let found = patch(r#"{"name":"","status":5,"ownerId":1}"#).err().map(|mut faults| {
            faults.retain(|fault| !fault.contains("shorter"));
            faults
        });
        assert_eq!(found, Some(faults));
    }
}

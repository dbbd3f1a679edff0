//! Stages of projects: adding, completing and listing them. For members of the project.

use super::broadcasts;
use super::notify::MAX_RECEIVERS;
use super::permissions::Action;
use super::projects::{hold, list_of, recheck};
use super::{Page, Services};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, ProjectChange};
use crate::model::fields::{self, Fields};
use crate::model::{Notice, ProjectId, Stage, StageId};
use crate::store::broadcasts::Audience;
use crate::store::{Conn, Once, Tx, projects as rows};

/// Bytes that one member's notification about a stage takes.
const STAGE_NOTICE_BYTES: usize = 1024;

/// Reads a stage's name, from `{name}`.
pub fn read(mut fields: Fields<'_>) -> Result<String, Error> {
    let name = fields.required("name", fields::title);
    fields.finish(|| name)
}

/// Adds a stage, and sends the event to the project's room.
pub async fn add(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    name: String,
    once: Once,
) -> Result<Stage, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, fields::json_len(&name))?;
    let (caller, quotas) = (*caller, services.quotas);
    let once = once.checked(recheck(&caller, id, Action::ChangeProject));
    let write = async move |tx: &mut Tx| {
        let project = hold(tx, &caller, id, Action::ChangeProject, None).await?;
        quotas.check_stages(&caller, rows::stage_count(tx.conn(), id).await?)?;
        let stage = rows::insert_stage(tx, id, name).await?;
        tx.emit(event::project_update(&project, ProjectChange::StageAdded { stage: &stage }));
        Ok(stage)
    };
    db.write(once, write).await
}

/// Completes a stage, sends the event to the project's room, and notifies the other members.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`] for a stage that is completed already,
/// [`Error::Unavailable`] for a large project if too many broadcasts are running.
pub async fn complete(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    stage: StageId,
    once: Once,
) -> Result<Stage, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 2, STAGE_NOTICE_BYTES)?;
    let (caller, wakeup) = (*caller, services.broadcasts.clone());
    let once = once.checked(recheck(&caller, id, Action::ChangeProject));
    // Roughly the size of the events: members that change before the write hardly matter.
    let members = services.db.read(async move |conn| rows::member_count(conn, id).await).await?;
    let bytes = usize::try_from(members).unwrap_or_default().min(usize::from(MAX_RECEIVERS))
        * STAGE_NOTICE_BYTES;
    let write = async move |tx: &mut Tx| {
        let project = hold(tx, &caller, id, Action::ChangeProject, None).await?;
        let missing = || Error::NotFound(format!("Stage with ID {stage} not found"));
        rows::stage(tx.conn(), id, stage).await?.ok_or_else(missing)?;
        let done = rows::complete_stage(tx, stage, caller.user).await?;
        let done = done.ok_or_else(|| {
            Error::Conflict(format!("Stage with ID {stage} is already completed"))
        })?;
        tx.emit(event::stage_completed(&done));
        let others = Audience::OtherMembers(id, caller.user);
        broadcasts::send(tx, &wakeup, others, &Notice::stage_completed(&project, &done)).await?;
        Ok(done)
    };
    db.write_large(once, bytes, write).await
}

/// Lists the stages, newest first: at most `limit`, with ids below `before`.
///
/// # Errors
/// [`Error::NotFound`] also if the caller is not a member.
pub async fn list(
    services: &Services,
    caller: &Identity,
    id: ProjectId,
    limit: u16,
    before: Option<StageId>,
) -> Result<Page<Stage>, Error> {
    let most = Page::<Stage>::query_limit(limit);
    let read = async move |conn: &mut Conn| rows::stages(conn, id, before, most).await;
    Ok(Page::from_rows(list_of(services, caller, id, read).await?, limit))
}

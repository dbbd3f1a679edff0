//! `/projects`.

use actix_web::web;

use super::answers::{Created, Json, ListPage, NoContent};
use super::endpoint::{Endpoint, delete, get, patch, post};
use super::extract::{Body, Caller, EmptyBody, Id, NewMember, request_body};
use super::paging::Paging;
use crate::error::Error;
use crate::model::{Added, Member, Project, ProjectDetail, ProjectId, Stage, StageId, UserId};
use crate::service::projects::{self, NewProject, ProjectPatch};
use crate::service::{Services, stages};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/projects", "Make a project", create),
        get("/projects", "The caller's projects, newest first", list),
        get("/projects/{id}", "One project, with its first 200 members and stages", read),
        patch("/projects/{id}", "Change a project", update),
        post("/projects/{id}/members", "Add or invite a member (the owner)", add_member)
            .refuses(&[403, 409]),
        get(
            "/projects/{id}/members",
            "The members of a project, highest user id first",
            list_members,
        ),
        delete(
            "/projects/{id}/members/{userId}",
            "Remove a member or an invitation (the owner), or leave",
            remove_member,
        )
        .refuses(&[403, 409]),
        post("/projects/{id}/stages", "Add a stage", add_stage),
        get("/projects/{id}/stages", "The stages of a project, newest first", list_stages),
        post("/projects/{id}/stages/{stageId}/complete", "Complete a stage", complete_stage)
            .refuses(&[409]),
    ]
}

request_body!(NewProject = NewProject::read);
request_body!(ProjectPatch = ProjectPatch::read);
request_body!(NewStage(String) = stages::read);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Body(new): Body<NewProject>,
    once: Once,
) -> Result<Created<Project>, Error> {
    projects::create(&services, &caller, new, once).await.map(Created)
}

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<ProjectId>,
) -> Result<ListPage<Project>, Error> {
    let page = projects::list(&services, &caller, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |project| project.id))
}

async fn read(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
) -> Result<Json<ProjectDetail>, Error> {
    projects::get(&services, &caller, id).await.map(Json)
}

async fn update(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    Body(change): Body<ProjectPatch>,
) -> Result<Json<Project>, Error> {
    projects::update(&services, &caller, id, change).await.map(Json)
}

async fn add_member(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    Body(NewMember(user)): Body<NewMember>,
    once: Once,
) -> Result<Created<Added>, Error> {
    projects::add_member(&services, &caller, id, user, once).await.map(Created)
}

async fn list_members(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    paging: Paging<UserId>,
) -> Result<ListPage<Member>, Error> {
    let page = projects::members(&services, &caller, id, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |member| member.user_id))
}

async fn remove_member(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    Id(user): Id<UserId>,
) -> Result<NoContent, Error> {
    projects::remove_member(&services, &caller, id, user).await.map(|()| NoContent)
}

async fn add_stage(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    Body(NewStage(name)): Body<NewStage>,
    once: Once,
) -> Result<Created<Stage>, Error> {
    stages::add(&services, &caller, id, name, once).await.map(Created)
}

async fn list_stages(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    paging: Paging<StageId>,
) -> Result<ListPage<Stage>, Error> {
    let page = stages::list(&services, &caller, id, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |stage| stage.id))
}

async fn complete_stage(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProjectId>,
    Id(stage): Id<StageId>,
    _: EmptyBody,
    once: Once,
) -> Result<Json<Stage>, Error> {
    stages::complete(&services, &caller, id, stage, once).await.map(Json)
}

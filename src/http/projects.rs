//! `/projects`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, Paging, once};
use crate::error::Error;
use crate::model::{ProjectId, StageId, UserId};
use crate::service::projects::{self, NewProject, ProjectPatch};
use crate::service::{Services, read_member};

/// `POST /projects {name, description?}` → 201
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let new = NewProject::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let project = projects::create(&services, &caller.0, new, once).await?;
    Ok(HttpResponse::Created().json(project))
}

/// `GET /projects?limit=&before=` → 200, newest first
pub async fn list(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let paging = Paging::of(&request)?;
    let page = projects::list(&services, &caller.0, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |project| project.id))
}

/// `GET /projects/{id}` → 200, with its members and stages
pub async fn get(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProjectId>,
) -> Result<HttpResponse, Error> {
    let project = projects::get(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::Ok().json(project))
}

/// `PATCH /projects/{id} {name?, description?, status?}` → 200
pub async fn update(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProjectId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let change = ProjectPatch::read(body.fields()?)?;
    let project = projects::update(&services, &caller.0, id, change).await?;
    Ok(HttpResponse::Ok().json(project))
}

/// `POST /projects/{id}/members {userId}` → 201
pub async fn add_member(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ProjectId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let user = read_member(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let member = projects::add_member(&services, &caller.0, id, user, once).await?;
    Ok(HttpResponse::Created().json(member))
}

/// `DELETE /projects/{id}/members/{userId}` → 204
pub async fn remove_member(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProjectId>,
    user: Id<UserId>,
) -> Result<HttpResponse, Error> {
    projects::remove_member(&services, &caller.0, id.get()?, user.get()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /projects/{id}/stages {name}` → 201
pub async fn add_stage(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ProjectId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let name = projects::read_stage(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let stage = projects::add_stage(&services, &caller.0, id, name, once).await?;
    Ok(HttpResponse::Created().json(stage))
}

/// `POST /projects/{id}/stages/{stageId}/complete` → 200
pub async fn complete_stage(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ProjectId>,
    stage: Id<StageId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let (id, stage) = (id.get()?, stage.get()?);
    body.nothing()?;
    let once = once(&request, caller.0.user, &body)?;
    let stage = projects::complete_stage(&services, &caller.0, id, stage, once).await?;
    Ok(HttpResponse::Ok().json(stage))
}

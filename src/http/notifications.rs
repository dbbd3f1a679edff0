//! `/notifications`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::answers::{Count, Updated};
use super::extract::{Body, Caller, Id, Paging, once};
use crate::error::Error;
use crate::model::NotificationId;
use crate::service::Services;
use crate::service::notifications::{self, NewNotification};

/// `POST /notifications {userId | userIds | role | all:true, type, title, message, data?}` → 201
/// {count}
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let new = NewNotification::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let count = notifications::create(&services, &caller.0, new, once).await?;
    Ok(HttpResponse::Created().json(Count { count: i64::try_from(count).unwrap_or(i64::MAX) }))
}

/// `GET /notifications?unreadOnly=&limit=&before=` → 200, newest first
pub async fn list(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (paging, [unread_only]) = Paging::with_flags(&request, ["unreadOnly"])?;
    let page =
        notifications::list(&services, &caller.0, unread_only, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |notification| notification.id))
}

/// `GET /notifications/unread-count` → 200 {count}
pub async fn unread_count(
    services: web::Data<Services>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    let count = notifications::unread_count(&services, &caller.0).await?;
    Ok(HttpResponse::Ok().json(Count { count }))
}

/// `PATCH /notifications/{id}/read` → 200
pub async fn read(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<NotificationId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    body.nothing()?;
    let notification = notifications::read(&services, &caller.0, id).await?;
    Ok(HttpResponse::Ok().json(notification))
}

/// `PATCH /notifications/mark-all-read` → 200 {updated}
pub async fn read_all(
    services: web::Data<Services>,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, Error> {
    body.nothing()?;
    let updated = notifications::read_all(&services, &caller.0).await?;
    Ok(HttpResponse::Ok().json(Updated { updated }))
}

/// `DELETE /notifications/{id}` → 204
pub async fn delete(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<NotificationId>,
) -> Result<HttpResponse, Error> {
    notifications::delete(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

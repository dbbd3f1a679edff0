//! `/notifications`.

use actix_web::web;

use super::answers::{Count, Created, Json, ListPage, NoContent, Updated};
use super::endpoint::{Endpoint, delete, get, patch, post};
use super::extract::{Body, Caller, EmptyBody, Id, request_body};
use super::paging::{Filter, Paging};
use crate::error::Error;
use crate::model::{Notification, NotificationId};
use crate::service::Services;
use crate::service::notifications::{self, NewNotification};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/notifications", "Notify one user, some, a role or all (admins)", create)
            .refuses(&[403]),
        get("/notifications", "The caller's notifications, newest first", list),
        get(
            "/notifications/unread-count",
            "The number of the caller's unread notifications",
            unread_count,
        ),
        patch(
            "/notifications/mark-all-read",
            "Mark all of the caller's notifications as read",
            mark_all_read,
        ),
        patch("/notifications/{id}/read", "Mark a notification as read", mark_read),
        delete("/notifications/{id}", "Remove a notification", remove),
    ]
}

request_body!(NewNotification = NewNotification::read);

#[derive(Default)]
struct UnreadOnly(bool);

impl Filter for UnreadOnly {
    const NAME: &'static str = "unreadOnly";
    const DESCRIPTION: &'static str = "Unread notifications only";

    fn set(&mut self, value: bool) {
        self.0 = value;
    }
}

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Body(new): Body<NewNotification>,
    once: Once,
) -> Result<Created<Count>, Error> {
    let count = notifications::create(&services, &caller, new, once).await?;
    Ok(Created(Count { count: i64::try_from(count).unwrap_or(i64::MAX) }))
}

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<NotificationId, UnreadOnly>,
) -> Result<ListPage<Notification>, Error> {
    let UnreadOnly(unread_only) = paging.filter;
    let page =
        notifications::list(&services, &caller, unread_only, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |notification| notification.id))
}

async fn unread_count(services: web::Data<Services>, caller: Caller) -> Result<Json<Count>, Error> {
    let count = notifications::unread_count(&services, &caller).await?;
    Ok(Json(Count { count }))
}

async fn mark_read(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<NotificationId>,
    _: EmptyBody,
) -> Result<Json<Notification>, Error> {
    notifications::mark_read(&services, &caller, id).await.map(Json)
}

async fn mark_all_read(
    services: web::Data<Services>,
    caller: Caller,
    _: EmptyBody,
) -> Result<Json<Updated>, Error> {
    let updated = notifications::read_all(&services, &caller).await?;
    Ok(Json(Updated { updated }))
}

async fn remove(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<NotificationId>,
) -> Result<NoContent, Error> {
    notifications::delete(&services, &caller, id).await.map(|()| NoContent)
}

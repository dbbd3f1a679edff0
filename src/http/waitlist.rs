//! `/products/{id}/waitlist`.

use actix_web::web;

use super::answers::{Created, NoContent};
use super::endpoint::{Endpoint, delete, post};
use super::extract::{Caller, EmptyBody, Id};
use crate::error::Error;
use crate::model::{ProductId, WaitlistEntry};
use crate::service::{Services, waitlist};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/products/{id}/waitlist", "Get a notification when a product is in stock", join)
            .refuses(&[409]),
        delete("/products/{id}/waitlist", "Leave the waitlist", leave),
    ]
}

async fn join(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
    _: EmptyBody,
    once: Once,
) -> Result<Created<WaitlistEntry>, Error> {
    waitlist::join(&services, &caller, id, once).await.map(Created)
}

async fn leave(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
) -> Result<NoContent, Error> {
    waitlist::leave(&services, &caller, id).await.map(|()| NoContent)
}

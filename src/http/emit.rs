//! `/emit`.

use actix_web::web;

use super::answers::{Delivered, Json};
use super::endpoint::{Endpoint, post};
use super::extract::{Body, Caller, request_body};
use crate::error::Error;
use crate::event::ExternalEvent;
use crate::service::{Services, emit};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/emit", "Send an event of another back end to rooms (admins)", create)
            .refuses(&[403]),
    ]
}

request_body!(ExternalEvent = emit::read);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Body(event): Body<ExternalEvent>,
    once: Once,
) -> Result<Json<Delivered>, Error> {
    let delivered = emit::emit(&services, &caller, event, once).await?;
    Ok(Json(Delivered { delivered }))
}

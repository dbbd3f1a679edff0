//! `/orders/{id}/payments`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, once};
use crate::error::Error;
use crate::model::OrderId;
use crate::service::Services;
use crate::service::payments::{self, NewPayment};

/// `POST /orders/{id}/payments {amount, method?}` → 201, with what is still due
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<OrderId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let new = NewPayment::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let payment = payments::create(&services, &caller.0, id, new, once).await?;
    Ok(HttpResponse::Created().json(payment))
}

//! `/products/{id}/waitlist`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, once};
use crate::error::Error;
use crate::model::ProductId;
use crate::service::{Services, waitlist};

/// `POST /products/{id}/waitlist` → 201
pub async fn join(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ProductId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    body.nothing()?;
    let once = once(&request, caller.0.user, &body)?;
    let waiting = waitlist::join(&services, &caller.0, id, once).await?;
    Ok(HttpResponse::Created().json(waiting))
}

/// `DELETE /products/{id}/waitlist` → 204
pub async fn leave(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProductId>,
) -> Result<HttpResponse, Error> {
    waitlist::leave(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

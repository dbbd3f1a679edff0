//! `/emit`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::answers::Delivered;
use super::extract::{Body, Caller, once};
use crate::error::Error;
use crate::service::{Services, emit};

/// `POST /emit {namespace?, rooms, event, data, except?, volatile?}` → 200 {delivered}
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let event = emit::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let delivered = emit::emit(&services, &caller.0, event, once).await?;
    Ok(HttpResponse::Ok().json(Delivered { delivered }))
}

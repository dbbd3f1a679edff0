//! `/products/{id}/reviews`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, Paging, once};
use crate::error::Error;
use crate::model::ProductId;
use crate::service::Services;
use crate::service::reviews::{self, NewReview};

/// `POST /products/{id}/reviews {rating, comment?}` → 201
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ProductId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let new = NewReview::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let review = reviews::create(&services, &caller.0, id, new, once).await?;
    Ok(HttpResponse::Created().json(review))
}

/// `GET /products/{id}/reviews?limit=&before=` → 200, newest first
pub async fn list(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    id: Id<ProductId>,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let paging = Paging::of(&request)?;
    let page = reviews::list(&services, &caller.0, id, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |review| review.id))
}

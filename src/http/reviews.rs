//! `/products/{id}/reviews`.

use actix_web::web;

use super::answers::{Created, ListPage};
use super::endpoint::{Endpoint, get, post};
use super::extract::{Body, Caller, Id, request_body};
use super::paging::Paging;
use crate::error::Error;
use crate::model::{ProductId, Review, ReviewId};
use crate::service::Services;
use crate::service::reviews::{self, NewReview};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/products/{id}/reviews", "Review a product", create),
        get("/products/{id}/reviews", "The reviews of a product, newest first", list),
    ]
}

request_body!(NewReview = NewReview::read);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
    Body(new): Body<NewReview>,
    once: Once,
) -> Result<Created<Review>, Error> {
    reviews::create(&services, &caller, id, new, once).await.map(Created)
}

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
    paging: Paging<ReviewId>,
) -> Result<ListPage<Review>, Error> {
    let page = reviews::list(&services, &caller, id, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |review| review.id))
}

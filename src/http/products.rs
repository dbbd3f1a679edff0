//! `/products`.

use actix_web::web;

use super::answers::{Created, Json, ListPage, NoContent};
use super::endpoint::{Endpoint, delete, get, patch, post};
use super::extract::{Body, Caller, Id, request_body};
use super::paging::Paging;
use crate::error::Error;
use crate::model::{Product, ProductId};
use crate::service::Services;
use crate::service::products::{self, NewProduct, ProductPatch};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/products", "Add a product (anyone, or admins with CATALOG=admin)", create)
            .refuses(&[403]),
        get("/products", "The products, newest first", list),
        get("/products/{id}", "One product", read),
        patch("/products/{id}", "Change a product, its stock too (its owner, admins)", update)
            .refuses(&[403]),
        delete("/products/{id}", "Remove a product (its owner, admins)", remove).refuses(&[403]),
    ]
}

request_body!(NewProduct = NewProduct::read);
request_body!(ProductPatch = ProductPatch::read);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Body(new): Body<NewProduct>,
    once: Once,
) -> Result<Created<Product>, Error> {
    products::create(&services, &caller, new, once).await.map(Created)
}

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<ProductId>,
) -> Result<ListPage<Product>, Error> {
    let page = products::list(&services, &caller, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |product| product.id))
}

async fn read(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
) -> Result<Json<Product>, Error> {
    products::get(&services, &caller, id).await.map(Json)
}

async fn update(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
    Body(change): Body<ProductPatch>,
) -> Result<Json<Product>, Error> {
    products::update(&services, &caller, id, change).await.map(Json)
}

async fn remove(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<ProductId>,
) -> Result<NoContent, Error> {
    products::delete(&services, &caller, id).await.map(|()| NoContent)
}

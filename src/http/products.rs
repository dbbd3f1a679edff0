//! `/products`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, Paging, once};
use crate::error::Error;
use crate::model::ProductId;
use crate::service::Services;
use crate::service::products::{self, NewProduct, ProductPatch};

/// `POST /products {name, price, description?, stock?, lowStockThreshold?}` → 201
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let new = NewProduct::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let product = products::create(&services, &caller.0, new, once).await?;
    Ok(HttpResponse::Created().json(product))
}

/// `GET /products?limit=&before=` → 200, newest first
pub async fn list(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let paging = Paging::of(&request)?;
    let page = products::list(&services, &caller.0, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |product| product.id))
}

/// `GET /products/{id}` → 200
pub async fn get(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProductId>,
) -> Result<HttpResponse, Error> {
    let product = products::get(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::Ok().json(product))
}

/// `PATCH /products/{id} {name?, description?, price?, stock?, lowStockThreshold?}` → 200
pub async fn update(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProductId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let change = ProductPatch::read(body.fields()?)?;
    let product = products::update(&services, &caller.0, id, change).await?;
    Ok(HttpResponse::Ok().json(product))
}

/// `DELETE /products/{id}` → 204
pub async fn delete(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<ProductId>,
) -> Result<HttpResponse, Error> {
    products::delete(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

//! `/orders`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Body, Caller, Id, Paging, once};
use crate::error::Error;
use crate::model::{OrderId, OrderStatus};
use crate::service::Services;
use crate::service::orders::{self, NewOrder};

/// `POST /orders {total, customerId?, items?: [{productId, quantity}]}` → 201, with its items
pub async fn create(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Error> {
    let new = NewOrder::read(body.fields()?)?;
    let once = once(&request, caller.0.user, &body)?;
    let order = orders::create(&services, &caller.0, new, once).await?;
    Ok(HttpResponse::Created().json(order))
}

/// `GET /orders?limit=&before=` → 200, newest first, each with its customer and its items
pub async fn list(
    services: web::Data<Services>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let paging = Paging::of(&request)?;
    let page = orders::list(&services, &caller.0, paging.limit, paging.before).await?;
    Ok(paging.answer(&request, page, |order| order.order.order.id))
}

/// `GET /orders/{id}` → 200, with its customer and its items
pub async fn get(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<OrderId>,
) -> Result<HttpResponse, Error> {
    let order = orders::get(&services, &caller.0, id.get()?).await?;
    Ok(HttpResponse::Ok().json(order))
}

/// `PATCH /orders/{id}/status {status}` → 200
pub async fn set_status(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<OrderId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    let status = orders::read_status(body.fields()?)?;
    let order = orders::set_status(&services, &caller.0, id, status).await?;
    Ok(HttpResponse::Ok().json(order))
}

/// `PATCH /orders/{id}/ship` → 200
pub async fn ship(
    services: web::Data<Services>,
    caller: Caller,
    id: Id<OrderId>,
    body: Body,
) -> Result<HttpResponse, Error> {
    let id = id.get()?;
    body.nothing()?;
    let order = orders::set_status(&services, &caller.0, id, OrderStatus::Shipped).await?;
    Ok(HttpResponse::Ok().json(order))
}

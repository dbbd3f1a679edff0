//! `/orders`.

use actix_web::web;

use super::answers::{Created, Json, ListPage};
use super::endpoint::{Endpoint, get, patch, post};
use super::extract::{Body, Caller, EmptyBody, Id, request_body};
use super::paging::Paging;
use crate::error::Error;
use crate::model::{Order, OrderDetail, OrderId, OrderStatus, WithItems};
use crate::service::Services;
use crate::service::orders::{self, NewOrder};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/orders", "Place an order", create).refuses(&[403, 409]),
        get(
            "/orders",
            "The caller's orders, all for an admin, newest first, with customer and items",
            list,
        ),
        get("/orders/{id}", "One order, with its customer and items", read),
        patch("/orders/{id}/status", "Give an order its next status (admins)", set_status)
            .refuses(&[403, 409]),
        patch("/orders/{id}/ship", "Ship an order (admins)", ship).refuses(&[403, 409]),
    ]
}

request_body!(NewOrder = NewOrder::read);
request_body!(NewStatus(OrderStatus) = orders::read_status);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Body(new): Body<NewOrder>,
    once: Once,
) -> Result<Created<WithItems<Order>>, Error> {
    orders::create(&services, &caller, new, once).await.map(Created)
}

async fn list(
    services: web::Data<Services>,
    caller: Caller,
    paging: Paging<OrderId>,
) -> Result<ListPage<WithItems<OrderDetail>>, Error> {
    let page = orders::list(&services, &caller, paging.limit, paging.before).await?;
    Ok(paging.answer(page, |order| order.order.order.id))
}

async fn read(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<OrderId>,
) -> Result<Json<WithItems<OrderDetail>>, Error> {
    orders::get(&services, &caller, id).await.map(Json)
}

async fn set_status(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<OrderId>,
    Body(NewStatus(status)): Body<NewStatus>,
) -> Result<Json<Order>, Error> {
    orders::set_status(&services, &caller, id, status).await.map(Json)
}

async fn ship(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<OrderId>,
    _: EmptyBody,
) -> Result<Json<Order>, Error> {
    orders::set_status(&services, &caller, id, OrderStatus::Shipped).await.map(Json)
}

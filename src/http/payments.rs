//! `/orders/{id}/payments`.

use actix_web::web;

use super::answers::Created;
use super::endpoint::{Endpoint, post};
use super::extract::{Body, Caller, Id, request_body};
use crate::error::Error;
use crate::model::{OrderId, Payment};
use crate::service::Services;
use crate::service::payments::{self, NewPayment};
use crate::store::Once;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let summary = "Pay an order, in whole or in part (admins; customers with CUSTOMER_PAYMENTS=on)";
    vec![post("/orders/{id}/payments", summary, create).refuses(&[403, 409])]
}

request_body!(NewPayment = NewPayment::read);

async fn create(
    services: web::Data<Services>,
    caller: Caller,
    Id(id): Id<OrderId>,
    Body(new): Body<NewPayment>,
    once: Once,
) -> Result<Created<Payment>, Error> {
    payments::create(&services, &caller, id, new, once).await.map(Created)
}

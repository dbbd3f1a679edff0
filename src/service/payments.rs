//! Payments: an order is paid in one or more of them, and becomes paid when nothing is due.

use super::notify::{self, NoticeReceivers};
use super::permissions::{Action, permit};
use super::{Services, orders};
use crate::auth::Identity;
use crate::error::Error;
use crate::model::fields::{self, Fields};
use crate::model::{Money, Notice, OrderId, OrderStatus, Payment};
use crate::store::{Conn, Once, Tx, orders as order_rows, payments as rows};

/// A payment to make.
pub struct NewPayment {
    pub amount: Money,
    pub method: Option<String>,
}

impl NewPayment {
    /// Reads `{amount, method?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let amount = fields.required("amount", fields::positive_amount);
        let method = fields.optional("method", fields::non_empty);
        fields.finish(|| Some(Self { amount: amount?, method: method? }))
    }
}

/// Pays an order or a part of it, and notifies the admins; for the admins and, if
/// CUSTOMER_PAYMENTS allows it, the customer of the order. If nothing is left to pay, the order
/// becomes paid, and the events of a new status are sent.
///
/// # Errors
/// [`Error::NotFound`] also for another user's order, [`Error::Forbidden`] for a customer whose
/// payments do not count, [`Error::Conflict`] for an order that is not pending, and for more than
/// is due.
pub async fn create(
    services: &Services,
    caller: &Identity,
    id: OrderId,
    new: NewPayment,
    once: Once,
) -> Result<Payment, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 3, 0)?;
    let (caller, by_customers) = (*caller, services.shop.customer_payments);
    let NewPayment { amount, method } = new;
    let once = once.checked(async move |conn: &mut Conn| {
        let missing = || orders::not_found(id);
        let order = order_rows::by_id(conn, id).await?.ok_or_else(missing)?.order;
        permit(&caller, Action::PayOrder(by_customers), orders::relation(&caller, &order))
            .map_err(|denied| denied.into_error(missing))
    });
    let write = async move |tx: &mut Tx| {
        let missing = || orders::not_found(id);
        let order = order_rows::by_id(tx.conn(), id).await?.ok_or_else(missing)?.order;
        permit(&caller, Action::PayOrder(by_customers), orders::relation(&caller, &order))
            .map_err(|denied| denied.into_error(missing))?;
        let Some(due) = rows::pay(tx, id, amount).await? else {
            return Err(Error::Conflict(match rows::due(tx.conn(), id).await? {
                (OrderStatus::Pending, due) => format!("Order with ID {id} has only {due} due"),
                (status, _) => format!("Order with ID {id} is already {status}"),
            }));
        };
        let (payment, created_at) = rows::insert(tx, id, amount, method.as_deref()).await?;
        let mut payment = Payment {
            id: payment,
            order_id: id,
            amount,
            method,
            created_at,
            due,
            order_status: OrderStatus::Pending,
        };
        let mut notices = vec![(NoticeReceivers::Admins, Notice::payment_received(&payment))];
        if due == Money::ZERO {
            // `pay` has locked the pending order, so this finds it.
            let order = order_rows::advance(tx, id, OrderStatus::Pending, OrderStatus::Paid)
                .await?
                .ok_or(Error::Internal)?;
            payment.order_status = order.status;
            notices.extend(orders::emit_status(tx, &order, OrderStatus::Pending));
        }
        notify::send(tx, notices).await?;
        Ok(payment)
    };
    db.write(once, write).await
}

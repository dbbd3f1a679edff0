//! Payments: pay, what is due, insert.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::model::{Money, OrderId, OrderStatus, PaymentId, Timestamp};
use crate::schema::{orders, payments};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// Adds the amount to what was paid of an order, and returns what is still due. `None` if the order
/// is not pending, or if less was due. On PostgreSQL this also locks the order until the commit.
pub async fn pay(tx: &mut Tx, id: OrderId, amount: Money) -> QueryResult<Option<Money>> {
    let open =
        orders::table.filter(orders::id.eq(id)).filter(orders::status.eq(OrderStatus::Pending));
    query!(tx.conn(), |c| {
        diesel::update(open.filter(orders::paid_minor.le(orders::total_minor - amount)))
            .set(orders::paid_minor.eq(orders::paid_minor + amount))
            .returning(orders::total_minor - orders::paid_minor)
            .get_result(c)
    })
    .optional()
}

/// The status of an order, and what is still due.
pub async fn due(conn: &mut Conn, id: OrderId) -> QueryResult<(OrderStatus, Money)> {
    query!(conn, |c| orders::table
        .find(id)
        .select((orders::status, orders::total_minor - orders::paid_minor))
        .first(c))
}

/// Adds a payment.
pub async fn insert(
    tx: &mut Tx,
    order: OrderId,
    amount: Money,
    method: Option<&str>,
) -> QueryResult<(PaymentId, Timestamp)> {
    let now = Timestamp::now();
    let row = (
        payments::order_id.eq(order),
        payments::amount_minor.eq(amount),
        payments::method.eq(method),
        payments::created_at.eq(now),
    );
    let id = query!(tx.conn(), |c| diesel::insert_into(payments::table)
        .values(row)
        .returning(payments::id)
        .get_result(c))?;
    Ok((id, now))
}

//! Orders: placing them, reading them, and moving them on.

use diesel::QueryResult;
use diesel::result::Error as DieselError;

use super::{Page, Services, notifications};
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::fields::{self, Fields};
use crate::model::{Money, Notice, Order, OrderDetail, OrderId, OrderStatus, UserId};
use crate::store::{Batched, Once, Tx, is_missing_reference, orders as rows};

/// An order to be placed.
pub struct NewOrder {
    pub total: Money,
    /// None: the caller's own, and an admin's for no one.
    pub customer_id: Option<UserId>,
}

impl NewOrder {
    /// From `{total, customerId?}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let total = fields.required("total", fields::amount);
        let customer = fields.optional("customerId", fields::id);
        fields.end(|| Some(Self { total: total?, customer_id: customer? }))
    }
}

/// The status that an order is to take, from `{status}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_status(mut fields: Fields<'_>) -> Result<OrderStatus, Error> {
    let status = fields.required("status", fields::word(OrderStatus::ALL));
    fields.end(|| status)
}

/// Places an order and tells the admins. A customer may only for itself, an admin for anyone or no one.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Faults`] for a customer who does not exist.
pub async fn create(services: &Services, caller: &Identity, new: NewOrder, once: Once) -> Result<Order, Error> {
    let customer = match new.customer_id {
        customer if caller.is_admin() => customer,
        None => Some(caller.user),
        Some(customer) if customer == caller.user => Some(customer),
        Some(_) => return Err(Error::Forbidden),
    };
    services.db.write_batched(once, 0, Place(rows::NewOrder { customer_id: customer, total: new.total })).await
}

struct Place(rows::NewOrder);

impl Batched for Place {
    type Answer = Order;
    type Done = Order;

    async fn together(tx: &mut Tx, batch: &[&Self]) -> QueryResult<Vec<Result<Order, Error>>> {
        let new: Vec<_> = batch.iter().map(|place| &place.0).collect();
        Ok(rows::insert_all(tx, &new).await?.into_iter().map(Ok).collect())
    }

    fn refused(fault: DieselError) -> Error {
        if is_missing_reference(&fault) { Error::Faults(vec!["customerId must refer to an existing user".into()]) } else { fault.into() }
    }

    fn announce(order: Order, tx: &mut Tx) -> Order {
        tx.emit(event::new_order(&order));
        order
    }
}

/// Own orders, all for an admin: at most `limit` of those before `before`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(services: &Services, caller: &Identity, limit: u16, before: Option<OrderId>) -> Result<Page<OrderDetail>, Error> {
    let asked = rows::Page { customer_id: owner(caller), before, limit: Page::<OrderDetail>::ask(limit) };
    let items = services.db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::of(items, limit))
}

/// One order. Another's is not found.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(services: &Services, caller: &Identity, id: OrderId) -> Result<OrderDetail, Error> {
    let found = services.db.read(async move |conn| rows::by_id(conn, id).await).await?;
    let visible = |order: &OrderDetail| owner(caller).is_none_or(|owner| order.order.customer_id == Some(owner));
    found.filter(visible).ok_or_else(|| not_found(id))
}

/// Moves an order on, tells its customer and the admins, and notifies the customer. Admins only.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`] for a step that is not allowed.
pub async fn set_status(services: &Services, caller: &Identity, id: OrderId, next: OrderStatus) -> Result<Order, Error> {
    caller.require_admin()?;
    let write = async move |tx: &mut Tx| {
        let previous = rows::by_id(tx.conn(), id).await?.ok_or_else(|| not_found(id))?.order.status;
        let refused = || Error::Conflict(format!("Order with ID {id} cannot go from {previous} to {next}"));
        if !previous.can_become(next) {
            return Err(refused());
        }
        // None: another writer was faster, and the order is no longer what it was a moment ago.
        let order = rows::advance(tx, id, previous, next).await?.ok_or_else(refused)?;
        for update in event::order_update(&order, previous) {
            tx.emit(update);
        }
        if next == OrderStatus::Shipped {
            tx.emit(event::order_shipped(&order));
        }
        if let Some(customer) = order.customer_id {
            notifications::notify(tx, customer, &Notice::order_status(&order, previous)).await?;
        }
        Ok(order)
    };
    services.db.write(Once::No, write).await
}

/// Whose orders the caller may see; None: everyone's.
fn owner(caller: &Identity) -> Option<UserId> {
    if caller.is_admin() { None } else { Some(caller.user) }
}

fn not_found(id: OrderId) -> Error {
    Error::NotFound(format!("Order with ID {id} not found"))
}

//! Orders: placing them, reading them, and moving them on.

use diesel::result::{DatabaseErrorKind, Error as QueryError};

use super::Services;
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::{Money, Order, OrderDetail, OrderId, OrderStatus, UserId};
use crate::store::{Once, Tx, orders};

/// An order to be placed.
pub struct NewOrder {
    pub total: Money,
    /// None: the caller's own, and an admin's for no one.
    pub customer_id: Option<UserId>,
}

/// One page of a list, newest first.
pub struct Page<T> {
    pub items: Vec<T>,
    /// There are older ones.
    pub more: bool,
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
    let total = new.total;
    let write = async move |tx: &mut Tx<'_>| {
        let order = orders::insert(tx, customer, total).await.map_err(|error| match error {
            QueryError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
                Error::Faults(vec!["customerId must refer to an existing user".into()])
            }
            other => other.into(),
        })?;
        tx.emit(event::new_order(&order)).await?;
        Ok(order)
    };
    services.db.write(once, write).await
}

/// Own orders, all for an admin: at most `limit` of those before `before`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(services: &Services, caller: &Identity, limit: u16, before: Option<OrderId>) -> Result<Page<OrderDetail>, Error> {
    let owner = owner(caller);
    let limit = usize::from(limit);
    // One more than asked for tells whether there is another page.
    let read = services.db.read(async move |conn| orders::list(conn, owner, before, limit + 1).await);
    let mut items = read.await?;
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items, more })
}

/// One order. Another's is not found.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(services: &Services, caller: &Identity, id: OrderId) -> Result<OrderDetail, Error> {
    let found = services.db.read(async move |conn| orders::by_id(conn, id).await).await?;
    let visible = |order: &OrderDetail| owner(caller).is_none_or(|owner| order.order.customer_id == Some(owner));
    found.filter(visible).ok_or_else(|| not_found(id))
}

/// Moves an order on, and tells its customer and the admins. Admins only.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`] for a step that is not allowed.
pub async fn set_status(services: &Services, caller: &Identity, id: OrderId, next: OrderStatus) -> Result<Order, Error> {
    caller.require_admin()?;
    let write = async move |tx: &mut Tx<'_>| {
        let previous = orders::by_id(tx.conn(), id).await?.ok_or_else(|| not_found(id))?.order.status;
        let refused = || Error::Conflict(format!("Order with ID {id} cannot go from {previous} to {next}"));
        if !previous.can_become(next) {
            return Err(refused());
        }
        // None: another writer was faster, and the order is no longer what it was a moment ago.
        let order = orders::advance(tx, id, previous, next).await?.ok_or_else(refused)?;
        for update in event::order_update(&order, previous) {
            tx.emit(update).await?;
        }
        if next == OrderStatus::Shipped {
            tx.emit(event::order_shipped(&order)).await?;
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

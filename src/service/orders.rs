//! Orders: placing them, reading them, and moving them on.

use diesel::QueryResult;
use diesel::result::Error as DieselError;

use super::notify::{self, NoticeReceivers, Notices};
use super::permissions::{Action, Relation, permit};
use super::quotas::{self, Added, Quotas};
pub use super::stock::OrderLine;
use super::{Page, Services, stock};
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::fields::{self, Fields};
use crate::model::{
    Money, Notice, Order, OrderDetail, OrderId, OrderStatus, Role, Timestamp, UserId, WithItems,
};
use crate::store::broadcasts::{self, Audience};
use crate::store::{BatchedWrite, Once, Tx, is_missing_reference, orders as rows, usage, waitlist};

/// The most products in one order.
const MAX_ITEMS: usize = 100;

/// An order to place.
pub struct NewOrder {
    pub content: OrderContent,
    /// If `None`, the order is the caller's; an admin's order then belongs to nobody.
    pub customer_id: Option<UserId>,
}

/// The content of an order.
pub enum OrderContent {
    /// An amount alone, for goods that are not in the product table.
    Total(Money),
    /// Products, and the total; if the total is `None`, it is the sum of the prices.
    Items(Vec<OrderLine>, Option<Money>),
}

impl NewOrder {
    /// Reads `{total, customerId?, items?}`; with items the total may be left out.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let total = if fields.has("items") {
            fields.optional("total", fields::amount)
        } else {
            fields.required("total", fields::amount).map(Some)
        };
        let customer = fields.optional("customerId", fields::id);
        let items = fields.list("items", MAX_ITEMS, OrderLine::read);
        fields.finish(|| {
            let content = match items? {
                Some(lines) => OrderContent::Items(lines, total?),
                None => OrderContent::Total(total??),
            };
            Some(Self { content, customer_id: customer? })
        })
    }
}

/// Reads the new status of an order, from `{status}`.
pub fn read_status(mut fields: Fields<'_>) -> Result<OrderStatus, Error> {
    let status = fields.required("status", fields::one_of(OrderStatus::ALL));
    fields.finish(|| status)
}

/// Places an order, takes its items from the stock, and sends the events to the admins and to the
/// customer, and notifies the admins if a product runs low. Customers order for themselves, an
/// admin for any customer or nobody.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Faults`] for a customer or a product that does not exist and for
/// a customer's total that is not the sum of the items, [`Error::Conflict`] if the stock of a
/// product is too small.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewOrder,
    once: Once,
) -> Result<WithItems<Order>, Error> {
    let db = services.db_of(caller);
    let is_admin = caller.is_admin();
    let customer_id = new.customer_id.or((!is_admin).then_some(caller.user));
    permit(caller, Action::PlaceOrder, Relation::own(customer_id == Some(caller.user)))?;
    let items = match &new.content {
        OrderContent::Items(lines, _) => lines.len(),
        OrderContent::Total(_) => 0,
    };
    services.publish_limits.admit(caller, 1 + items, 0)?;
    let (lines, given) = match new.content {
        OrderContent::Total(total) => {
            let (new, quotas) = (rows::NewOrder { customer_id, total }, services.quotas);
            let placement = OrderPlacement { new, caller: *caller, quotas };
            return db.write_batched(once, 0, placement).await;
        }
        OrderContent::Items(lines, total) => (lines, total),
    };
    let admins = services
        .db
        .read(async |conn| Ok(broadcasts::count(conn, Audience::Role(Role::Admin)).await?.0))
        .await?;
    // Each item can notify every admin of a low stock.
    let most_notices =
        admins.min(notify::MAX_RECEIVERS.into()) * i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let (caller, quotas) = (*caller, services.quotas);
    let write = async move |tx: &mut Tx| {
        quotas.check(tx, &caller, Added::Order).await?;
        let (items, notices) = stock::take(tx, &lines).await?;
        let sum = items
            .iter()
            .try_fold(Money::ZERO, |sum, item| sum.plus(item.price.times(item.quantity)?));
        let sum = sum.ok_or_else(|| {
            Error::Faults(vec![
                "total must be a number conforming to the specified constraints".into(),
            ])
        })?;
        let total = given.unwrap_or(sum);
        if total != sum && !is_admin {
            return Err(Error::Faults(vec![format!("total must be equal to {sum}")]));
        }
        let order = rows::insert(tx, &rows::NewOrder { customer_id, total })
            .await
            .map_err(OrderPlacement::translate_error)?;
        rows::insert_items(tx, order.id, &items).await?;
        let placed = WithItems { order, items };
        emit_placed(tx, &placed);
        notify::send(tx, notices).await?;
        Ok(placed)
    };
    db.write_large(once, notify::notices_len(most_notices), write).await
}

struct OrderPlacement {
    new: rows::NewOrder,
    caller: Identity,
    quotas: Quotas,
}

impl BatchedWrite for OrderPlacement {
    type Answer = WithItems<Order>;
    type Done = Order;

    async fn write_batch(tx: &mut Tx, batch: &[&Self]) -> QueryResult<Vec<Result<Order, Error>>> {
        let users = quotas::counted(batch.iter().map(|place| &place.caller));
        let mut usage = usage::of(tx.conn(), &users).await?;
        let allowed: Vec<Result<(), Error>> = batch
            .iter()
            .map(|place| place.quotas.count(&mut usage, &place.caller, Added::Order))
            .collect();
        let places = batch.iter().zip(&allowed).filter(|(_, allowed)| allowed.is_ok());
        let new: Vec<_> = places.map(|(place, _)| &place.new).collect();
        // One order for each new one.
        let mut orders = rows::insert_all(tx, &new).await?.into_iter();
        let order = |allowed: Result<(), Error>| {
            allowed.and_then(|()| orders.next().ok_or(Error::Internal))
        };
        Ok(allowed.into_iter().map(order).collect())
    }

    fn translate_error(fault: DieselError) -> Error {
        if is_missing_reference(&fault) {
            Error::Faults(vec!["customerId must refer to an existing user".into()])
        } else {
            fault.into()
        }
    }

    fn emit_and_answer(order: Order, tx: &mut Tx) -> WithItems<Order> {
        let placed = WithItems { order, items: Vec::new() };
        emit_placed(tx, &placed);
        placed
    }
}

fn emit_placed(tx: &mut Tx, placed: &WithItems<Order>) {
    for event in event::order_placed(placed) {
        tx.emit(event);
    }
}

type Detail = WithItems<OrderDetail>;

/// Lists the caller's orders, or all orders for an admin, each with its items: at most `limit`,
/// with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<OrderId>,
) -> Result<Page<Detail>, Error> {
    let db = services.db_of(caller);
    let reads_all = permit(caller, Action::ReadOrder, Relation::NONE).is_ok();
    let asked = rows::OrderPage {
        customer_id: (!reads_all).then_some(caller.user),
        before,
        limit: Page::<Detail>::query_limit(limit),
    };
    let found = db.read(async move |conn| {
        let orders = rows::list(conn, &asked).await?;
        let ids: Vec<OrderId> = orders.iter().map(|order| order.order.id).collect();
        let mut items = rows::items(conn, &ids).await?;
        let whole = |order: OrderDetail| WithItems {
            items: items.remove(&order.order.id).unwrap_or_default(),
            order,
        };
        Ok(orders.into_iter().map(whole).collect())
    });
    Ok(Page::from_rows(found.await?, limit))
}

/// Returns one order, with its items. Another customer's order gives NotFound.
pub async fn get(services: &Services, caller: &Identity, id: OrderId) -> Result<Detail, Error> {
    let db = services.db_of(caller);
    let found = db.read(async move |conn| {
        let Some(order) = rows::by_id(conn, id).await? else { return Ok(None) };
        let items = rows::items(conn, &[id]).await?.remove(&id).unwrap_or_default();
        Ok(Some(WithItems { order, items }))
    });
    let found = found.await?.ok_or_else(|| not_found(id))?;
    permit(caller, Action::ReadOrder, relation(caller, &found.order.order))
        .map_err(|denied| denied.into_error(|| not_found(id)))?;
    Ok(found)
}

/// Moves an order to `next`, sends the events to its customer and the admins, and notifies the
/// customer. Cancelling returns the items to the stock. For admins only.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`] for a step that is not allowed.
pub async fn set_status(
    services: &Services,
    caller: &Identity,
    id: OrderId,
    next: OrderStatus,
) -> Result<Order, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::SetOrderStatus, Relation::NONE)?;
    let waiting = match next {
        OrderStatus::Cancelled => {
            services.db.read(async move |conn| waitlist::count_behind(conn, id).await).await?
        }
        _ => 0,
    };
    let write = async move |tx: &mut Tx| {
        let previous = rows::by_id(tx.conn(), id).await?.ok_or_else(|| not_found(id))?.order.status;
        let refused =
            || Error::Conflict(format!("Order with ID {id} cannot go from {previous} to {next}"));
        if !previous.can_become(next) {
            return Err(refused());
        }
        if next == OrderStatus::Cancelled {
            stock::lock_behind(tx, id).await?;
        }
        // Another writer may have changed the status since the read above.
        let order = rows::advance(tx, id, previous, next).await?.ok_or_else(refused)?;
        tell_step(tx, &order, previous).await?;
        Ok(order)
    };
    db.write_large(Once::Unkeyed, notify::notices_len(waiting), write).await
}

/// Cancels a pending order that was placed up to `until`, if still nothing of it was paid, as
/// [`set_status`] does. Returns false if that is no longer so.
pub(super) async fn cancel_unpaid(
    services: &Services,
    id: OrderId,
    until: Timestamp,
) -> Result<bool, Error> {
    let waiting =
        services.db.read(async move |conn| waitlist::count_behind(conn, id).await).await?;
    let write = async move |tx: &mut Tx| {
        stock::lock_behind(tx, id).await?;
        let Some(order) = rows::cancel_unpaid(tx, id, until).await? else { return Ok(false) };
        tell_step(tx, &order, OrderStatus::Pending).await?;
        Ok(true)
    };
    services.db.write_large(Once::Unkeyed, notify::notices_len(waiting), write).await
}

/// Tells of an order's new status, and returns the items of a cancelled one to the stock.
async fn tell_step(tx: &mut Tx, order: &Order, previous: OrderStatus) -> Result<(), Error> {
    let mut notices = emit_status(tx, order, previous);
    if order.status == OrderStatus::Cancelled {
        stock::give_back(tx, order.id, &mut notices).await?;
    }
    notify::send(tx, notices).await
}

/// Emits the events of an order's new status, and returns the notice for its customer.
pub(super) fn emit_status(tx: &mut Tx, order: &Order, previous: OrderStatus) -> Notices {
    for update in event::order_update(order, previous) {
        tx.emit(update);
    }
    if order.status == OrderStatus::Shipped {
        tx.emit(event::order_shipped(order));
    }
    order
        .customer_id
        .map(|customer| (NoticeReceivers::User(customer), Notice::order_status(order, previous)))
        .into_iter()
        .collect()
}

pub(super) fn relation(caller: &Identity, order: &Order) -> Relation {
    Relation::own(order.customer_id == Some(caller.user))
}

pub(super) fn not_found(id: OrderId) -> Error {
    Error::NotFound(format!("Order with ID {id} not found"))
}

//! The stock of products: what orders take from it and give back, and the notices of a change. The
//! admins are notified of a low stock, the waitlist of a product that is back in stock.
//!
//! [`super::orders`] and [`super::products`] call this inside their transactions.

use std::collections::{BTreeMap, BTreeSet};

use super::notify::{NoticeReceivers, Notices};
use crate::error::Error;
use crate::model::fields::{self, Fields};
use crate::model::{Notice, OrderId, OrderItem, Product, ProductId};
use crate::store::{Tx, orders, products as rows, usage, waitlist};

/// The most pieces in a stock or an order line.
pub(super) const MAX_PIECES: i64 = i32::MAX as i64;

/// A product to order, and the number of pieces.
pub struct OrderLine {
    pub product_id: ProductId,
    pub quantity: i64,
}

impl OrderLine {
    /// Reads `{productId, quantity}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let product = fields.required("productId", fields::id);
        let quantity = fields.required("quantity", fields::integer(1, MAX_PIECES));
        fields.finish(|| Some(Self { product_id: product?, quantity: quantity? }))
    }
}

/// Takes the ordered pieces from the stock. Returns one item for each product, in the order of the
/// lines, and the notices to send.
///
/// # Errors
/// [`Error::Faults`] for products that do not exist, [`Error::Conflict`] if a product has too few
/// in stock.
pub(super) async fn take(
    tx: &mut Tx,
    lines: &[OrderLine],
) -> Result<(Vec<OrderItem>, Notices), Error> {
    let mut wanted: BTreeMap<ProductId, (usize, i64)> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        // Cannot overflow: at most a hundred times MAX_PIECES.
        wanted.entry(line.product_id).or_insert((at, 0)).1 += line.quantity;
    }
    let ids: Vec<ProductId> = wanted.keys().copied().collect();
    let existing = rows::existing(tx.conn(), &ids).await?;
    let unknown = lines.iter().enumerate().filter(|(_, line)| !existing.contains(&line.product_id));
    let faults: Vec<String> = unknown.map(|(at, _)| missing(at)).collect();
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    let (mut items, mut notices) = (Vec::with_capacity(wanted.len()), Notices::new());
    // Locks products in id order, so that two orders cannot deadlock.
    for (id, (at, quantity)) in wanted {
        let Some(product) = rows::take(tx, id, quantity).await? else {
            let product = rows::by_id(tx.conn(), id)
                .await?
                .ok_or_else(|| Error::Faults(vec![missing(at)]))?;
            return Err(Error::Conflict(format!(
                "Product with ID {id} has only {} in stock",
                product.stock
            )));
        };
        let before = Product { stock: product.stock + quantity, ..product.clone() };
        add_stock_notices(tx, &before, &product, &mut notices).await?;
        items.push((
            at,
            OrderItem { product_id: Some(id), name: product.name, quantity, price: product.price },
        ));
    }
    items.sort_unstable_by_key(|(at, _)| *at);
    Ok((items.into_iter().map(|(_, item)| item).collect(), notices))
}

fn missing(at: usize) -> String {
    format!("items.{at}.productId must refer to an existing product")
}

/// Locks what [`give_back`] changes, before the order that is to be cancelled is: in the order in
/// which [`take`] locks, so that neither two cancellations nor a new order deadlock.
pub(super) async fn lock_behind(tx: &mut Tx, id: OrderId) -> Result<(), Error> {
    let items = orders::items(tx.conn(), &[id]).await?.remove(&id).unwrap_or_default();
    let products: BTreeSet<ProductId> =
        items.into_iter().filter_map(|item| item.product_id).collect();
    for product in products {
        rows::lock(tx, product).await?;
    }
    Ok(usage::lock_behind(tx, id).await?)
}

/// Returns the pieces of an order to the stock of the products that still exist.
pub(super) async fn give_back(
    tx: &mut Tx,
    id: OrderId,
    notices: &mut Notices,
) -> Result<(), Error> {
    let items = orders::items(tx.conn(), &[id]).await?.remove(&id).unwrap_or_default();
    // Locks products in id order, as `take` does.
    let given: BTreeMap<ProductId, i64> =
        items.into_iter().filter_map(|item| Some((item.product_id?, item.quantity))).collect();
    for (id, quantity) in given {
        let Some(product) = rows::give_back(tx, id, quantity).await? else { continue };
        let before = Product { stock: product.stock - quantity, ..product.clone() };
        add_stock_notices(tx, &before, &product, notices).await?;
    }
    Ok(())
}

/// Adds the notices for a change of a product's stock. If the product is back in stock, notifies
/// its waitlist and empties it. The caller has changed the product in this transaction, and so
/// holds its lock.
pub(super) async fn add_stock_notices(
    tx: &mut Tx,
    before: &Product,
    product: &Product,
    notices: &mut Notices,
) -> Result<(), Error> {
    if product.is_low() && !before.is_low() {
        notices.push((NoticeReceivers::Admins, Notice::low_stock(product)));
    }
    if before.stock == 0 && product.stock > 0 {
        let waiting = waitlist::empty(tx, product.id).await?;
        notices.push((NoticeReceivers::Users(waiting), Notice::back_in_stock(product)));
    }
    Ok(())
}

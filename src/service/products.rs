//! Products: adding, reading, changing and removing them. Anyone may add one, and then changes it;
//! so do the admins.

use super::notifications::{self, Notices};
use super::permissions::{Action, Standing, permit};
use super::{Page, Services, stock};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, ProductAction};
use crate::model::fields::{self, Fields};
use crate::model::{Money, Product, ProductId};
use crate::store::{Once, Tx, products as rows, waitlist};

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 10_000;
/// Most pieces that can be named at once, of a stock or of an order.
pub(super) const MAX_PIECES: i64 = i32::MAX as i64;
/// Where the stock of a product begins to be low, when it was not said.
const LOW_STOCK_THRESHOLD: i64 = 5;

/// A product to be added.
pub struct NewProduct {
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    pub stock: i64,
    pub low_stock_threshold: i64,
}

impl NewProduct {
    /// From `{name, price, description?, stock?, lowStockThreshold?}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let name = fields.required("name", fields::line);
        let description = fields.optional("description", fields::at_most(MAX_DESCRIPTION));
        let price = fields.required("price", fields::amount);
        let stock = fields.optional("stock", fields::integer(0, MAX_PIECES));
        let threshold = fields.optional("lowStockThreshold", fields::integer(0, MAX_PIECES));
        fields.end(|| {
            Some(Self {
                name: name?,
                description: description?,
                price: price?,
                stock: stock?.unwrap_or(0),
                low_stock_threshold: threshold?.unwrap_or(LOW_STOCK_THRESHOLD),
            })
        })
    }
}

/// What is to change of a product; None leaves it.
pub struct Change {
    pub name: Option<String>,
    /// An empty one becomes none.
    pub description: Option<String>,
    pub price: Option<Money>,
    pub stock: Option<i64>,
    pub low_stock_threshold: Option<i64>,
}

impl Change {
    /// From `{name?, description?, price?, stock?, lowStockThreshold?}`, at least one of them.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let name = fields.optional("name", fields::filled);
        let description = fields.optional("description", fields::at_most(MAX_DESCRIPTION));
        let price = fields.optional("price", fields::amount);
        let stock = fields.optional("stock", fields::integer(0, MAX_PIECES));
        let threshold = fields.optional("lowStockThreshold", fields::integer(0, MAX_PIECES));
        let change = fields.end(|| {
            Some(Self {
                name: name?,
                description: description?,
                price: price?,
                stock: stock?,
                low_stock_threshold: threshold?,
            })
        })?;
        if let Self {
            name: None,
            description: None,
            price: None,
            stock: None,
            low_stock_threshold: None,
        } = change
        {
            return Err(Error::Faults(vec![
                "one of name, description, price, stock, lowStockThreshold should not be empty"
                    .into(),
            ]));
        }
        Ok(change)
    }
}

/// Adds a product of the caller's, and tells everyone.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewProduct,
    once: Once,
) -> Result<Product, Error> {
    permit(caller, Action::AddProduct, Standing::STRANGER)?;
    let caller = caller.user;
    let bytes = new.description.as_deref().map_or(0, fields::json_len);
    let write = async move |tx: &mut Tx| {
        let NewProduct { name, description, price, stock, low_stock_threshold } = new;
        let content = rows::ProductContent {
            name,
            description: description.and_then(filled),
            price,
            stock,
            low_stock_threshold,
        };
        let product = rows::insert(tx, caller, content).await?;
        tx.emit(event::product_updated(ProductAction::Created(&product)));
        Ok(product)
    };
    services.db.write_large(once, bytes, write).await
}

/// The products: at most `limit` of those before `before`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<ProductId>,
) -> Result<Page<Product>, Error> {
    permit(caller, Action::ReadProduct, Standing::STRANGER)?;
    let asked = rows::ProductPage { before, limit: Page::<Product>::ask(limit) };
    let items = services.db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::of(items, limit))
}

/// One product.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(services: &Services, caller: &Identity, id: ProductId) -> Result<Product, Error> {
    permit(caller, Action::ReadProduct, Standing::STRANGER)?;
    services
        .db
        .read(async move |conn| rows::by_id(conn, id).await)
        .await?
        .ok_or_else(|| not_found(id))
}

/// An empty description is none.
fn filled(description: String) -> Option<String> {
    Some(description).filter(|text| !text.is_empty())
}

/// Changes a product, and tells everyone. Its owner and the admins.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`].
pub async fn update(
    services: &Services,
    caller: &Identity,
    id: ProductId,
    change: Change,
) -> Result<Product, Error> {
    let caller = *caller;
    let waiting = match change.stock {
        Some(1..) => services.db.read(async move |conn| waitlist::count(conn, id).await).await?,
        _ => 0,
    };
    // What it has may be said again, and is not known yet.
    let bytes = change.description.as_deref().map_or(MAX_DESCRIPTION, fields::json_len)
        + notifications::share(waiting);
    let write = async move |tx: &mut Tx| {
        let before = enter(tx, &caller, id).await?;
        let content = rows::ProductContent {
            name: change.name.unwrap_or_else(|| before.name.clone()),
            description: change.description.map_or_else(|| before.description.clone(), filled),
            price: change.price.unwrap_or(before.price),
            stock: change.stock.unwrap_or(before.stock),
            low_stock_threshold: change.low_stock_threshold.unwrap_or(before.low_stock_threshold),
        };
        let product = rows::change(tx, id, content).await?;
        tx.emit(event::product_updated(ProductAction::Updated(&product)));
        let mut notices = Notices::new();
        stock::changed(tx, &before, &product, &mut notices).await?;
        notifications::notify(tx, notices).await?;
        Ok(product)
    };
    services.db.write_large(Once::No, bytes, write).await
}

/// Removes a product, with its reviews and its waitlist, and tells everyone. Its owner and the
/// admins.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`].
pub async fn delete(services: &Services, caller: &Identity, id: ProductId) -> Result<(), Error> {
    let caller = *caller;
    let write = async move |tx: &mut Tx| {
        enter(tx, &caller, id).await?;
        rows::delete(tx, id).await?;
        tx.emit(event::product_updated(ProductAction::Deleted(id)));
        Ok(())
    };
    services.db.write(Once::No, write).await
}

/// The product, to change it: it stays as it is until the commit.
async fn enter(tx: &mut Tx, caller: &Identity, id: ProductId) -> Result<Product, Error> {
    let product = rows::touch(tx, id).await?.ok_or_else(|| not_found(id))?;
    permit(caller, Action::ChangeProduct, Standing::owner(product.owner_id == Some(caller.user)))?;
    Ok(product)
}

pub(super) fn not_found(id: ProductId) -> Error {
    Error::NotFound(format!("Product with ID {id} not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_at_least_one_thing_and_empties_no_name() {
        let change = |body: &str| {
            Fields::parse(body.as_bytes()).and_then(Change::read).map_err(|error| error.messages())
        };
        assert!(matches!(
            change(r#"{"stock":0}"#),
            Ok(Change { name: None, description: None, price: None, stock: Some(0), .. })
        ));
        assert!(matches!(change(r#"{"description":""}"#), Ok(Change { description: Some(_), .. })));
        for body in ["{}", r#"{"name":null}"#] {
            let nothing =
                "one of name, description, price, stock, lowStockThreshold should not be empty";
            assert_eq!(change(body).err(), Some(vec![nothing.into()]), "{body}");
        }
        let faults = [
            "property ownerId should not exist",
            "name should not be empty",
            "stock must not be less than 0",
        ];
        assert_eq!(
            change(r#"{"name":"","stock":-1,"ownerId":1}"#).err(),
            Some(faults.map(Into::into).into())
        );
    }
}

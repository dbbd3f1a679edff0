//! Products: adding, reading, changing and removing them. CATALOG limits adding; the owner and the
//! admins change a product.

use super::notify::{self, Notices};
use super::permissions::{Action, Relation, permit};
use super::quotas::Added;
use super::stock::{self, MAX_PIECES};
use super::{Page, Services};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, ProductAction};
use crate::model::fields::{self, Fields};
use crate::model::{Money, Product, ProductId};
use crate::store::{Once, Tx, products as rows, waitlist};

/// The most characters in a description.
const MAX_DESCRIPTION: usize = 10_000;
/// The default of a product's low-stock threshold.
const LOW_STOCK_THRESHOLD: i64 = 5;

/// A product to add.
pub struct NewProduct {
    pub name: String,
    pub description: Option<String>,
    pub price: Money,
    pub stock: i64,
    pub low_stock_threshold: i64,
}

impl NewProduct {
    /// Reads `{name, price, description?, stock?, lowStockThreshold?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let name = fields.required("name", fields::title);
        let description = fields.optional("description", fields::at_most(MAX_DESCRIPTION));
        let price = fields.required("price", fields::amount);
        let stock = fields.optional("stock", fields::integer(0, MAX_PIECES));
        let threshold = fields.optional("lowStockThreshold", fields::integer(0, MAX_PIECES));
        fields.finish(|| {
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

/// The fields of a product to change; `None` leaves a field as it is.
pub struct ProductPatch {
    pub name: Option<String>,
    /// An empty text removes the description.
    pub description: Option<String>,
    pub price: Option<Money>,
    pub stock: Option<i64>,
    pub low_stock_threshold: Option<i64>,
}

impl ProductPatch {
    /// Reads `{name?, description?, price?, stock?, lowStockThreshold?}`, with at least one of
    /// them.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let name = fields.optional("name", fields::non_empty_title);
        let description = fields.optional("description", fields::at_most(MAX_DESCRIPTION));
        let price = fields.optional("price", fields::amount);
        let stock = fields.optional("stock", fields::integer(0, MAX_PIECES));
        let threshold = fields.optional("lowStockThreshold", fields::integer(0, MAX_PIECES));
        let patch = fields.finish(|| {
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
        } = patch
        {
            return Err(Error::Faults(vec![
                "one of name, description, price, stock, lowStockThreshold should not be empty"
                    .into(),
            ]));
        }
        Ok(patch)
    }
}

/// Adds a product that the caller owns, and sends the event to everyone.
///
/// # Errors
/// [`Error::Forbidden`], if CATALOG is for admins.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewProduct,
    once: Once,
) -> Result<Product, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::AddProduct(services.shop.catalog), Relation::NONE)?;
    let bytes = new.description.as_deref().map_or(0, fields::json_len);
    services.publish_limits.admit_for_everyone(caller, 1, fields::json_len(&new.name) + bytes)?;
    let (caller, quotas) = (*caller, services.quotas);
    let write = async move |tx: &mut Tx| {
        let NewProduct { name, description, price, stock, low_stock_threshold } = new;
        let content = rows::ProductContent {
            name,
            description: description.and_then(filled),
            price,
            stock,
            low_stock_threshold,
        };
        quotas.check(tx, &caller, Added::Product).await?;
        let product = rows::insert(tx, caller.user, content).await?;
        tx.emit(event::product_updated(ProductAction::Created(&product)));
        Ok(product)
    };
    db.write_large(once, bytes, write).await
}

/// Lists the products: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<ProductId>,
) -> Result<Page<Product>, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::ReadProduct, Relation::NONE)?;
    let asked = rows::ProductPage { before, limit: Page::<Product>::query_limit(limit) };
    let items = db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::from_rows(items, limit))
}

/// Returns one product.
pub async fn get(services: &Services, caller: &Identity, id: ProductId) -> Result<Product, Error> {
    permit(caller, Action::ReadProduct, Relation::NONE)?;
    services
        .db
        .read(async move |conn| rows::by_id(conn, id).await)
        .await?
        .ok_or_else(|| not_found(id))
}

/// Turns an empty description into none.
fn filled(description: String) -> Option<String> {
    Some(description).filter(|text| !text.is_empty())
}

/// Changes a product, and sends the event to everyone; for its owner and the admins.
pub async fn update(
    services: &Services,
    caller: &Identity,
    id: ProductId,
    patch: ProductPatch,
) -> Result<Product, Error> {
    let db = services.db_of(caller);
    let (caller, limits, quotas) = (*caller, services.publish_limits.clone(), services.quotas);
    let waiting = match patch.stock {
        Some(1..) => services.db.read(async move |conn| waitlist::count(conn, id).await).await?,
        _ => 0,
    };
    // An unchanged description is part of the event, and is not known yet.
    let bytes = patch.description.as_deref().map_or(MAX_DESCRIPTION, fields::json_len)
        + notify::notices_len(waiting);
    let write = async move |tx: &mut Tx| {
        let before = hold(tx, &caller, id).await?;
        let [old, new] = [&before.description, &patch.description].map(Option::as_deref);
        quotas.check_longer(tx, &caller, old, new).await?;
        let content = rows::ProductContent {
            name: patch.name.unwrap_or_else(|| before.name.clone()),
            description: patch.description.map_or_else(|| before.description.clone(), filled),
            price: patch.price.unwrap_or(before.price),
            stock: patch.stock.unwrap_or(before.stock),
            low_stock_threshold: patch.low_stock_threshold.unwrap_or(before.low_stock_threshold),
        };
        // The event has the whole product, and the waiting get a notice.
        let description = content.description.as_deref().map_or(0, fields::json_len);
        let words = description + 2 * fields::json_len(&content.name);
        limits.admit_for_everyone(&caller, 1 + usize::from(waiting > 0), words)?;
        let product = rows::change(tx, id, content).await?;
        tx.emit(event::product_updated(ProductAction::Updated(&product)));
        let mut notices = Notices::new();
        stock::add_stock_notices(tx, &before, &product, &mut notices).await?;
        notify::send(tx, notices).await?;
        Ok(product)
    };
    db.write_large(Once::Unkeyed, bytes, write).await
}

/// Removes a product, its reviews and its waitlist, and sends the event to everyone; for its owner
/// and the admins.
pub async fn delete(services: &Services, caller: &Identity, id: ProductId) -> Result<(), Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit_for_everyone(caller, 1, 0)?;
    let caller = *caller;
    let write = async move |tx: &mut Tx| {
        hold(tx, &caller, id).await?;
        rows::delete(tx, id).await?;
        tx.emit(event::product_updated(ProductAction::Deleted(id)));
        Ok(())
    };
    db.write(Once::Unkeyed, write).await
}

/// Locks the product until the commit, and checks that the caller may change it.
async fn hold(tx: &mut Tx, caller: &Identity, id: ProductId) -> Result<Product, Error> {
    let product = rows::touch(tx, id).await?.ok_or_else(|| not_found(id))?;
    permit(caller, Action::ChangeProduct, Relation::owner(product.owner_id == Some(caller.user)))?;
    Ok(product)
}

pub(super) fn not_found(id: ProductId) -> Error {
    Error::NotFound(format!("Product with ID {id} not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_at_least_one_field_and_empties_no_name() {
        let patch = |body: &str| {
            Fields::parse(body.as_bytes())
                .and_then(ProductPatch::read)
                .map_err(|error| error.messages())
        };
        assert!(matches!(
            patch(r#"{"stock":0}"#),
            Ok(ProductPatch { name: None, description: None, price: None, stock: Some(0), .. })
        ));
        assert!(matches!(
            patch(r#"{"description":""}"#),
            Ok(ProductPatch { description: Some(_), .. })
        ));
        for body in ["{}", r#"{"name":null}"#] {
            let nothing =
                "one of name, description, price, stock, lowStockThreshold should not be empty";
            assert_eq!(patch(body).err(), Some(vec![nothing.into()]), "{body}");
        }
        let faults = [
            "property ownerId should not exist",
            "name should not be empty",
            "stock must not be less than 0",
        ];
        assert_eq!(
            patch(r#"{"name":"","stock":-1,"ownerId":1}"#).err(),
            Some(faults.map(Into::into).into())
        );
    }
}

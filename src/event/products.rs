//! Events of products.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, server_events};
use crate::model::{Product, ProductId};

/// A change of a product.
#[derive(Debug, Clone, Copy)]
pub enum ProductAction<'a> {
    Created(&'a Product),
    Updated(&'a Product),
    Deleted(ProductId),
}

server_events! {
    /// A product was added, changed or removed. A client that reads slowly may get the newest
    /// change of a product, or its removal, instead of the changes before.
    PRODUCT_UPDATED: stored ProductUpdated<'static> = [MAIN] "productUpdated"
        to "every socket of the namespace";
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ProductChange {
    Created,
    Updated,
    Deleted,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductUpdated<'a> {
    product_id: ProductId,
    action: ProductChange,
    /// Null when it was removed.
    product: Option<&'a Product>,
}

/// `productUpdated`.
#[must_use]
pub fn product_updated(action: ProductAction<'_>) -> NewEvent {
    let (product_id, action, product) = match action {
        ProductAction::Created(product) => (product.id, ProductChange::Created, Some(product)),
        ProductAction::Updated(product) => (product.id, ProductChange::Updated, Some(product)),
        ProductAction::Deleted(product_id) => (product_id, ProductChange::Deleted, None),
    };
    let payload = ProductUpdated { product_id, action, product };
    PRODUCT_UPDATED.to(Vec::new(), &payload)
}

/// Returns the product whose newest version an event tells: for a change and for a removal. An
/// added product has no older version, and its event is never left out, so that no client learns of
/// a change of a product that it does not know.
#[must_use]
pub fn product_version(name: &str, data: &str) -> Option<ProductId> {
    // The fields are in the order of `ProductUpdated`. A text with another order is sent as it is.
    let rest = data.strip_prefix(r#"{"productId":"#).filter(|_| name == PRODUCT_UPDATED.name())?;
    let (id, rest) = rest.split_once(',')?;
    let action = rest.strip_prefix(r#""action":"#)?;
    let has_version = [r#""updated""#, r#""deleted""#].iter().any(|word| action.starts_with(word));
    id.parse().ok().filter(|_| has_version).map(ProductId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Room};
    use crate::model::{Money, Timestamp};

    #[test]
    fn a_change_goes_to_the_whole_namespace_with_the_product() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let product = Product {
            id: ProductId(3),
            name: "Tea".into(),
            description: Some("Green".into()),
            price: Money::from_minor(5),
            stock: 0,
            low_stock_threshold: 5,
            owner_id: None,
            created_at: time,
            updated_at: time,
        };
        let json = concat!(
            r#"{"id":3,"name":"Tea","description":"Green","price":"0.05","stock":0,"#,
            r#""lowStockThreshold":5,"ownerId":null,"createdAt":"1970-01-01T00:00:00.000Z","#,
            r#""updatedAt":"1970-01-01T00:00:00.000Z"}"#,
        );
        for (action, word, json) in [
            (ProductAction::Created(&product), "created", json),
            (ProductAction::Updated(&product), "updated", json),
            (ProductAction::Deleted(product.id), "deleted", "null"),
        ] {
            let event = product_updated(action);
            assert_eq!(
                (event.namespace, &*event.name, event.kind),
                ("/", "productUpdated", EventKind::Stored)
            );
            assert_eq!(event.rooms, Vec::<Room>::new());
            assert_eq!(
                event.data,
                format!(r#"{{"productId":3,"action":"{word}","product":{json}}}"#)
            );
            let version = product_version(&event.name, &event.data);
            assert_eq!(version, (word != "created").then_some(ProductId(3)));
            assert_eq!(product_version("productAdded", &event.data), None);
        }
    }
}

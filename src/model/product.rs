//! Products, and the entries of their waitlists.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Money, ProductId, Timestamp, UserId};
use crate::schema::products;

/// A product. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = products)]
pub struct Product {
    pub id: ProductId,
    pub name: String,
    pub description: Option<String>,
    /// The price of one piece.
    #[diesel(column_name = price_minor)]
    pub price: Money,
    /// The number of pieces, 0 or more.
    pub stock: i64,
    /// A stock of so many pieces or fewer is low.
    pub low_stock_threshold: i64,
    /// The user that may change it, beside the admins. Null if that account was removed.
    pub owner_id: Option<UserId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Product {
    /// Returns true if the stock is low.
    #[must_use]
    pub const fn is_low(&self) -> bool {
        self.stock <= self.low_stock_threshold
    }
}

/// A user on a product's waitlist. camelCase on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable)]
#[serde(rename_all = "camelCase")]
pub struct WaitlistEntry {
    pub product_id: ProductId,
    pub user_id: UserId,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_written_in_camel_case_and_is_low_at_its_threshold() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let product = Product {
            id: ProductId(3),
            name: "Tea".into(),
            description: None,
            price: Money::from_minor(1250),
            stock: 5,
            low_stock_threshold: 5,
            owner_id: Some(UserId(7)),
            created_at: time,
            updated_at: time,
        };
        assert_eq!(
            serde_json::to_string(&product).ok().as_deref(),
            Some(concat!(
                r#"{"id":3,"name":"Tea","description":null,"price":"12.50","stock":5,"#,
                r#""lowStockThreshold":5,"ownerId":7,"#,
                r#""createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z"}"#
            ))
        );
        assert!(product.is_low());
        assert!(!Product { stock: 6, ..product }.is_low());
    }
}

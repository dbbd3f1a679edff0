//! Orders, and the steps of their status.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Money, OrderId, ProductId, Timestamp, User, UserId};
use crate::schema::{order_items, orders};

words!(
    /// The status of an order: pending → paid → shipped → delivered; cancelled from pending or
    /// paid.
    OrderStatus {
        Pending = "pending",
        Paid = "paid",
        Shipped = "shipped",
        Delivered = "delivered",
        Cancelled = "cancelled",
    }
);

impl OrderStatus {
    /// Returns true if the step is allowed. A change to the same status is not allowed.
    #[must_use]
    pub fn can_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Paid | Self::Cancelled)
                | (Self::Paid, Self::Shipped | Self::Cancelled)
                | (Self::Shipped, Self::Delivered)
        )
    }
}

/// An order. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = orders)]
pub struct Order {
    pub id: OrderId,
    /// Null for an order that an admin has placed for nobody.
    pub customer_id: Option<UserId>,
    #[diesel(column_name = total_minor)]
    pub total: Money,
    pub status: OrderStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub shipped_at: Option<Timestamp>,
}

/// An order as `GET /orders` and `GET /orders/{id}` return it: its own fields, and `customer`, or
/// null.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
pub struct OrderDetail {
    #[serde(flatten)]
    #[diesel(embed)]
    pub order: Order,
    #[diesel(embed)]
    pub customer: Option<User>,
}

/// One product of an order, with the name and price at the time of the order. camelCase on the
/// wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = order_items)]
pub struct OrderItem {
    /// Null if the product was removed.
    pub product_id: Option<ProductId>,
    pub name: String,
    /// The number of pieces.
    pub quantity: i64,
    /// The price of one piece.
    #[diesel(column_name = price_minor)]
    pub price: Money,
}

/// An [`Order`] or an [`OrderDetail`] with `items` beside its own fields; empty for an order that
/// has only a total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}WithItems")]
pub struct WithItems<T> {
    #[serde(flatten)]
    pub order: T,
    /// Answers that an older version stored for an Idempotency-Key have no items.
    #[serde(default)]
    pub items: Vec<OrderItem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_takes_only_the_steps_of_the_contract() {
        use OrderStatus::{Cancelled, Delivered, Paid, Pending, Shipped};
        let allowed = [
            (Pending, Paid),
            (Paid, Shipped),
            (Shipped, Delivered),
            (Pending, Cancelled),
            (Paid, Cancelled),
        ];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                assert_eq!(from.can_become(*to), allowed.contains(&(*from, *to)), "{from} to {to}");
            }
        }
    }

    fn order() -> Order {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        Order {
            id: OrderId(5),
            customer_id: None,
            total: Money::from_minor(1250),
            status: OrderStatus::Pending,
            created_at: time,
            updated_at: time,
            shipped_at: None,
        }
    }

    const BARE: &str = concat!(
        r#"{"id":5,"customerId":null,"total":"12.50","status":"pending","#,
        r#""createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z","#,
        r#""shippedAt":null"#
    );

    #[test]
    fn an_order_is_written_in_camel_case_with_its_customer_and_its_items_beside_it() {
        let item = OrderItem {
            product_id: None,
            name: "Tea".into(),
            quantity: 2,
            price: Money::from_minor(625),
        };
        let detail =
            WithItems { order: OrderDetail { order: order(), customer: None }, items: vec![item] };
        let item = r#"{"productId":null,"name":"Tea","quantity":2,"price":"6.25"}"#;
        let json = format!(r#"{BARE},"customer":null,"items":[{item}]}}"#);
        assert_eq!(serde_json::to_string(&detail).ok(), Some(json.clone()));
        assert_eq!(serde_json::from_str(&json).ok(), Some(detail));
    }

    #[test]
    fn an_answer_of_an_older_version_is_read_without_items() {
        let read: Option<WithItems<Order>> = serde_json::from_str(&format!("{BARE}}}")).ok();
        assert_eq!(read, Some(WithItems { order: order(), items: Vec::new() }));
    }
}

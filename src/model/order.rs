//! Orders and the rule of their states.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Money, OrderId, Timestamp, User, UserId};
use crate::schema::orders;

words!(
    /// Where an order stands. pending → paid → shipped → delivered; cancelled from pending or paid.
    OrderStatus { Pending = "pending", Paid = "paid", Shipped = "shipped", Delivered = "delivered", Cancelled = "cancelled" }
);

impl OrderStatus {
    /// Whether that step is allowed. Staying is not a step.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = orders)]
pub struct Order {
    pub id: OrderId,
    /// None for an order that an admin placed for no one.
    pub customer_id: Option<UserId>,
    #[diesel(column_name = total_minor)]
    pub total: Money,
    pub status: OrderStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub shipped_at: Option<Timestamp>,
}

/// An order as lists and single reads give it: its own fields, and `customer` (null when there is none).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable)]
pub struct OrderDetail {
    #[serde(flatten)]
    #[diesel(embed)]
    pub order: Order,
    #[diesel(embed)]
    pub customer: Option<User>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_takes_only_the_steps_of_the_contract() {
        use OrderStatus::{Cancelled, Delivered, Paid, Pending, Shipped};
        let allowed = [(Pending, Paid), (Paid, Shipped), (Shipped, Delivered), (Pending, Cancelled), (Paid, Cancelled)];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                assert_eq!(from.can_become(*to), allowed.contains(&(*from, *to)), "{from} to {to}");
            }
        }
    }

    #[test]
    fn an_order_is_written_in_camel_case_with_its_customer_beside_it() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let order = Order {
            id: OrderId(5),
            customer_id: None,
            total: Money::from_minor(1250),
            status: OrderStatus::Pending,
            created_at: time,
            updated_at: time,
            shipped_at: None,
        };
        let detail = OrderDetail { order, customer: None };
        assert_eq!(
            serde_json::to_string(&detail).ok().as_deref(),
            Some(
                r#"{"id":5,"customerId":null,"total":"12.50","status":"pending","createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z","shippedAt":null,"customer":null}"#
            )
        );
    }
}

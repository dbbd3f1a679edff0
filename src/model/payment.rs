//! Payments of orders.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Money, OrderId, OrderStatus, PaymentId, Timestamp};

/// A payment, and the state of its order after it. camelCase on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    pub order_id: OrderId,
    pub amount: Money,
    /// The way of paying, as free text of the payer.
    pub method: Option<String>,
    pub created_at: Timestamp,
    /// The amount that is left to pay.
    pub due: Money,
    /// `paid` if nothing is due.
    pub order_status: OrderStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_written_in_camel_case_and_read_back() {
        let payment = Payment {
            id: PaymentId(4),
            order_id: OrderId(5),
            amount: Money::from_minor(1250),
            method: Some("card".into()),
            created_at: Timestamp::from_unix_seconds(0).expect("the epoch is a time"),
            due: Money::ZERO,
            order_status: OrderStatus::Paid,
        };
        let json = concat!(
            r#"{"id":4,"orderId":5,"amount":"12.50","method":"card","#,
            r#""createdAt":"1970-01-01T00:00:00.000Z","due":"0.00","orderStatus":"paid"}"#
        );
        assert_eq!(serde_json::to_string(&payment).ok().as_deref(), Some(json));
        assert_eq!(serde_json::from_str(json).ok(), Some(payment));
    }
}

//! Notifications: the notice that many receivers share, and the notification of one receiver.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::model::{
    NotificationId, Order, OrderStatus, Payment, Product, Project, Review, Stage, Timestamp, UserId,
};
use crate::schema::notifications;

words!(
    /// The subject of a notification.
    NotificationType {
        OrderStatus = "order_status",
        LowStock = "low_stock",
        NewReview = "new_review",
        Promotion = "promotion",
        PaymentReceived = "payment_received",
        BackInStock = "back_in_stock",
        StageCompleted = "stage_completed",
        Message = "message",
    }
);

/// A JSON object as its text: receivers get every digit, and the fields in the sender's order.
#[derive(Debug, Clone, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(transparent)]
pub struct JsonObject(Box<RawValue>);

impl JsonObject {
    /// Makes an object from its text. Returns `None` if the text is no JSON object.
    #[must_use]
    pub fn from_text(text: String) -> Option<Self> {
        RawValue::from_string(text).ok().filter(|value| value.get().starts_with('{')).map(Self)
    }

    /// Its JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl JsonSchema for JsonObject {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "JsonObject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": {}})
    }
}

/// Compares the texts.
impl PartialEq for JsonObject {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonObject {}

impl<DB> ToSql<Text, DB> for JsonObject
where
    DB: Backend,
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.as_str().to_sql(out)
    }
}

impl<DB> FromSql<Text, DB> for JsonObject
where
    DB: Backend,
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Self::from_text(String::from_sql(bytes)?).ok_or_else(|| "not a JSON object".into())
    }
}

/// The content of a notification, the same for all receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub kind: NotificationType,
    pub title: String,
    pub message: String,
    /// The ids and figures of the text, for programs.
    pub data: Option<JsonObject>,
}

impl Notice {
    /// An order has a new status; for its customer.
    #[must_use]
    pub fn order_status(order: &Order, previous: OrderStatus) -> Self {
        let Order { id, status, .. } = order;
        Self {
            kind: NotificationType::OrderStatus,
            title: format!("Order {id} is {status}"),
            message: format!("Your order {id} went from {previous} to {status}."),
            data: JsonObject::from_text(
                json!({"orderId": id, "status": status, "previousStatus": previous}).to_string(),
            ),
        }
    }

    /// A stage of a project is completed; for the other members.
    #[must_use]
    pub fn stage_completed(project: &Project, stage: &Stage) -> Self {
        Self {
            kind: NotificationType::StageCompleted,
            title: "A stage is completed".into(),
            message: format!("{} is completed in {}.", stage.name, project.name),
            data: JsonObject::from_text(
                json!({"projectId": project.id, "stageId": stage.id}).to_string(),
            ),
        }
    }

    /// A product's stock has fallen to its threshold or below; for the admins.
    #[must_use]
    pub fn low_stock(product: &Product) -> Self {
        let Product { id, name, stock, low_stock_threshold: threshold, .. } = product;
        Self {
            kind: NotificationType::LowStock,
            title: format!("Low stock: {name}"),
            message: format!("There are {stock} left of {name}."),
            data: JsonObject::from_text(
                json!({"productId": id, "stock": stock, "threshold": threshold}).to_string(),
            ),
        }
    }

    /// A product is back in stock; for its waitlist.
    #[must_use]
    pub fn back_in_stock(product: &Product) -> Self {
        let Product { id, name, stock, .. } = product;
        Self {
            kind: NotificationType::BackInStock,
            title: format!("Back in stock: {name}"),
            message: format!("You can order {name} again."),
            data: JsonObject::from_text(json!({"productId": id, "stock": stock}).to_string()),
        }
    }

    /// A product has a new review; for the admins.
    #[must_use]
    pub fn new_review(product: &Product, review: &Review) -> Self {
        let Product { name, .. } = product;
        let Review { id, product_id, rating, .. } = review;
        Self {
            kind: NotificationType::NewReview,
            title: format!("New review: {name}"),
            message: format!(
                "{} gave {name} {rating} of 5.",
                review.user_name.as_deref().unwrap_or("Someone")
            ),
            data: JsonObject::from_text(
                json!({"productId": product_id, "reviewId": id, "rating": rating}).to_string(),
            ),
        }
    }

    /// An order was paid, fully or in part; for the admins.
    #[must_use]
    pub fn payment_received(payment: &Payment) -> Self {
        let Payment { id, order_id, amount, due, .. } = payment;
        Self {
            kind: NotificationType::PaymentReceived,
            title: format!("Payment for order {order_id}"),
            message: format!("{amount} was paid for order {order_id}, {due} is still due."),
            data: JsonObject::from_text(
                json!({"orderId": order_id, "paymentId": id, "amount": amount}).to_string(),
            ),
        }
    }
}

/// The notification of one receiver. camelCase on the wire.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Queryable, Selectable,
)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = notifications)]
pub struct Notification {
    pub id: NotificationId,
    pub user_id: UserId,
    #[serde(rename = "type")]
    pub kind: NotificationType,
    pub title: String,
    pub message: String,
    pub data: Option<JsonObject>,
    pub is_read: bool,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Money, OrderId, ProjectId, StageId};

    fn notification(data: Option<JsonObject>) -> Notification {
        Notification {
            id: NotificationId(5),
            user_id: UserId(7),
            kind: NotificationType::LowStock,
            title: "Tea".into(),
            message: "Two left".into(),
            data,
            is_read: false,
            created_at: Timestamp::from_unix_seconds(0).expect("the epoch is a time"),
        }
    }

    #[test]
    fn a_notification_has_the_fields_of_the_contract_and_is_read_back_from_them() {
        let text = |data: &str| {
            format!(
                concat!(
                    r#"{{"id":5,"userId":7,"type":"low_stock","title":"Tea","message":"Two left","#,
                    r#""data":{data},"isRead":false,"createdAt":"1970-01-01T00:00:00.000Z"}}"#
                ),
                data = data
            )
        };
        // More digits than a float holds, and fields not in alphabetical order.
        let data = r#"{"b":12345678901234567890.123,"a":[null]}"#;
        for (data, text) in [(None, text("null")), (JsonObject::from_text(data.into()), text(data))]
        {
            let notification = notification(data);
            let json = serde_json::to_string(&notification).expect("plain fields serialise");
            assert_eq!(json, text);
            assert_eq!(serde_json::from_str::<Notification>(&json).ok(), Some(notification));
        }
    }

    #[test]
    fn data_is_an_object_or_refused() {
        for text in ["", "null", "1", "[]", r#""{}""#, "{", "{}x"] {
            assert_eq!(JsonObject::from_text(text.into()), None, "{text}");
        }
        assert_eq!(JsonObject::from_text("{}".into()).as_ref().map(JsonObject::as_str), Some("{}"));
    }

    #[test]
    fn an_order_status_is_in_the_text_and_in_the_data() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let order = Order {
            id: OrderId(5),
            customer_id: Some(UserId(7)),
            total: Money::from_minor(1250),
            status: OrderStatus::Paid,
            created_at: time,
            updated_at: time,
            shipped_at: None,
        };
        let expected = Notice {
            kind: NotificationType::OrderStatus,
            title: "Order 5 is paid".into(),
            message: "Your order 5 went from pending to paid.".into(),
            data: JsonObject::from_text(
                r#"{"orderId":5,"previousStatus":"pending","status":"paid"}"#.into(),
            ),
        };
        assert_eq!(Notice::order_status(&order, OrderStatus::Pending), expected);
    }

    #[test]
    fn a_completed_stage_is_in_the_text_and_in_the_data() {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        let project = Project {
            id: ProjectId(3),
            name: "Relaunch".into(),
            description: None,
            status: "active".into(),
            owner_id: None,
            created_at: time,
            updated_at: time,
        };
        let stage = Stage {
            id: StageId(4),
            project_id: project.id,
            name: "Design".into(),
            completed_at: Some(time),
            completed_by: None,
            created_at: time,
        };
        let expected = Notice {
            kind: NotificationType::StageCompleted,
            title: "A stage is completed".into(),
            message: "Design is completed in Relaunch.".into(),
            data: JsonObject::from_text(r#"{"projectId":3,"stageId":4}"#.into()),
        };
        assert_eq!(Notice::stage_completed(&project, &stage), expected);
    }
}

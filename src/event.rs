//! Every event of the product, one constructor each: its name, its audience and its payload, exactly as the contract writes them.
//!
//! Services build events here and give them to a transaction. This module knows no query, no socket and no wire format.

use std::fmt;

use serde::Serialize;

use crate::model::{Money, Order, OrderId, OrderStatus, Timestamp, UserId};

/// Where customers and admins meet.
pub const MAIN: &str = "/";
/// Admins only.
pub const ADMIN: &str = "/admin";

/// An audience within a namespace. [`Display`](fmt::Display) gives the name that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// All sockets of one user.
    User(UserId),
    /// All sockets of all admins.
    Admin,
    /// Those who joined a project.
    Project(i64),
    /// Those who joined a conversation.
    Conversation(i64),
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Admin => f.write_str("admin"),
            Self::Project(id) => write!(f, "project:{id}"),
            Self::Conversation(id) => write!(f, "conversation:{id}"),
        }
    }
}

/// An event that has not been stored yet. A socket in several of the rooms gets it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// [`MAIN`] or [`ADMIN`].
    pub namespace: &'static str,
    /// The name that clients listen for.
    pub name: &'static str,
    pub rooms: Vec<Room>,
    /// JSON text.
    pub data: String,
}

impl NewEvent {
    fn new(namespace: &'static str, name: &'static str, rooms: Vec<Room>, payload: &impl Serialize) -> Self {
        // Payloads are the plain structs of this file, with text keys and nothing that can fail to serialise.
        let data = serde_json::to_string(payload).unwrap_or_else(|_| "null".into());
        Self { namespace, name, rooms, data }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    order_id: OrderId,
    customer_id: Option<UserId>,
    total: Money,
    created_at: Timestamp,
}

/// `new_order`, to all of `/admin`.
#[must_use]
pub fn new_order(order: &Order) -> NewEvent {
    let payload = NewOrder { order_id: order.id, customer_id: order.customer_id, total: order.total, created_at: order.created_at };
    NewEvent::new(ADMIN, "new_order", vec![Room::Admin], &payload)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderUpdate {
    order_id: OrderId,
    status: OrderStatus,
    previous_status: OrderStatus,
    customer_id: Option<UserId>,
    total: Money,
    updated_at: Timestamp,
}

/// `orderUpdate`: once to each socket of `/` that is the customer's or an admin's, and to all of `/admin`.
#[must_use]
pub fn order_update(order: &Order, previous: OrderStatus) -> [NewEvent; 2] {
    let payload = OrderUpdate {
        order_id: order.id,
        status: order.status,
        previous_status: previous,
        customer_id: order.customer_id,
        total: order.total,
        updated_at: order.updated_at,
    };
    let rooms = order.customer_id.map(Room::User).into_iter().chain([Room::Admin]).collect();
    let main = NewEvent::new(MAIN, "orderUpdate", rooms, &payload);
    let admin = NewEvent { namespace: ADMIN, rooms: vec![Room::Admin], ..main.clone() };
    [main, admin]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderShipped {
    order_id: OrderId,
    customer_id: Option<UserId>,
    shipped_at: Option<Timestamp>,
}

/// `order_shipped`, to all of `/admin`.
#[must_use]
pub fn order_shipped(order: &Order) -> NewEvent {
    let payload = OrderShipped { order_id: order.id, customer_id: order.customer_id, shipped_at: order.shipped_at };
    NewEvent::new(ADMIN, "order_shipped", vec![Room::Admin], &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(customer_id: Option<UserId>) -> Order {
        let time = Timestamp::from_unix_seconds(0).expect("the epoch is a time");
        Order {
            id: OrderId(5),
            customer_id,
            total: Money::from_minor(1250),
            status: OrderStatus::Shipped,
            created_at: time,
            updated_at: time,
            shipped_at: Some(time),
        }
    }

    #[test]
    fn new_order_is_for_admins_only() {
        let expected = NewEvent {
            namespace: "/admin",
            name: "new_order",
            rooms: vec![Room::Admin],
            data: r#"{"orderId":5,"customerId":7,"total":"12.50","createdAt":"1970-01-01T00:00:00.000Z"}"#.into(),
        };
        assert_eq!(new_order(&order(Some(UserId(7)))), expected);
    }

    #[test]
    fn order_update_reaches_the_customer_and_admins_on_both_namespaces() {
        let data = r#"{"orderId":5,"status":"shipped","previousStatus":"paid","customerId":7,"total":"12.50","updatedAt":"1970-01-01T00:00:00.000Z"}"#;
        let main = NewEvent { namespace: "/", name: "orderUpdate", rooms: vec![Room::User(UserId(7)), Room::Admin], data: data.into() };
        let admin = NewEvent { namespace: "/admin", name: "orderUpdate", rooms: vec![Room::Admin], data: data.into() };
        assert_eq!(order_update(&order(Some(UserId(7))), OrderStatus::Paid), [main, admin]);
    }

    #[test]
    fn an_order_of_no_one_reaches_admins_only() {
        let [main, admin] = order_update(&order(None), OrderStatus::Paid);
        assert_eq!(main.rooms, vec![Room::Admin]);
        assert_eq!(admin.rooms, vec![Room::Admin]);
    }

    #[test]
    fn order_shipped_says_when() {
        let expected = NewEvent {
            namespace: "/admin",
            name: "order_shipped",
            rooms: vec![Room::Admin],
            data: r#"{"orderId":5,"customerId":null,"shippedAt":"1970-01-01T00:00:00.000Z"}"#.into(),
        };
        assert_eq!(order_shipped(&order(None)), expected);
    }

    #[test]
    fn rooms_have_the_names_of_the_contract() {
        let names = [Room::User(UserId(5)), Room::Admin, Room::Project(3), Room::Conversation(9)].map(|room| room.to_string());
        assert_eq!(names, ["user:5", "admin", "project:3", "conversation:9"]);
    }
}

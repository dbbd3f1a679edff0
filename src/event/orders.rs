//! Events of orders.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ADMIN, MAIN, NewEvent, Room, server_events};
use crate::model::{Money, Order, OrderId, OrderStatus, Timestamp, UserId, WithItems};

server_events! {
    /// An order was placed.
    NEW_ORDER: stored NewOrder = [ADMIN] "new_order" to "all of /admin";
    /// An order was placed, by the customer or for the customer.
    ORDER_CREATED: stored WithItems<Order> = [MAIN] "orderCreated" to "the order's customer";
    /// An order has another status.
    ORDER_UPDATE: stored OrderUpdate = [MAIN] "orderUpdate"
        to "the order's customer, and admins";
    /// An order has another status.
    ORDER_UPDATE_ON_ADMIN: stored OrderUpdate = [ADMIN] "orderUpdate" to "all of /admin";
    /// An order was shipped.
    ORDER_SHIPPED: stored OrderShipped = [ADMIN] "order_shipped" to "all of /admin";
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOrder {
    order_id: OrderId,
    customer_id: Option<UserId>,
    total: Money,
    created_at: Timestamp,
}

/// `new_order`, and `orderCreated` if the order is of a customer.
pub fn order_placed(placed: &WithItems<Order>) -> impl Iterator<Item = NewEvent> {
    let customer = placed.order.customer_id;
    let created = customer.map(|customer| ORDER_CREATED.to(vec![Room::User(customer)], placed));
    [new_order(&placed.order)].into_iter().chain(created)
}

/// `new_order`.
#[must_use]
pub fn new_order(order: &Order) -> NewEvent {
    let payload = NewOrder {
        order_id: order.id,
        customer_id: order.customer_id,
        total: order.total,
        created_at: order.created_at,
    };
    NEW_ORDER.to(vec![Room::Admin], &payload)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderUpdate {
    order_id: OrderId,
    status: OrderStatus,
    previous_status: OrderStatus,
    customer_id: Option<UserId>,
    total: Money,
    updated_at: Timestamp,
}

/// `orderUpdate` for `/` and for `/admin`.
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
    let admin = ORDER_UPDATE_ON_ADMIN.to(vec![Room::Admin], &payload);
    [ORDER_UPDATE.to(rooms, &payload), admin]
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderShipped {
    order_id: OrderId,
    customer_id: Option<UserId>,
    shipped_at: Option<Timestamp>,
}

/// `order_shipped`.
#[must_use]
pub fn order_shipped(order: &Order) -> NewEvent {
    let payload = OrderShipped {
        order_id: order.id,
        customer_id: order.customer_id,
        shipped_at: order.shipped_at,
    };
    ORDER_SHIPPED.to(vec![Room::Admin], &payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::model::OrderItem;

    fn event(
        namespace: &'static str,
        name: &'static str,
        rooms: Vec<Room>,
        data: &str,
    ) -> NewEvent {
        let (name, data, kind) = (name.into(), data.into(), EventKind::Stored);
        NewEvent { namespace, name, kind, rooms, except: Vec::new(), members: Vec::new(), data }
    }

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
    fn a_placed_order_is_for_admins_and_for_its_customer() {
        let item = OrderItem {
            product_id: None,
            name: "Tea".into(),
            quantity: 2,
            price: Money::from_minor(625),
        };
        let of = |customer| WithItems { order: order(customer), items: vec![item.clone()] };
        let events: Vec<_> = order_placed(&of(Some(UserId(7)))).collect();
        let created = event(
            "/",
            "orderCreated",
            vec![Room::User(UserId(7))],
            concat!(
                r#"{"id":5,"customerId":7,"total":"12.50","status":"shipped","#,
                r#""createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z","#,
                r#""shippedAt":"1970-01-01T00:00:00.000Z","#,
                r#""items":[{"productId":null,"name":"Tea","quantity":2,"price":"6.25"}]}"#,
            ),
        );
        assert_eq!(events, [new_order(&order(Some(UserId(7)))), created]);
        let events: Vec<_> = order_placed(&of(None)).collect();
        assert_eq!(events, [new_order(&order(None))]);
    }

    #[test]
    fn new_order_is_for_admins_only() {
        let expected = event(
            "/admin",
            "new_order",
            vec![Room::Admin],
            concat!(
                r#"{"orderId":5,"customerId":7,"total":"12.50","#,
                r#""createdAt":"1970-01-01T00:00:00.000Z"}"#,
            ),
        );
        assert_eq!(new_order(&order(Some(UserId(7)))), expected);
    }

    #[test]
    fn order_update_reaches_the_customer_and_admins_on_both_namespaces() {
        let data = concat!(
            r#"{"orderId":5,"status":"shipped","previousStatus":"paid","customerId":7,"#,
            r#""total":"12.50","updatedAt":"1970-01-01T00:00:00.000Z"}"#,
        );
        let main = event("/", "orderUpdate", vec![Room::User(UserId(7)), Room::Admin], data);
        let admin = event("/admin", "orderUpdate", vec![Room::Admin], data);
        assert_eq!(order_update(&order(Some(UserId(7))), OrderStatus::Paid), [main, admin]);
    }

    #[test]
    fn an_order_of_no_one_reaches_admins_only() {
        let [main, admin] = order_update(&order(None), OrderStatus::Paid);
        assert_eq!(main.rooms, vec![Room::Admin]);
        assert_eq!(admin.rooms, vec![Room::Admin]);
    }

    #[test]
    fn order_shipped_has_the_time() {
        let expected = event(
            "/admin",
            "order_shipped",
            vec![Room::Admin],
            r#"{"orderId":5,"customerId":null,"shippedAt":"1970-01-01T00:00:00.000Z"}"#,
        );
        assert_eq!(order_shipped(&order(None)), expected);
    }
}

//! The shop: products, orders for them, and the contents of notifications.
#![allow(dead_code, reason = "each test file uses its own part")]

use serde_json::{Value, json};

use crate::support::{Answer, Home, PASSWORD, Server};

/// Adds a product as this user.
pub fn product(server: &Server, token: &str, name: &str, stock: i64, threshold: i64) -> Value {
    let body =
        json!({"name": name, "price": "2.50", "stock": stock, "lowStockThreshold": threshold});
    let answer = server.post("/products", token, &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

/// Orders this many of each product.
pub fn order(server: &Server, token: &str, items: &[(&Value, i64)]) -> Answer {
    let items: Vec<Value> = items
        .iter()
        .map(|(product, quantity)| json!({"productId": product["id"], "quantity": quantity}))
        .collect();
    server.post("/orders", token, &json!({"items": items}))
}

pub fn stock(server: &Server, token: &str, product: &Value) -> i64 {
    server.get(&format!("/products/{}", product["id"]), token).body["stock"].as_i64().unwrap()
}

pub fn cancel(server: &Server, admin: &str, order: &Value) -> Answer {
    server.patch(&format!("/orders/{}/status", order["id"]), admin, &json!({"status": "cancelled"}))
}

/// Adds another admin. Returns the token and the id.
pub fn second_admin(home: &Home, server: &Server) -> (String, i64) {
    let made = home.run(&[
        "user",
        "add",
        "--email",
        "carla@demo.test",
        "--name",
        "Carla",
        "--role",
        "admin",
        "--password",
        PASSWORD,
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    server.sign_in("carla")
}

/// A notification without the fields that only its row has.
pub fn content(notification: &Value) -> Value {
    let mut content = notification.clone();
    for own in ["id", "userId", "createdAt", "isRead"] {
        content.as_object_mut().unwrap().remove(own).unwrap();
    }
    content
}

pub fn low_stock(product: &Value, stock: i64, threshold: i64) -> Value {
    let name = product["name"].as_str().unwrap();
    json!({
        "type": "low_stock", "title": format!("Low stock: {name}"), "message": format!("There are {stock} left of {name}."),
        "data": {"productId": product["id"], "stock": stock, "threshold": threshold},
    })
}

pub fn back_in_stock(product: &Value, stock: i64) -> Value {
    let name = product["name"].as_str().unwrap();
    json!({
        "type": "back_in_stock", "title": format!("Back in stock: {name}"), "message": format!("You can order {name} again."),
        "data": {"productId": product["id"], "stock": stock},
    })
}

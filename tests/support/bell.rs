//! Notifications: socket frames by name and payload, and the lists and counts of REST.
#![allow(dead_code, reason = "each test file uses its own part")]

use serde_json::{Value, json};

use crate::support::{Home, Server, Socket};

/// The frames that a socket received, as (event, data).
pub fn frames(socket: &mut Socket) -> Vec<(String, Value)> {
    socket
        .heard()
        .into_iter()
        .map(|frame| (frame["event"].as_str().unwrap().to_owned(), frame["data"].clone()))
        .collect()
}

pub fn frame(event: &str, data: &Value) -> (String, Value) {
    (event.to_owned(), data.clone())
}

pub fn unread(server: &Server, token: &str) -> i64 {
    let answer = server.get("/notifications/unread-count", token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["count"].as_i64().unwrap()
}

/// Sends a notification as the admin. Returns the number of receivers.
pub fn send(server: &Server, admin: &str, to: &Value, title: &str) -> i64 {
    let mut body = json!({"type": "promotion", "title": title, "message": "Half the price", "data": {"code": "TEA"}});
    body.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
    let answer = server.post("/notifications", admin, &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body, json!({"count": answer.body["count"]}));
    answer.body["count"].as_i64().unwrap()
}

pub fn newest(server: &Server, token: &str) -> Value {
    server.get("/notifications?limit=1", token).body[0].clone()
}

/// All pages of a list, by its Link headers.
pub fn pages(server: &Server, token: &str, first: &str) -> Vec<Value> {
    let (mut path, mut all) = (first.to_owned(), Vec::new());
    loop {
        let page = server.get(&path, token);
        assert_eq!(page.status, 200, "{}", page.body);
        all.extend(page.body.as_array().unwrap().clone());
        let Some(link) = page.headers.get("link") else { return all };
        let next =
            link.to_str().unwrap().strip_prefix('<').unwrap().strip_suffix(r#">; rel="next""#);
        next.unwrap().clone_into(&mut path);
    }
}

/// The frames of a new notification: itself, itself under its older name, and the count.
pub fn new_one(notification: &Value, count: i64) -> [(String, Value); 3] {
    let count = json!({"count": count});
    [
        frame("notification", notification),
        frame("notification:new", notification),
        frame("notifications:unread", &count),
    ]
}

pub fn no_frames() -> Vec<(String, Value)> {
    Vec::new()
}

/// Adds customers, who cannot sign in.
pub fn add_customers(home: &Home, many: u32) {
    home.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many})
         INSERT INTO users (email, email_key, name, password_hash, role, created_at)
         SELECT 'c' || i || '@x.test', 'c' || i || '@x.test', 'n', 'h', 'customer', '2026-01-01 00:00:00' FROM n"
    ));
}

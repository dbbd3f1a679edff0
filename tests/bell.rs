//! Notifications through the public doors: what REST answers, which sockets hear of it, and whether the count of the unread is right.

mod support;

use serde_json::{Value, json};
use support::{Home, Server, Socket};

/// Socket frames without what numbers them.
fn frames(socket: &mut Socket) -> Vec<(String, Value)> {
    socket.heard().into_iter().map(|frame| (frame["event"].as_str().unwrap().to_owned(), frame["data"].clone())).collect()
}

fn frame(event: &str, data: &Value) -> (String, Value) {
    (event.to_owned(), data.clone())
}

fn unread(server: &Server, token: &str) -> i64 {
    let answer = server.get("/notifications/unread-count", token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["count"].as_i64().unwrap()
}

fn send(server: &Server, admin: &str, to: Value, title: &str) {
    let mut body = to;
    body["type"] = json!("promotion");
    body["title"] = json!(title);
    body["message"] = json!("Half the price");
    let answer = server.post("/notifications", admin, &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
}

/// What a new notification brings: itself, itself under its older name, and the count.
fn new_one(notification: &Value, count: i64) -> [(String, Value); 3] {
    let count = json!({"count": count});
    [frame("notification", notification), frame("notification:new", notification), frame("notifications:unread", &count)]
}

fn no_frames() -> Vec<(String, Value)> {
    Vec::new()
}

#[test]
fn an_orders_step_notifies_its_customer_and_nobody_else() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let before = unread(&server, &alice);
    let id = server.post("/orders", &alice, &json!({"total": 5})).body["id"].as_i64().unwrap();
    let mut alices = [server.plain("/", &alice), server.plain("/", &alice)];
    let mut others = [server.plain("/", &bob), server.plain("/", &admin), server.plain("/admin", &admin)];

    for (path, body, from, to, count) in
        [("status", json!({"status": "paid"}), "pending", "paid", before + 1), ("ship", Value::Null, "paid", "shipped", before + 2)]
    {
        assert_eq!(server.patch(&format!("/orders/{id}/{path}"), &admin, &body).status, 200);
        let stored = server.get("/notifications?limit=1", &alice).body[0].clone();
        let expected = json!({
            "id": stored["id"], "userId": alice_id, "type": "order_status", "title": format!("Order {id} is {to}"),
            "message": format!("Your order {id} went from {from} to {to}."),
            "data": {"orderId": id, "status": to, "previousStatus": from}, "isRead": false, "createdAt": stored["createdAt"],
        });
        assert_eq!(stored, expected);
        for socket in &mut alices {
            let mut heard = frames(socket);
            assert_eq!(heard.remove(0).0, "orderUpdate");
            assert_eq!(heard, new_one(&stored, count));
        }
        assert_eq!(unread(&server, &alice), count);
    }
    for socket in &mut others {
        let about: Vec<_> = frames(socket).into_iter().filter(|(event, _)| event.starts_with("notification")).collect();
        assert_eq!(about, no_frames());
    }
    // A step that is refused notifies nobody, and an order of no one has nobody to notify.
    assert_eq!(server.patch(&format!("/orders/{id}/ship"), &admin, &Value::Null).status, 409);
    let of_no_one = server.post("/orders", &admin, &json!({"total": 1})).body["id"].as_i64().unwrap();
    assert_eq!(server.patch(&format!("/orders/{of_no_one}/status"), &admin, &json!({"status": "paid"})).status, 200);
    for socket in &mut alices {
        assert_eq!(frames(socket), no_frames());
    }
    assert_eq!(unread(&server, &alice), before + 2);
}

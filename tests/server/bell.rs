//! Sending notifications through the public API: the answers of REST, and which sockets receive
//! events.

use crate::support::bell;

use crate::support::{Home, Server, Socket};
use bell::{frames, new_one, newest, no_frames, send, unread};
use serde_json::{Value, json};

#[test]
fn a_new_status_of_an_order_notifies_its_customer_and_nobody_else() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let before = unread(&server, &alice);
    let id = server.post("/orders", &alice, &json!({"total": 5})).body["id"].as_i64().unwrap();
    let mut alices = [server.plain("/", &alice), server.plain("/", &alice)];
    let mut others =
        [server.plain("/", &bob), server.plain("/", &admin), server.plain("/admin", &admin)];

    for (path, body, from, to, count) in [
        ("status", json!({"status": "paid"}), "pending", "paid", before + 1),
        ("ship", Value::Null, "paid", "shipped", before + 2),
    ] {
        assert_eq!(server.patch(&format!("/orders/{id}/{path}"), &admin, &body).status, 200);
        let stored = server.get("/notifications?limit=1", &alice).body[0].clone();
        let expected = json!({
            "id": stored["id"], "userId": alice_id, "type": "order_status", "title": format!("Order {id} is {to}"),
            "message": format!("Your order {id} went from {from} to {to}."),
            "data": {"orderId": id, "status": to, "previousStatus": from}, "isRead": false, "createdAt": stored["createdAt"],
        });
        assert_eq!(stored, expected);
        for socket in &mut alices {
            let mut received = frames(socket);
            assert_eq!(received.remove(0).0, "orderUpdate");
            assert_eq!(received, new_one(&stored, count));
        }
        assert_eq!(unread(&server, &alice), count);
    }
    for socket in &mut others {
        let about: Vec<_> = frames(socket)
            .into_iter()
            .filter(|(event, _)| event.starts_with("notification"))
            .collect();
        assert_eq!(about, no_frames());
    }
    // A refused step notifies nobody, and an order without a customer has nobody to notify.
    assert_eq!(server.patch(&format!("/orders/{id}/ship"), &admin, &Value::Null).status, 409);
    let of_no_one =
        server.post("/orders", &admin, &json!({"total": 1})).body["id"].as_i64().unwrap();
    assert_eq!(
        server
            .patch(&format!("/orders/{of_no_one}/status"), &admin, &json!({"status": "paid"}))
            .status,
        200
    );
    for socket in &mut alices {
        assert_eq!(frames(socket), no_frames());
    }
    assert_eq!(unread(&server, &alice), before + 2);
}

#[test]
fn an_admin_notifies_one_user_or_some_or_a_role_or_all() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, admin_id) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, bob_id) = server.sign_in("bob");
    let users = [(&admin, admin_id), (&alice, alice_id), (&bob, bob_id)];
    let mut sockets: Vec<Socket> =
        users.iter().map(|(token, _)| server.plain("/", token)).collect();
    let mut desk = server.plain("/admin", &admin);
    for (to, receivers) in [
        (json!({"userId": bob_id}), [false, false, true]),
        (json!({"userIds": [bob_id, admin_id, bob_id]}), [true, false, true]),
        (json!({"role": "customer"}), [false, true, true]),
        (json!({"role": "admin", "all": false}), [true, false, false]),
        (json!({"all": true}), [true, true, true]),
    ] {
        let title = to.to_string();
        let before = users.map(|(token, _)| unread(&server, token));
        let expected = receivers.iter().filter(|receives| **receives).count();
        assert_eq!(send(&server, &admin, &to, &title), i64::try_from(expected).unwrap(), "{to}");
        for (((token, id), socket), (receives, before)) in
            users.iter().zip(&mut sockets).zip(receivers.into_iter().zip(before))
        {
            let stored = newest(&server, token);
            let received = frames(socket);
            if receives {
                let expected = json!({
                    "id": stored["id"], "userId": id, "type": "promotion", "title": title, "message": "Half the price",
                    "data": {"code": "TEA"}, "isRead": false, "createdAt": stored["createdAt"],
                });
                assert_eq!(stored, expected);
                assert_eq!(received, new_one(&stored, before + 1), "{to}");
            } else {
                assert_ne!(stored["title"], json!(title));
                assert_eq!(received, no_frames(), "{to}");
            }
            assert_eq!(unread(&server, token), before + i64::from(receives));
        }
    }
    assert_eq!(frames(&mut desk), no_frames());
}

#[test]
fn an_invalid_notification_is_refused_with_every_fault_and_sent_to_nobody() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let mut socket = server.plain("/", &alice);
    let good = json!({"userId": alice_id, "type": "promotion", "title": "Tea", "message": "Half the price"});
    let with = |more: Value| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let one = "exactly one of userId, userIds, role and all must be given";
    let types = "type must be one of the following values: order_status, low_stock, new_review, promotion, payment_received, back_in_stock, stage_completed, message";
    for (body, faults) in [
        (with(json!({"userId": null})), vec![one]),
        (with(json!({"userId": null, "all": false})), vec![one]),
        (with(json!({"all": true})), vec![one]),
        (with(json!({"userIds": [alice_id], "role": "admin"})), vec![one]),
        (
            with(json!({"userId": "x"})),
            vec![
                "userId must be a positive number",
                "userId must be a number conforming to the specified constraints",
            ],
        ),
        (with(json!({"userId": 999_999})), vec!["userId must refer to an existing user"]),
        (
            with(json!({"userId": null, "userIds": [alice_id, 999_999]})),
            vec!["userIds must refer to existing users"],
        ),
        (with(json!({"userId": null, "userIds": []})), vec!["userIds should not be empty"]),
        (
            with(json!({"userId": null, "role": "owner"})),
            vec!["role must be one of the following values: customer, admin"],
        ),
        (with(json!({"type": "news"})), vec![types]),
        (with(json!({"data": [1]})), vec!["data must be an object"]),
        (
            with(json!({"message": "m".repeat(4097)})),
            vec!["message must be shorter than or equal to 4096 characters"],
        ),
        (
            json!({"foo": 1, "all": "yes", "title": 5}),
            vec![
                "property foo should not exist",
                "all must be a boolean value",
                types,
                "type should not be empty",
                "title must be shorter than or equal to 255 characters",
                "title must be a string",
                "message must be shorter than or equal to 4096 characters",
                "message must be a string",
                "message should not be empty",
            ],
        ),
    ] {
        let answer = server.post("/notifications", &admin, &body);
        assert_eq!(
            answer.body,
            json!({"statusCode": 400, "message": faults, "error": "Bad Request"}),
            "{body}"
        );
    }
    let forbidden = server.post("/notifications", &alice, &good);
    assert_eq!(
        forbidden.body,
        json!({"statusCode": 403, "message": "Forbidden resource", "error": "Forbidden"})
    );
    assert_eq!(server.post("/notifications", "", &good).status, 401);
    assert_eq!(frames(&mut socket), no_frames());
    assert_eq!(server.post("/notifications", &admin, &good).status, 201);
    assert_eq!(newest(&server, &alice)["data"], Value::Null);
}

#[test]
fn a_repeated_key_sends_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, bob_id) = server.sign_in("bob");
    let mut socket = server.plain("/", &bob);
    let body = json!({"userId": bob_id, "type": "message", "title": "Hello", "message": "Bob"});
    let key = [("Idempotency-Key", "hello-bob")];
    let post = |server: &Server, body: &Value| {
        server.call("POST", "/notifications", &admin, &key, Some(body))
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..10).map(|_| scope.spawn(|| post(&server, &body))).collect();
        for caller in callers {
            let answer = caller.join().unwrap();
            assert_eq!((answer.status, answer.body), (201, json!({"count": 1})));
        }
    });
    assert_eq!(frames(&mut socket), new_one(&newest(&server, &bob), 1));
    assert_eq!(
        post(&server, &json!({"all": true, "type": "message", "title": "Hello", "message": "Bob"}))
            .status,
        422
    );
    server.kill();
    let server = home.serve(&[]);
    let answer = post(&server, &body);
    assert_eq!((answer.status, answer.body), (201, json!({"count": 1})));
    assert_eq!(unread(&server, &bob), 1);
}

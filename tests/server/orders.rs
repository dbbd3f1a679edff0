//! Orders through the public API: the answers of REST, and which sockets receive events.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::Home;
use serde_json::{Value, json};

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 24
        && text.ends_with('Z')
        && text.as_bytes()[10] == b'T'
        && text.as_bytes()[19] == b'.'
}

fn event<'a>(frame: &'a Value, name: &str) -> &'a Value {
    assert_eq!(frame["event"], name, "{frame}");
    &frame["data"]
}

#[test]
fn a_new_order_is_sent_to_the_admins_and_to_its_customer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let mut desk = server.plain("/admin", &admin);
    let mut main = server.plain("/", &admin);
    let mut tabs = [server.plain("/", &alice), server.plain("/", &alice)];
    let mut official = server.upgrade("/socket.io/?EIO=4&transport=websocket", "");
    assert!(official.text().starts_with(r#"0{"sid":""#));
    official.say(&format!("40/admin,{}", json!({"token": admin})));
    assert!(official.text().starts_with(r#"40/admin,{"sid":""#));
    assert!(official.text().starts_with(r#"42/admin,["session",{"#));

    let placed = server.post("/orders", &alice, &json!({"total": 19.9}));
    assert_eq!(placed.status, 201);
    let id = placed.body["id"].as_i64().unwrap();
    let created = placed.body["createdAt"].clone();
    assert!(is_time(&created), "{created}");
    assert_eq!(placed.body["total"], "19.90");
    assert_eq!(placed.body["status"], "pending");
    assert_eq!(placed.body["customerId"], alice_id);
    let payload =
        json!({"orderId": id, "customerId": alice_id, "total": "19.90", "createdAt": created});
    let heard = desk.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(*event(&heard[0], "new_order"), payload);
    let text = official.text();
    let packet: Value = serde_json::from_str(text.strip_prefix("42/admin,").unwrap()).unwrap();
    assert_eq!(packet, json!(["new_order", payload, heard[0]["offset"]]));
    let on_behalf = server.post("/orders", &admin, &json!({"total": 1, "customerId": alice_id}));
    for tab in &mut tabs {
        let [first, second] = &tab.heard()[..] else { panic!("two orders") };
        assert_eq!(*event(first, "orderCreated"), placed.body);
        assert_eq!(*event(second, "orderCreated"), on_behalf.body);
    }
    assert_eq!(main.heard(), Vec::<Value>::new());
    let read = server.get(&format!("/orders/{id}"), &alice);
    assert_eq!((read.status, &read.body["customer"]["name"]), (200, &json!("Alice")));
    assert_eq!(read.body["customer"].get("passwordHash"), None);
    assert_eq!(server.get("/orders", &alice).body[1]["id"], id, "newest first");
}

#[test]
fn a_new_status_is_sent_once_to_the_customer_and_the_admins() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    // An order of an admin, where the rooms of the customer and of the admins overlap.
    let (id, own) = {
        let id =
            server.post("/orders", &alice, &json!({"total": "5.00"})).body["id"].as_i64().unwrap();
        let own = server.post(
            "/orders",
            &admin,
            &json!({"total": 1, "customerId": server.get("/auth/me", &admin).body["id"]}),
        );
        (id, own.body["id"].as_i64().unwrap())
    };
    let mut desk = server.plain("/admin", &admin);
    let mut main = server.plain("/", &admin);
    let (mut alices, mut bobs) = (server.plain("/", &alice), server.plain("/", &bob));

    let paid = server.patch(&format!("/orders/{id}/status"), &admin, &json!({"status": "paid"}));
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("paid")));
    let update = json!({"orderId": id, "status": "paid", "previousStatus": "pending", "customerId": alice_id, "total": "5.00", "updatedAt": paid.body["updatedAt"]});
    for (socket, frames) in [(&mut desk, 1), (&mut main, 1), (&mut alices, 4)] {
        let heard = socket.heard();
        // The customer also receives the notification, under both of its names, and the count: see
        // bell.rs.
        assert_eq!(heard.len(), frames, "{heard:?}");
        assert_eq!(*event(&heard[0], "orderUpdate"), update);
    }
    assert_eq!(bobs.heard(), Vec::<Value>::new());

    let shipped = server.call("PATCH", &format!("/orders/{id}/ship"), &admin, &[], None);
    assert_eq!((shipped.status, &shipped.body["status"]), (200, &json!("shipped")));
    let heard = desk.heard();
    assert_eq!(event(&heard[0], "orderUpdate")["status"], "shipped");
    assert_eq!(
        *event(&heard[1], "order_shipped"),
        json!({"orderId": id, "customerId": alice_id, "shippedAt": shipped.body["shippedAt"]})
    );
    assert!(is_time(&shipped.body["shippedAt"]));
    assert_eq!(heard.len(), 2);
    assert_eq!(alices.heard().len(), 4);
    main.heard();

    server.patch(&format!("/orders/{own}/status"), &admin, &json!({"status": "paid"}));
    let updates = main.heard().into_iter().filter(|frame| frame["event"] == "orderUpdate").count();
    assert_eq!(updates, 1, "a socket in two of the rooms receives it once");

    for (path, body) in [
        ("ship", Value::Null),
        ("status", json!({"status": "paid"})),
        ("status", json!({"status": "cancelled"})),
    ] {
        let again = server.patch(&format!("/orders/{id}/{path}"), &admin, &body);
        assert_eq!(
            (again.status, &again.body["error"]),
            (409, &json!("Conflict")),
            "{path} {body}"
        );
    }
    assert_eq!(server.call("PATCH", &format!("/orders/{id}/ship"), &alice, &[], None).status, 403);
    desk.heard();
    assert_eq!(desk.heard(), Vec::<Value>::new());
}

#[test]
fn errors_have_the_shape_of_nest() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let (bob, bob_id) = server.sign_in("bob");
    let order = server.post("/orders", &bob, &json!({"total": 1})).body["id"].clone();

    let answer = server.post("/orders", &alice, &json!({"total": -1, "customerId": "x", "foo": 1}));
    assert_eq!(answer.status, 400);
    assert_eq!(
        (&answer.body["statusCode"], &answer.body["error"]),
        (&json!(400), &json!("Bad Request"))
    );
    let faults = answer.body["message"].as_array().unwrap();
    for fault in ["total must not be less than 0", "property foo should not exist"] {
        assert!(faults.contains(&json!(fault)), "{faults:?}");
    }
    assert!(
        faults.iter().any(|fault| fault.as_str().unwrap().starts_with("customerId must be")),
        "{faults:?}"
    );
    for total in [json!(null), json!("1.234"), json!(1.005), json!("abc"), json!([]), json!(1e20)] {
        assert_eq!(server.post("/orders", &alice, &json!({"total": total})).status, 400, "{total}");
    }
    assert_eq!(
        server.post("/orders", &alice, &json!({"total": "12345678901234.56"})).body["total"],
        "12345678901234.56"
    );

    let missing = json!({"statusCode": 404, "message": "Order with ID 999999 not found", "error": "Not Found"});
    let answer = server.get("/orders/999999", &alice);
    assert_eq!((answer.status, answer.body), (404, missing));
    let others = json!({"statusCode": 404, "message": format!("Order with ID {order} not found"), "error": "Not Found"});
    let answer = server.get(&format!("/orders/{order}"), &alice);
    assert_eq!(
        (answer.status, answer.body),
        (404, others),
        "an order of another user is not found"
    );
    let answer = server.get("/orders/x", &alice);
    assert_eq!(
        answer.body,
        json!({"statusCode": 400, "message": "Validation failed (numeric string is expected)", "error": "Bad Request"})
    );
    let answer = server.get("/nowhere", &alice);
    assert_eq!(
        answer.body,
        json!({"statusCode": 404, "message": "Cannot GET /nowhere", "error": "Not Found"})
    );
    assert_eq!(
        server.post("/orders", &alice, &json!({"total": 1, "customerId": bob_id})).status,
        403
    );
    for token in ["", "nonsense"] {
        let answer = server.get("/orders", token);
        assert_eq!((answer.status, &answer.body["message"]), (401, &json!("Unauthorized")));
    }
}

#[test]
fn orders_are_paged_by_cursor() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (bob, _) = server.sign_in("bob");
    let first = server.get("/orders", &bob).body.as_array().unwrap().len();
    for n in 0..5 {
        assert_eq!(server.post("/orders", &bob, &json!({"total": n})).status, 201);
    }
    let (mut path, mut seen) = ("/orders?limit=2".to_owned(), Vec::new());
    loop {
        let page = server.get(&path, &bob);
        let orders = page.body.as_array().unwrap();
        assert!(orders.len() <= 2);
        seen.extend(orders.iter().map(|order| order["id"].as_i64().unwrap()));
        let Some(link) = page.headers.get("link") else { break };
        let link = link.to_str().unwrap();
        assert!(link.ends_with(r#">; rel="next""#), "{link}");
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen.len(), first + 5);
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
    assert_eq!(server.get("/orders?limit=0", &bob).status, 400);
    assert_eq!(server.get("/orders?before=x", &bob).status, 400);
}

#[test]
fn a_repeated_key_returns_the_first_answer_and_sends_one_event() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let mut desk = server.plain("/admin", &admin);
    let key = [("Idempotency-Key", "k-1")];
    let body = json!({"total": 7});
    let answers: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| server.call("POST", "/orders", &alice, &key, Some(&body))))
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(desk.heard().len(), 1);
    let other = server.call("POST", "/orders", &alice, &key, Some(&json!({"total": 8})));
    assert_eq!((other.status, &other.body["error"]), (422, &json!("Unprocessable Entity")));
    let (bob, _) = server.sign_in("bob");
    assert_ne!(
        server.call("POST", "/orders", &bob, &key, Some(&body)).body["id"],
        answers[0].body["id"],
        "keys are per user"
    );
    let spoiled = [("Idempotency-Key", "k-2")];
    assert_eq!(
        server
            .call(
                "POST",
                "/orders",
                &alice,
                &spoiled,
                Some(&json!({"total": 1, "customerId": 999}))
            )
            .status,
        403
    );
    assert_eq!(
        server.call("POST", "/orders", &alice, &spoiled, Some(&body)).status,
        201,
        "a 4xx does not use up the key"
    );
    server.kill();
    let server = home.serve(&[]);
    let again = server.call("POST", "/orders", &alice, &key, Some(&body));
    assert_eq!((again.status, &again.body), (201, &answers[0].body), "also after a restart");
}

#[test]
fn a_key_belongs_to_a_path_a_method_and_a_user() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let key = [("Idempotency-Key", "k")];
    let send = |method: &str, path: &str, token: &str| {
        let answer = server.call(method, path, token, &key, Some(&json!({})));
        (answer.status, answer.body)
    };
    let products = ["Tea", "Cup"].map(|name| {
        server.post("/products", &bob, &json!({"name": name, "price": 1})).body["id"].clone()
    });
    let mut first = Vec::new();
    for product in &products {
        let path = format!("/products/{product}/waitlist");
        for (token, user) in [(&alice, alice_id), (&bob, bob_id)] {
            let (status, body) = send("POST", &path, token);
            let whole =
                json!({"productId": product, "userId": user, "createdAt": body["createdAt"]});
            assert_eq!((status, &body), (201, &whole), "an answer of its own");
            first.push((path.clone(), token, whole));
        }
    }
    for (path, token, whole) in &first {
        assert_eq!(send("DELETE", path, token), (204, Value::Null), "not the POST's answer");
        assert_eq!(send("DELETE", path, token).0, 404, "nor its own first one");
        assert_eq!(send("POST", path, token), (201, whole.clone()), "the first answer again");
        assert_eq!(send("DELETE", path, token).0, 404, "and no row");
    }
}

#[test]
#[ignore = "long: it waits for the upkeep"]
fn a_key_expires_after_a_day() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let body = json!({"total": 7});
    let send = |key: &str| {
        let answer =
            server.call("POST", "/orders", &alice, &[("Idempotency-Key", key)], Some(&body));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    };
    let (young, old) = (send("young"), send("old"));
    for (key, hours) in [("young", 23), ("old", 25)] {
        let then = (chrono::Utc::now() - chrono::TimeDelta::hours(hours)).format("%F %T");
        home.execute(&format!(
            "UPDATE idempotency_keys SET created_at = '{then}' WHERE key = '{key}'"
        ));
    }
    // The server removes old keys from time to time.
    let end = Instant::now() + Duration::from_secs(60);
    while home.number("SELECT COUNT(*) AS number FROM idempotency_keys WHERE key = 'old'") > 0 {
        assert!(Instant::now() < end, "the key is still there");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(send("young"), young);
    let new = send("old");
    assert!(new["id"].as_i64() > young["id"].as_i64(), "{new} after {old}");
}

#[test]
fn every_answered_order_survives_a_kill() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let answered: Vec<i64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..25)
                        .map(|n| {
                            server.post("/orders", &alice, &json!({"total": n})).body["id"]
                                .as_i64()
                                .unwrap()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    server.kill();
    let server = home.serve(&[]);
    for id in answered {
        assert_eq!(server.get(&format!("/orders/{id}"), &alice).status, 200, "order {id}");
    }
}

#[test]
fn an_aborted_request_writes_an_order_or_nothing() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let mut desk = server.plain("/admin", &admin);
    let before = server.get("/orders?limit=200", &admin).body.as_array().unwrap().len();
    let body = r#"{"total":3}"#;
    let request_head = format!(
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for round in 0..40 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let request = format!("{request_head}{body}");
        // Every second request ends inside its body.
        let sent = if round % 2 == 0 { &request[..request.len() - 4] } else { &request };
        stream.write_all(sent.as_bytes()).unwrap();
        if round % 4 < 2 {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }
    // Complete requests may be written, each with its event; a marker event ends the count.
    std::thread::sleep(Duration::from_millis(200));
    let marker = server.post("/orders", &admin, &json!({"total": 4})).body["id"].clone();
    let heard = desk.heard();
    assert_eq!(heard.last().unwrap()["data"]["orderId"], marker);
    let after = server.get("/orders?limit=200", &admin).body.as_array().unwrap().len();
    assert_eq!(after - before, heard.len(), "each order has its event, and each event its order");
    assert!(heard.len() <= 21);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: [::]\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

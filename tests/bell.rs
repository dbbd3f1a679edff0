//! Notifications through the public doors: what REST answers, and which sockets hear of it.

#[path = "support/bell.rs"]
mod bell;
mod support;

use bell::{frame, frames, new_one, newest, no_frames, pages, send, unread};
use serde_json::{Value, json};
use support::{Home, Server, Socket};

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
            let mut heard = frames(socket);
            assert_eq!(heard.remove(0).0, "orderUpdate");
            assert_eq!(heard, new_one(&stored, count));
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
    // A step that is refused notifies nobody, and an order of no one has nobody to notify.
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
fn an_admin_notifies_one_some_a_role_or_all_and_nobody_else_hears_of_it() {
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
            let heard = frames(socket);
            if receives {
                let expected = json!({
                    "id": stored["id"], "userId": id, "type": "promotion", "title": title, "message": "Half the price",
                    "data": {"code": "TEA"}, "isRead": false, "createdAt": stored["createdAt"],
                });
                assert_eq!(stored, expected);
                assert_eq!(heard, new_one(&stored, before + 1), "{to}");
            } else {
                assert_ne!(stored["title"], json!(title));
                assert_eq!(heard, no_frames(), "{to}");
            }
            assert_eq!(unread(&server, token), before + i64::from(receives));
        }
    }
    assert_eq!(frames(&mut desk), no_frames());
}

#[test]
fn what_cannot_be_sent_is_refused_with_every_fault_and_reaches_nobody() {
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
fn a_key_sends_once() {
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

#[test]
fn reading_and_deleting_are_told_to_all_sockets_of_the_user() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, bob_id) = server.sign_in("bob");
    for title in ["1", "2", "3", "4"] {
        send(&server, &admin, &json!({"userId": bob_id}), title);
    }
    let [fourth, third, second, first] =
        <[Value; 4]>::try_from(pages(&server, &bob, "/notifications")).unwrap();
    let path =
        |notification: &Value, verb: &str| format!("/notifications/{}{verb}", notification["id"]);
    let count = |count: i64| frame("notifications:unread", &json!({"count": count}));
    let mut bobs = [server.plain("/", &bob), server.plain("/", &bob)];
    let mut others =
        [server.plain("/", &alice), server.plain("/", &admin), server.plain("/admin", &admin)];

    let mut read = first.clone();
    read["isRead"] = json!(true);
    let answer = server.patch(&path(&first, "/read"), &bob, &Value::Null);
    assert_eq!((answer.status, &answer.body), (200, &read));
    for socket in &mut bobs {
        assert_eq!(
            frames(socket),
            [frame("notification:read", &json!({"ids": [first["id"]]})), count(3)]
        );
    }
    let answer = server.patch(&path(&first, "/read"), &bob, &Value::Null);
    assert_eq!(
        (answer.status, &answer.body),
        (200, &read),
        "again: the same answer, and nothing to tell"
    );

    let answer = server.call("DELETE", &path(&second, ""), &bob, &[], None);
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    for socket in &mut bobs {
        assert_eq!(frames(socket), [count(2)]);
    }
    let gone = json!({"statusCode": 404, "message": format!("Notification with ID {} not found", second["id"]), "error": "Not Found"});
    for (method, verb) in [("DELETE", ""), ("PATCH", "/read")] {
        let answer = server.call(method, &path(&second, verb), &bob, &[], None);
        assert_eq!((answer.status, &answer.body), (404, &gone));
        let others = server.call(method, &path(&third, verb), &admin, &[], None);
        let message = format!("Notification with ID {} not found", third["id"]);
        assert_eq!(
            (others.status, &others.body["message"]),
            (404, &json!(message)),
            "another's is not found, for an admin too"
        );
        assert_eq!(
            server.call(method, &format!("/notifications/x{verb}"), &bob, &[], None).status,
            400
        );
    }

    for updated in [2, 0] {
        let answer = server.patch("/notifications/mark-all-read", &bob, &Value::Null);
        assert_eq!((answer.status, answer.body), (200, json!({"updated": updated})));
    }
    for socket in &mut bobs {
        assert_eq!(frames(socket), [frame("notification:read", &json!({"all": true})), count(0)]);
    }
    let left: Vec<Value> = pages(&server, &bob, "/notifications");
    assert_eq!(
        left.iter().map(|one| (&one["id"], &one["isRead"])).collect::<Vec<_>>(),
        [&fourth, &third, &first].map(|one| (&one["id"], &json!(true)))
    );
    for socket in &mut others {
        assert_eq!(frames(socket), no_frames());
    }
    for (method, path) in [
        ("GET", ""),
        ("GET", "/unread-count"),
        ("PATCH", "/mark-all-read"),
        ("PATCH", "/1/read"),
        ("DELETE", "/1"),
    ] {
        assert_eq!(
            server.call(method, &format!("/notifications{path}"), "", &[], None).status,
            401
        );
    }
}

#[test]
fn lists_page_by_cursor_and_keep_to_what_is_unread() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, bob_id) = server.sign_in("bob");
    for n in 0..7 {
        send(&server, &admin, &json!({"userId": bob_id}), &n.to_string());
    }
    let all = pages(&server, &bob, "/notifications");
    assert_eq!(
        all.iter().map(|one| one["title"].as_str().unwrap()).collect::<Vec<_>>(),
        ["6", "5", "4", "3", "2", "1", "0"]
    );
    for read in [&all[1], &all[2], &all[6]] {
        server.patch(&format!("/notifications/{}/read", read["id"]), &bob, &Value::Null);
    }
    let first = server.get("/notifications?unreadOnly=true&limit=3", &bob);
    let next =
        format!(r#"</notifications?unreadOnly=true&limit=3&before={}>; rel="next""#, all[4]["id"]);
    assert_eq!(first.headers.get("link").unwrap().to_str().unwrap(), next);
    let titles = |path: &str| {
        pages(&server, &bob, path)
            .iter()
            .map(|one| one["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles("/notifications?limit=1&unreadOnly=true"), ["6", "3", "2", "1"]);
    assert_eq!(
        titles("/notifications?limit=2&unreadOnly=false"),
        ["6", "5", "4", "3", "2", "1", "0"]
    );
    assert_eq!(
        titles(&format!("/notifications?unreadOnly=true&before={}", all[3]["id"])),
        ["2", "1"]
    );
    let faults = [
        "limit must be an integer number from 1 to 200",
        "before must be a positive integer number",
        "unreadOnly must be a boolean string",
    ];
    let answer = server.get("/notifications?limit=0&before=x&unreadOnly=maybe", &bob);
    assert_eq!(answer.body, json!({"statusCode": 400, "message": faults, "error": "Bad Request"}));
}

#[test]
fn a_plain_socket_is_greeted_with_the_count_and_reads_with_an_answer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, bob_id) = server.sign_in("bob");
    for title in ["1", "2", "3"] {
        send(&server, &admin, &json!({"userId": bob_id}), title);
    }
    let mut socket = server.upgrade("/ws", &bob);
    assert_eq!(socket.next()["event"], "session");
    assert_eq!(socket.next(), json!({"event": "notifications:unread", "data": {"count": 3}}));
    let mut other = server.plain("/", &bob);
    let mut read = newest(&server, &bob);
    read["isRead"] = json!(true);
    let count = |count: i64| frame("notifications:unread", &json!({"count": count}));
    let told = [
        (
            r#"{"event":"notification:read","data":{"id":ID},"id":1}"#,
            json!({"ok": true, "notification": read}),
        ),
        (
            r#"{"event":"notification:read","data":{"id":"ID"},"id":2}"#,
            json!({"ok": true, "notification": read}),
        ),
        (r#"{"event":"notification:read-all","id":3}"#, json!({"ok": true, "updated": 2})),
        (
            r#"{"event":"notification:read","data":{"id":999},"id":4}"#,
            json!({"ok": false, "error": {"code": "not_found", "message": "Notification with ID 999 not found"}}),
        ),
    ];
    let mut before_acks = Vec::new();
    for (ask, data) in told {
        socket.say(&ask.replace("ID", &read["id"].to_string()));
        let ack = loop {
            let frame = socket.next();
            if frame.get("ack").is_some() {
                break frame;
            }
            before_acks.push((frame["event"].as_str().unwrap().to_owned(), frame["data"].clone()));
        };
        assert_eq!(ack["data"], data, "{ask}");
    }
    let expected = [
        frame("notification:read", &json!({"ids": [read["id"]]})),
        count(2),
        frame("notification:read", &json!({"all": true})),
        count(0),
    ];
    assert_eq!(before_acks, expected, "who reads hears of it before its ack");
    assert_eq!(frames(&mut other), expected);
}

//! Payments through the public API: amounts due, and who is notified.

use crate::support::bell;
use crate::support::shop;

use crate::support::{Answer, Home, Server, Socket};
use bell::{frame, frames, new_one, newest, no_frames, pages, unread};
use serde_json::{Value, json};
use shop::{cancel, content, order, product, second_admin, stock};

fn place(server: &Server, token: &str, total: &str) -> Value {
    server.post("/orders", token, &json!({"total": total})).body
}

fn pay(server: &Server, token: &str, order: &Value, amount: &str) -> Answer {
    server.post(&format!("/orders/{}/payments", order["id"]), token, &json!({"amount": amount}))
}

fn received(order: &Value, payment: &Value) -> Value {
    let (id, amount, due) =
        (&order["id"], payment["amount"].as_str().unwrap(), payment["due"].as_str().unwrap());
    json!({
        "type": "payment_received", "title": format!("Payment for order {id}"),
        "message": format!("{amount} was paid for order {id}, {due} is still due."),
        "data": {"orderId": id, "paymentId": payment["id"], "amount": amount},
    })
}

#[test]
fn an_order_can_be_paid_in_parts_and_becomes_paid_with_the_last() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let (carla, _) = second_admin(&home, &server);
    let order = place(&server, &alice, "10.00");
    let path = format!("/orders/{}/payments", order["id"]);
    let mut admins = [(server.plain("/", &admin), &admin), (server.plain("/", &carla), &carla)];
    let mut desk = server.plain("/admin", &admin);
    let (mut alices, mut bobs) = (server.plain("/", &alice), server.plain("/", &bob));

    let part = server.post(&path, &alice, &json!({"amount": 4.5, "method": "card"}));
    let expected = json!({
        "id": part.body["id"], "orderId": order["id"], "amount": "4.50", "method": "card", "createdAt": part.body["createdAt"],
        "due": "5.50", "orderStatus": "pending",
    });
    assert_eq!((part.status, &part.body), (201, &expected));
    for (socket, token) in &mut admins {
        let stored = newest(&server, token);
        assert_eq!(content(&stored), received(&order, &part.body));
        assert_eq!(frames(socket), new_one(&stored, unread(&server, token)));
    }
    for socket in [&mut alices, &mut bobs, &mut desk] {
        assert_eq!(frames(socket), no_frames());
    }
    assert_eq!(server.get(&format!("/orders/{}", order["id"]), &alice).body["status"], "pending");

    let rest = server.post(&path, &alice, &json!({"amount": "5.5"}));
    let expected = json!({
        "id": rest.body["id"], "orderId": order["id"], "amount": "5.50", "method": null, "createdAt": rest.body["createdAt"],
        "due": "0.00", "orderStatus": "paid",
    });
    assert_eq!((rest.status, &rest.body), (201, &expected));
    let now = server.get(&format!("/orders/{}", order["id"]), &alice).body;
    assert_eq!(now["status"], "paid");
    let update = json!({
        "orderId": order["id"], "status": "paid", "previousStatus": "pending", "customerId": alice_id, "total": "10.00",
        "updatedAt": now["updatedAt"],
    });
    let update = frame("orderUpdate", &update);
    for (socket, token) in &mut admins {
        let stored = newest(&server, token);
        assert_eq!(content(&stored), received(&order, &rest.body));
        let mut expected = vec![update.clone()];
        expected.extend(new_one(&stored, unread(&server, token)));
        assert_eq!(frames(socket), expected);
    }
    let step = newest(&server, &alice);
    assert_eq!(
        step["data"],
        json!({"orderId": order["id"], "status": "paid", "previousStatus": "pending"})
    );
    let mut expected = vec![update.clone()];
    expected.extend(new_one(&step, unread(&server, &alice)));
    assert_eq!(frames(&mut alices), expected);
    assert_eq!(frames(&mut desk), [update]);
    assert_eq!(frames(&mut bobs), no_frames());
}

#[test]
fn an_invalid_payment_is_refused_and_nobody_is_notified() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let [open, paid, cancelled, free] =
        ["10.00", "1.00", "2.00", "0.00"].map(|total| place(&server, &alice, total));
    assert_eq!(
        pay(&server, &admin, &paid, "1.00").body["orderStatus"],
        "paid",
        "an admin may pay for anyone"
    );
    assert_eq!(cancel(&server, &admin, &cancelled).status, 200);
    let mut sockets =
        [server.plain("/", &admin), server.plain("/admin", &admin), server.plain("/", &alice)];

    for (order, amount, message) in [
        (&open, "10.01", format!("Order with ID {} has only 10.00 due", open["id"])),
        (&free, "0.01", format!("Order with ID {} has only 0.00 due", free["id"])),
        (&paid, "0.01", format!("Order with ID {} is already paid", paid["id"])),
        (&cancelled, "2.00", format!("Order with ID {} is already cancelled", cancelled["id"])),
    ] {
        let answer = pay(&server, &alice, order, amount);
        assert_eq!(
            answer.body,
            json!({"statusCode": 409, "message": message, "error": "Conflict"})
        );
    }
    let hidden = json!({"statusCode": 404, "message": format!("Order with ID {} not found", open["id"]), "error": "Not Found"});
    assert_eq!(
        pay(&server, &bob, &open, "1").body,
        hidden,
        "an order of another user is not found"
    );
    assert_eq!(pay(&server, &alice, &json!({"id": 999_999}), "1").status, 404);
    assert_eq!(pay(&server, "", &open, "1").status, 401);
    let (positive, number) = (
        "amount must be a positive number",
        "amount must be a number conforming to the specified constraints",
    );
    for (body, faults) in [
        (json!({"amount": 0}), vec![positive]),
        (json!({"amount": -5, "method": ""}), vec![positive, "method should not be empty"]),
        (json!({"amount": "1.001"}), vec![number]),
        (
            json!({"total": 1}),
            vec!["property total should not exist", positive, number, "amount should not be empty"],
        ),
    ] {
        let answer = server.post(&format!("/orders/{}/payments", open["id"]), &alice, &body);
        assert_eq!(
            answer.body,
            json!({"statusCode": 400, "message": faults, "error": "Bad Request"}),
            "{body}"
        );
    }
    for socket in &mut sockets {
        assert_eq!(frames(socket), no_frames());
    }
    assert_eq!(
        pay(&server, &alice, &open, "10.00").body["due"],
        "0.00",
        "the whole amount is still due"
    );
}

#[test]
fn concurrent_payments_never_exceed_the_amount_due() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let order = place(&server, &alice, "10.00");
    let mut alices = server.plain("/", &alice);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let payers: Vec<_> =
            (0..20).map(|_| scope.spawn(|| pay(&server, &alice, &order, "3.00"))).collect();
        payers.into_iter().map(|payer| payer.join().unwrap()).collect()
    });
    let mut dues: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.body["due"].as_str().unwrap())
        .collect();
    dues.sort_unstable();
    assert_eq!(dues, ["1.00", "4.00", "7.00"]);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(
            refused.body["message"],
            format!("Order with ID {} has only 1.00 due", order["id"])
        );
    }
    let last: Vec<Answer> = std::thread::scope(|scope| {
        let payers: Vec<_> =
            (0..5).map(|_| scope.spawn(|| pay(&server, &alice, &order, "1.00"))).collect();
        payers.into_iter().map(|payer| payer.join().unwrap()).collect()
    });
    assert_eq!(last.iter().filter(|answer| answer.status == 201).count(), 1);
    let updates =
        frames(&mut alices).into_iter().filter(|(event, _)| event == "orderUpdate").count();
    assert_eq!(updates, 1, "it becomes paid only once");
    let notices = pages(&server, &admin, "/notifications")
        .into_iter()
        .filter(|one| one["data"]["orderId"] == order["id"])
        .count();
    assert_eq!(notices, 4);
}

#[test]
fn a_payment_and_a_concurrent_cancellation_are_serialized() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    for _ in 0..10 {
        let order = place(&server, &alice, "1.00");
        let (paid, cancelled) = std::thread::scope(|scope| {
            let payer = scope.spawn(|| pay(&server, &alice, &order, "1.00").status);
            let cancelled = cancel(&server, &admin, &order).status;
            (payer.join().unwrap(), cancelled)
        });
        let status = server.get(&format!("/orders/{}", order["id"]), &alice).body["status"].clone();
        // A cancellation can follow a payment, but not the other way round. A request that read
        // before the other step and writes after it is refused.
        let outcome = (paid, cancelled, status.as_str().unwrap());
        assert!(
            [(201, 200, "cancelled"), (409, 200, "cancelled"), (201, 409, "paid")]
                .contains(&outcome),
            "{outcome:?}"
        );
    }
}

#[test]
fn customers_do_not_pay_with_customer_payments_off() {
    let home = Home::new();
    let server = home.serve(&[("CUSTOMER_PAYMENTS", "off")]);
    let ((admin, _), (alice, _)) = (server.sign_in("admin"), server.sign_in("alice"));
    let (bob, _) = server.sign_in("bob");
    let order = place(&server, &alice, "1.00");
    let mut desk = server.plain("/", &admin);
    let refused = pay(&server, &alice, &order, "1.00");
    let forbidden =
        json!({"statusCode": 403, "message": "Forbidden resource", "error": "Forbidden"});
    assert_eq!((refused.status, refused.body), (403, forbidden));
    assert_eq!(pay(&server, &bob, &order, "1.00").status, 404);
    assert_eq!(frames(&mut desk), no_frames());
    let paid = pay(&server, &admin, &order, "1.00");
    assert_eq!((paid.status, &paid.body["orderStatus"]), (201, &json!("paid")));
}

#[test]
fn a_repeated_key_pays_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let order = place(&server, &alice, "10.00");
    let path = format!("/orders/{}/payments", order["id"]);
    let post =
        |body: Value| server.call("POST", &path, &alice, &[("Idempotency-Key", "p")], Some(&body));
    let first = post(json!({"amount": "4.00"}));
    let again = post(json!({"amount": "4.00"}));
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(post(json!({"amount": "6.00"})).status, 422);
    assert_eq!(pay(&server, &alice, &order, "6.00").body["due"], "0.00");
}

/// The next frames about this order, up to the first of that name.
fn next_about(socket: &mut Socket, order: &Value, last: &str) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    loop {
        let frame = socket.next();
        let (event, data) = (frame["event"].as_str().unwrap().to_owned(), &frame["data"]);
        if [&data["orderId"], &data["data"]["orderId"]].contains(&&order["id"]) {
            heard.push((event.clone(), data.clone()));
            if event == last {
                return heard;
            }
        }
    }
}

#[test]
fn an_order_of_which_nothing_was_paid_is_cancelled_after_the_hold() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((admin, _), (alice, alice_id)) = (server.sign_in("admin"), server.sign_in("alice"));
    let (bob, _) = server.sign_in("bob");
    let (tea, cup) = (product(&server, &admin, "Tea", 9, 0), product(&server, &admin, "Cup", 1, 0));
    let [part, paid] = [2, 3].map(|n| order(&server, &alice, &[(&tea, n)]).body);
    for (kept, amount) in [(&part, "0.01"), (&paid, "7.50")] {
        assert_eq!(pay(&server, &alice, kept, amount).status, 201);
    }
    let old = order(&server, &alice, &[(&cup, 1)]).body;
    let path = format!("/products/{}/waitlist", cup["id"]);
    assert_eq!(server.post(&path, &bob, &Value::Null).status, 201);
    server.stop();

    let server = home.serve(&[("ORDER_HOLD", "1s")]);
    let (mut alices, mut desk) = (server.plain("/", &alice), server.plain("/admin", &admin));
    let new = order(&server, &alice, &[(&tea, 4)]).body;
    let heard = next_about(&mut alices, &new, "notification");
    let now = server.get(&format!("/orders/{}", new["id"]), &alice).body;
    let update = json!({
        "orderId": new["id"], "status": "cancelled", "previousStatus": "pending",
        "customerId": alice_id, "total": "10.00", "updatedAt": now["updatedAt"],
    });
    let update = frame("orderUpdate", &update);
    let seen = server.get("/notifications?limit=1", &alice).body[0].clone();
    let notice = json!({"orderId": new["id"], "status": "cancelled", "previousStatus": "pending"});
    assert_eq!((&seen["type"], &seen["data"]), (&json!("order_status"), &notice));
    let told = [update.clone(), frame("notification", &seen)];
    assert_eq!(
        heard.into_iter().filter(|(event, _)| event != "orderCreated").collect::<Vec<_>>(),
        told
    );
    assert_eq!(next_about(&mut desk, &new, "orderUpdate").last(), Some(&update));

    // Older orders come first: that one was cancelled too, and who waited for its cup was told.
    let status = |order: &Value| {
        server.get(&format!("/orders/{}", order["id"]), &alice).body["status"].clone()
    };
    assert_eq!(
        [&old, &part, &paid, &new].map(status),
        ["cancelled", "pending", "paid", "cancelled"]
    );
    assert_eq!([&tea, &cup].map(|one| stock(&server, &alice, one)), [4, 1]);
    let back = newest(&server, &bob);
    assert_eq!((&back["type"], &back["data"]["productId"]), (&json!("back_in_stock"), &cup["id"]));
    // It is announced once, and can no longer be paid.
    let late = pay(&server, &alice, &new, "10.00");
    assert_eq!(late.body["message"], format!("Order with ID {} is already cancelled", new["id"]));
    let again = frames(&mut alices).into_iter().filter(|(event, _)| event == "orderUpdate");
    assert_eq!(again.count(), 0);
}

//! Orders with items through the public API: their effect on the stock, and who is notified.

use crate::support::bell;
use crate::support::shop;

use crate::support::{Home, Server};
use bell::{frame, frames, new_one, newest, no_frames, pages, unread};
use serde_json::{Value, json};
use shop::{cancel, content, low_stock, order, product, second_admin, stock};

/// Makes concurrent calls and returns their answers.
fn concurrently<T: Send>(times: usize, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let call = &call;
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..times).map(|n| scope.spawn(move || call(n))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

fn low_stock_notices(server: &Server, admin: &str, product: &Value) -> usize {
    let all = pages(server, admin, "/notifications?limit=200");
    all.iter()
        .filter(|one| one["type"] == "low_stock" && one["data"]["productId"] == product["id"])
        .count()
}

#[test]
fn an_order_reduces_the_stock_and_the_admins_are_notified_of_low_stock() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, admin_id) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let (carla, carla_id) = second_admin(&home, &server);
    let (tea, cup) = (product(&server, &bob, "Tea", 10, 5), product(&server, &bob, "Cup", 10, 5));
    let mut desk = server.plain("/admin", &admin);
    let mut admins = [
        (server.plain("/", &admin), &admin, admin_id),
        (server.plain("/", &carla), &carla, carla_id),
    ];
    let mut customers = [server.plain("/", &alice), server.plain("/", &bob)];

    // The cup comes first, and the tea appears twice.
    let placed = order(&server, &alice, &[(&cup, 1), (&tea, 2), (&tea, 4)]);
    let items = json!([
        {"productId": cup["id"], "name": "Cup", "quantity": 1, "price": "2.50"},
        {"productId": tea["id"], "name": "Tea", "quantity": 6, "price": "2.50"},
    ]);
    let id = &placed.body["id"];
    let mut expected = json!({
        "id": id, "customerId": alice_id, "total": "17.50", "status": "pending", "createdAt": placed.body["createdAt"],
        "updatedAt": placed.body["createdAt"], "shippedAt": null, "items": items,
    });
    assert_eq!((placed.status, &placed.body), (201, &expected));
    assert_eq!((stock(&server, &alice, &cup), stock(&server, &alice, &tea)), (9, 4));

    let new_order = json!({"orderId": id, "customerId": alice_id, "total": "17.50", "createdAt": placed.body["createdAt"]});
    assert_eq!(frames(&mut desk), [frame("new_order", &new_order)]);
    for (socket, token, id) in &mut admins {
        let stored = newest(&server, token);
        assert_eq!((content(&stored), &stored["userId"]), (low_stock(&tea, 4, 5), &json!(id)));
        let count = unread(&server, token);
        assert_eq!(frames(socket), new_one(&stored, count));
    }
    let [of_alice, of_bob] = &mut customers;
    assert_eq!(frames(of_alice), [frame("orderCreated", &placed.body)]);
    assert_eq!(frames(of_bob), no_frames());

    expected["customer"] = server.get("/auth/me", &alice).body;
    assert_eq!(server.get(&format!("/orders/{id}"), &alice).body, expected);
    let bare = server.post("/orders", &alice, &json!({"total": 1}));
    assert_eq!(bare.body["items"], json!([]));
    let mut second = bare.body.clone();
    second["customer"] = expected["customer"].clone();
    assert_eq!(server.get("/orders?limit=2", &alice).body, json!([second, expected]));
    assert_eq!(server.get(&format!("/orders/{id}"), &bob).status, 404);

    // Items keep the price and name of the time of the order, even after their product is removed.
    server.patch(&format!("/products/{}", cup["id"]), &bob, &json!({"name": "Mug", "price": 9}));
    assert_eq!(
        server.call("DELETE", &format!("/products/{}", tea["id"]), &bob, &[], None).status,
        204
    );
    expected["items"][1]["productId"] = Value::Null;
    assert_eq!(server.get(&format!("/orders/{id}"), &alice).body, expected);
    assert_eq!(cancel(&server, &admin, &placed.body).status, 200);
    assert_eq!(
        stock(&server, &alice, &cup),
        10,
        "the stock of products that still exist is returned"
    );
}

#[test]
fn a_refused_order_changes_no_stock_and_sends_nothing() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (tea, cup) =
        (product(&server, &alice, "Tea", 10, 8), product(&server, &alice, "Cup", 3, 0));
    let mut sockets =
        [server.plain("/", &admin), server.plain("/admin", &admin), server.plain("/", &alice)];
    let before = server.get("/orders?limit=1", &admin).body;

    let short = order(&server, &alice, &[(&tea, 5), (&cup, 4)]);
    let message = format!("Product with ID {} has only 3 in stock", cup["id"]);
    assert_eq!(short.body, json!({"statusCode": 409, "message": message, "error": "Conflict"}));
    let (tea_id, items) = (&tea["id"], json!([{"productId": tea["id"], "quantity": 5}]));
    let quantity =
        |quantity: Value| json!({"items": [{"productId": tea_id, "quantity": quantity}]});
    let product_faults = vec![
        "items.0.productId must be a positive number",
        "items.0.productId must be a number conforming to the specified constraints",
        "items.0.productId should not be empty",
    ];
    let total = "total must be a number conforming to the specified constraints";
    for (body, faults) in [
        (json!({"items": items, "total": "12.49"}), vec!["total must be equal to 12.50"]),
        (json!({"items": items, "total": -1}), vec!["total must not be less than 0"]),
        (json!({"items": 5}), vec!["items must be an array"]),
        (json!({"items": []}), vec!["items must contain at least 1 elements"]),
        (
            json!({"items": vec![items[0].clone(); 101]}),
            vec!["items must contain no more than 100 elements"],
        ),
        (quantity(json!(0)), vec!["items.0.quantity must not be less than 1"]),
        (quantity(json!(1.5)), vec!["items.0.quantity must be an integer number"]),
        (json!({"items": [{"quantity": 1}]}), product_faults),
        (
            json!({"items": [items[0], {"productId": 999_998, "quantity": 1}, {"productId": 999_999, "quantity": 1}]}),
            vec![
                "items.1.productId must refer to an existing product",
                "items.2.productId must refer to an existing product",
            ],
        ),
        (
            json!({"items": null}),
            vec!["total must not be less than 0", total, "total should not be empty"],
        ),
    ] {
        let answer = server.post("/orders", &alice, &body);
        assert_eq!(
            answer.body,
            json!({"statusCode": 400, "message": faults, "error": "Bad Request"}),
            "{body}"
        );
    }
    let nobody = server.post("/orders", &admin, &json!({"items": items, "customerId": 999_999}));
    assert_eq!(nobody.body["message"], json!(["customerId must refer to an existing user"]));
    let admin_id = &server.get("/auth/me", &admin).body["id"];
    assert_eq!(
        server.post("/orders", &alice, &json!({"items": items, "customerId": admin_id})).status,
        403
    );

    assert_eq!((stock(&server, &alice, &tea), stock(&server, &alice, &cup)), (10, 3));
    assert_eq!(server.get("/orders?limit=1", &admin).body, before);
    for socket in &mut sockets {
        assert_eq!(frames(socket), no_frames());
    }
    // Any notation of the right total is accepted. An admin may ask for another total.
    assert_eq!(
        server.post("/orders", &alice, &json!({"items": items, "total": "12.5"})).body["total"],
        "12.50"
    );
    let cheaper = server.post("/orders", &admin, &json!({"items": items, "total": 1}));
    assert_eq!(
        (cheaper.status, &cheaper.body["total"], &cheaper.body["customerId"]),
        (201, &json!("1.00"), &Value::Null)
    );
}

#[test]
fn fifty_concurrent_orders_for_ten_pieces_sell_ten() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let tea = product(&server, &alice, "Tea", 10, 5);
    let mut desk = server.plain("/admin", &admin);
    let answers = concurrently(50, |_| order(&server, &alice, &[(&tea, 1)]));
    let (sold, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((sold.len(), refused.len()), (10, 40));
    let message = format!("Product with ID {} has only 0 in stock", tea["id"]);
    for answer in refused {
        assert_eq!(
            answer.body,
            json!({"statusCode": 409, "message": message, "error": "Conflict"})
        );
    }
    assert_eq!(stock(&server, &alice, &tea), 0);
    let told: Vec<_> = frames(&mut desk);
    assert_eq!(told.len(), 10, "{told:?}");
    assert_eq!(
        low_stock_notices(&server, &admin, &tea),
        1,
        "the stock fell below the threshold once"
    );
    assert_eq!(content(&newest(&server, &admin)), low_stock(&tea, 5, 5));
}

#[test]
fn concurrent_orders_for_the_same_products_do_not_deadlock() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let (tea, cup) =
        (product(&server, &alice, "Tea", 1000, 999), product(&server, &alice, "Cup", 1000, 999));
    let answers = concurrently(40, |n| {
        let lines = if n % 2 == 0 { [(&tea, 1), (&cup, 1)] } else { [(&cup, 1), (&tea, 1)] };
        let placed = order(&server, if n % 4 < 2 { &alice } else { &bob }, &lines);
        if n % 5 == 0 { cancel(&server, &admin, &placed.body).status } else { placed.status }
    });
    assert!(answers.iter().all(|status| *status == 200 || *status == 201), "{answers:?}");
    assert_eq!((stock(&server, &alice, &tea), stock(&server, &alice, &cup)), (968, 968));
}

#[test]
fn a_cancelled_order_returns_its_stock_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let tea = product(&server, &bob, "Tea", 10, 0);
    let mut alices = server.plain("/", &alice);
    for status in ["pending", "paid"] {
        let placed = order(&server, &alice, &[(&tea, 4)]).body;
        if status == "paid" {
            server.patch(
                &format!("/orders/{}/status", placed["id"]),
                &admin,
                &json!({"status": "paid"}),
            );
        }
        alices.heard();
        assert_eq!(stock(&server, &alice, &tea), 6);
        let mut answers = concurrently(2, |_| cancel(&server, &admin, &placed));
        answers.sort_by_key(|answer| answer.status);
        assert_eq!((answers[0].status, answers[1].status), (200, 409));
        assert_eq!(
            (&answers[0].body["status"], answers[0].body.get("items")),
            (&json!("cancelled"), None)
        );
        assert_eq!(stock(&server, &alice, &tea), 10);
        let updates =
            frames(&mut alices).into_iter().filter(|(event, _)| event == "orderUpdate").count();
        assert_eq!(updates, 1);
    }
    let shipped = order(&server, &alice, &[(&tea, 1)]).body;
    for status in ["paid", "shipped"] {
        server.patch(
            &format!("/orders/{}/status", shipped["id"]),
            &admin,
            &json!({"status": status}),
        );
    }
    assert_eq!(cancel(&server, &admin, &shipped).status, 409);
    assert_eq!(stock(&server, &alice, &tea), 9);
}

#[test]
fn low_stock_is_reported_once_each_time_the_stock_falls() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let tea = product(&server, &alice, "Tea", 10, 5);
    let path = format!("/products/{}", tea["id"]);
    let mut main = server.plain("/", &admin);
    for (change, told) in [
        (json!({"stock": 6}), None),
        (json!({"stock": 5}), Some((5, 5))),
        (json!({"stock": 3}), None),
        (json!({"stock": 7}), None),
        (json!({"lowStockThreshold": 7}), Some((7, 7))),
        (json!({"name": "Green tea"}), None),
        (json!({"stock": 0, "lowStockThreshold": 0}), None),
    ] {
        let changed = server.patch(&path, &alice, &change).body;
        let mut expected = vec![frame(
            "productUpdated",
            &json!({"productId": tea["id"], "action": "updated", "product": changed}),
        )];
        if let Some((stock, threshold)) = told {
            let stored = newest(&server, &admin);
            assert_eq!(content(&stored), low_stock(&tea, stock, threshold));
            expected.extend(new_one(&stored, unread(&server, &admin)));
        }
        assert_eq!(frames(&mut main), expected, "{change}");
    }
    assert_eq!(product(&server, &alice, "Sold out", 0, 5)["stock"], 0);
    assert_eq!(
        low_stock_notices(&server, &admin, &tea),
        2,
        "the stock of a new product has not fallen"
    );
}

#[test]
fn a_repeated_key_reduces_the_stock_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let tea = product(&server, &alice, "Tea", 10, 0);
    let body = json!({"items": [{"productId": tea["id"], "quantity": 4}]});
    let key = [("Idempotency-Key", "four")];
    let answers = concurrently(10, |_| server.call("POST", "/orders", &alice, &key, Some(&body)));
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(stock(&server, &alice, &tea), 6);
    let more = json!({"items": [{"productId": tea["id"], "quantity": 7}]});
    let short = [("Idempotency-Key", "seven")];
    assert_eq!(server.call("POST", "/orders", &alice, &short, Some(&more)).status, 409);
    server.patch(&format!("/products/{}", tea["id"]), &alice, &json!({"stock": 7}));
    assert_eq!(
        server.call("POST", "/orders", &alice, &short, Some(&more)).status,
        201,
        "a 4xx does not use up the key"
    );
}

//! Waitlists through the public API: who is on one, and who is notified when a product is in stock
//! again.

use crate::support::bell;
use crate::support::shop;

use crate::support::{Answer, Home, Server};
use bell::{frame, frames, new_one, newest, no_frames, unread};
use serde_json::{Value, json};
use shop::{back_in_stock, cancel, content, order, product, stock};

fn wait_for(server: &Server, token: &str, product: &Value) -> Answer {
    server.post(&format!("/products/{}/waitlist", product["id"]), token, &json!({}))
}

fn leave(server: &Server, token: &str, product: &Value) -> Answer {
    server.call("DELETE", &format!("/products/{}/waitlist", product["id"]), token, &[], None)
}

#[test]
fn a_user_joins_and_leaves_a_waitlist_once() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let tea = product(&server, &bob, "Tea", 3, 0);
    let first = wait_for(&server, &alice, &tea);
    let expected =
        json!({"productId": tea["id"], "userId": alice_id, "createdAt": first.body["createdAt"]});
    assert_eq!((first.status, &first.body), (201, &expected), "the stock does not matter");
    let path = format!("/products/{}/waitlist", tea["id"]);
    for headers in [&[][..], &[("Idempotency-Key", "tea")], &[("Idempotency-Key", "tea")]] {
        let again = server.call("POST", &path, &alice, headers, None);
        assert_eq!((again.status, &again.body), (201, &expected));
    }
    let gone = leave(&server, &alice, &tea);
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    let message = format!("Waitlist entry of product with ID {} not found", tea["id"]);
    for token in [&alice, &bob] {
        assert_eq!(
            leave(&server, token, &tea).body,
            json!({"statusCode": 404, "message": message, "error": "Not Found"})
        );
    }
    let unknown = json!({"statusCode": 404, "message": "Product with ID 999999 not found", "error": "Not Found"});
    for method in ["POST", "DELETE"] {
        assert_eq!(
            server.call(method, "/products/999999/waitlist", &alice, &[], None).body,
            unknown
        );
        assert_eq!(server.call(method, &path, "", &[], None).status, 401);
    }
    assert_eq!(
        server.post(&path, &alice, &json!({"foo": 1})).body["message"],
        json!(["property foo should not exist"])
    );
}

#[test]
fn each_waiting_user_is_notified_once_when_stock_returns() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let tea = product(&server, &bob, "Tea", 0, 0);
    let cup = product(&server, &bob, "Cup", 0, 0);
    wait_for(&server, &alice, &tea);
    wait_for(&server, &bob, &cup);
    wait_for(&server, &admin, &tea);
    leave(&server, &admin, &tea);
    let mut alices = server.plain("/", &alice);
    let mut others = [server.plain("/", &bob), server.plain("/", &admin)];
    let mut desk = server.plain("/admin", &admin);
    let path = format!("/products/{}", tea["id"]);
    for (change, told) in [
        (json!({"price": 3}), false),
        (json!({"stock": 2}), true),
        // The waitlist is empty now.
        (json!({"stock": 0}), false),
        (json!({"stock": 7}), false),
    ] {
        let changed = server.patch(&path, &bob, &change).body;
        let updated = frame(
            "productUpdated",
            &json!({"productId": tea["id"], "action": "updated", "product": changed}),
        );
        let mut expected = vec![updated.clone()];
        if told {
            let stored = newest(&server, &alice);
            assert_eq!(
                (content(&stored), &stored["userId"]),
                (back_in_stock(&tea, 2), &json!(alice_id))
            );
            expected.extend(new_one(&stored, unread(&server, &alice)));
        }
        assert_eq!(frames(&mut alices), expected, "{change}");
        for socket in &mut others {
            // Stock 0 is at the threshold, which notifies the admins.
            let mut heard = frames(socket);
            heard.retain(|(_, data)| data["type"] != "low_stock" && data.get("count").is_none());
            assert_eq!(heard, std::slice::from_ref(&updated), "{change}");
        }
    }
    assert_eq!(frames(&mut desk), no_frames());
    // An increase from more than zero is no return, so the waitlist stays.
    wait_for(&server, &alice, &tea);
    server.patch(&path, &bob, &json!({"stock": 9}));
    assert_eq!(frames(&mut alices).len(), 1, "only the product event");
    assert_eq!(leave(&server, &alice, &tea).status, 204);
}

#[test]
fn a_cancelled_order_notifies_its_customer_and_the_waitlist() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, bob_id) = server.sign_in("bob");
    let tea = product(&server, &admin, "Tea", 2, 0);
    let placed = order(&server, &alice, &[(&tea, 2)]).body;
    wait_for(&server, &bob, &tea);
    let (mut alices, mut bobs) = (server.plain("/", &alice), server.plain("/", &bob));
    assert_eq!(cancel(&server, &admin, &placed).status, 200);
    assert_eq!(stock(&server, &bob, &tea), 2);
    let stored = newest(&server, &bob);
    assert_eq!((content(&stored), &stored["userId"]), (back_in_stock(&tea, 2), &json!(bob_id)));
    assert_eq!(frames(&mut bobs), new_one(&stored, unread(&server, &bob)));
    let step = newest(&server, &alice);
    assert_eq!(step["type"], "order_status");
    let heard = frames(&mut alices);
    assert_eq!(
        (heard[0].0.as_str(), &heard[1..]),
        ("orderUpdate", &new_one(&step, unread(&server, &alice))[..])
    );
}

#[test]
fn concurrent_cancellations_do_not_deadlock() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    for _ in 0..10 {
        let of = |customer: &String, waiting: &String| {
            let product = product(&server, &admin, "Rare", 1, 0);
            let placed = order(&server, customer, &[(&product, 1)]).body;
            assert_eq!(wait_for(&server, waiting, &product).status, 201);
            placed
        };
        let orders = [of(&alice, &bob), of(&bob, &alice)];
        let answers = std::thread::scope(|scope| {
            let callers = orders
                .each_ref()
                .map(|order| scope.spawn(|| cancel(&server, &admin, order).status));
            callers.map(|caller| caller.join().unwrap())
        });
        assert_eq!(answers, [200, 200]);
    }
}

#[test]
fn a_waitlist_of_a_thousand_users_is_notified_completely() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let tea = product(&server, &alice, "Tea", 0, 0);
    let rows =
        |values: &dyn Fn(usize) -> String| (0..999).map(values).collect::<Vec<_>>().join(", ");
    let users = rows(&|n| {
        format!("({}, 'u{n}@x.test', 'u{n}@x.test', 'U', '', 'customer', '2026-01-01')", 10_000 + n)
    });
    let places = rows(&|n| format!("({}, {}, '2026-01-01')", tea["id"], 10_000 + n));
    home.execute(&format!("INSERT INTO users (id, email, email_key, name, password_hash, role, created_at) VALUES {users}"));
    home.execute(&format!(
        "INSERT INTO waitlist (product_id, user_id, created_at) VALUES {places}"
    ));
    assert_eq!(wait_for(&server, &alice, &tea).status, 201);
    let full = json!({"statusCode": 409, "message": format!("The waitlist of product with ID {} is full", tea["id"]), "error": "Conflict"});
    assert_eq!(wait_for(&server, &bob, &tea).body, full);
    assert_eq!(wait_for(&server, &alice, &tea).status, 201, "a user on the list stays on it");
    let mut alices = server.plain("/", &alice);
    assert_eq!(
        server.patch(&format!("/products/{}", tea["id"]), &alice, &json!({"stock": 1})).status,
        200
    );
    assert_eq!(
        frames(&mut alices)[1..],
        new_one(&newest(&server, &alice), unread(&server, &alice))
    );
    assert_eq!(wait_for(&server, &bob, &tea).status, 201, "the list is empty again");
}

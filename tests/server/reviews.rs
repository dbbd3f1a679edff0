//! Reviews through the public API: the answers of REST, and who is notified.

use crate::support::bell;
use crate::support::shop;

use crate::support::Home;
use bell::{frames, new_one, newest, no_frames, pages, unread};
use serde_json::{Value, json};
use shop::{content, product, second_admin};

#[test]
fn a_review_is_listed_and_notifies_each_admin_and_nobody_else() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, admin_id) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, bob_id) = server.sign_in("bob");
    let (carla, carla_id) = second_admin(&home, &server);
    let tea = product(&server, &alice, "Tea", 5, 0);
    let path = format!("/products/{}/reviews", tea["id"]);
    let mut admins = [
        (server.plain("/", &admin), &admin, admin_id),
        (server.plain("/", &carla), &carla, carla_id),
    ];
    let mut others =
        [server.plain("/", &alice), server.plain("/", &bob), server.plain("/admin", &admin)];
    let mut written = Vec::new();
    for (body, comment) in [
        (json!({"rating": 4, "comment": "Good"}), json!("Good")),
        (json!({"rating": 1}), Value::Null),
        (json!({"rating": 5, "comment": ""}), Value::Null),
    ] {
        let answer = server.post(&path, &bob, &body);
        let expected = json!({
            "id": answer.body["id"], "productId": tea["id"], "userId": bob_id, "userName": "Bob", "rating": body["rating"],
            "comment": comment, "createdAt": answer.body["createdAt"],
        });
        assert_eq!((answer.status, &answer.body), (201, &expected));
        let notice = json!({
            "type": "new_review", "title": "New review: Tea", "message": format!("Bob gave Tea {} of 5.", body["rating"]),
            "data": {"productId": tea["id"], "reviewId": answer.body["id"], "rating": body["rating"]},
        });
        for (socket, token, id) in &mut admins {
            let stored = newest(&server, token);
            assert_eq!((content(&stored), &stored["userId"]), (notice.clone(), &json!(id)));
            assert_eq!(frames(socket), new_one(&stored, unread(&server, token)));
        }
        written.insert(0, answer.body);
    }
    for socket in &mut others {
        assert_eq!(frames(socket), no_frames());
    }
    for token in [&alice, &bob, &admin] {
        assert_eq!(pages(&server, token, &format!("{path}?limit=2")), written);
    }
    assert_eq!(
        server
            .get(
                &format!("/products/{}/reviews", product(&server, &alice, "New", 0, 0)["id"]),
                &bob
            )
            .body,
        json!([])
    );
}

#[test]
fn an_invalid_review_is_refused_and_nobody_is_notified() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let tea = product(&server, &alice, "Tea", 5, 0);
    let path = format!("/products/{}/reviews", tea["id"]);
    let mut main = server.plain("/", &admin);
    let (large, small, whole) = (
        "rating must not be greater than 5",
        "rating must not be less than 1",
        "rating must be an integer number",
    );
    for (body, faults) in [
        (json!({"rating": 6}), vec![large]),
        (json!({"rating": 0}), vec![small]),
        (json!({"rating": 4.5}), vec![whole]),
        (
            json!({"foo": 1}),
            vec![
                "property foo should not exist",
                large,
                small,
                whole,
                "rating should not be empty",
            ],
        ),
        (
            json!({"rating": 5, "comment": "c".repeat(4097)}),
            vec!["comment must be shorter than or equal to 4096 characters"],
        ),
    ] {
        let answer = server.post(&path, &alice, &body);
        assert_eq!(
            answer.body,
            json!({"statusCode": 400, "message": faults, "error": "Bad Request"}),
            "{body}"
        );
    }
    let unknown = json!({"statusCode": 404, "message": "Product with ID 999999 not found", "error": "Not Found"});
    assert_eq!(
        server.post("/products/999999/reviews", &alice, &json!({"rating": 5})).body,
        unknown
    );
    assert_eq!(server.get("/products/999999/reviews", &alice).body, unknown);
    for method in ["GET", "POST"] {
        assert_eq!(server.call(method, &path, "", &[], None).status, 401);
    }
    assert_eq!(server.get(&path, &alice).body, json!([]));
    assert_eq!(frames(&mut main), no_frames());
}

#[test]
fn a_repeated_key_writes_one_review_and_removing_a_product_removes_its_reviews() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let tea = product(&server, &alice, "Tea", 5, 0);
    let path = format!("/products/{}/reviews", tea["id"]);
    let post = || {
        server.call(
            "POST",
            &path,
            &alice,
            &[("Idempotency-Key", "five")],
            Some(&json!({"rating": 5})),
        )
    };
    let first = post();
    let again = post();
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(server.get(&path, &alice).body, json!([first.body]));
    server.call("DELETE", &format!("/products/{}", tea["id"]), &alice, &[], None);
    assert_eq!(server.get(&path, &alice).status, 404);
}

#[test]
fn a_customer_that_reviews_without_end_does_not_fill_the_bells_of_the_admins() {
    let home = Home::new();
    let server = home.serve(&[]);
    let [(admin, _), (alice, _), (bob, _)] =
        ["admin", "alice", "bob"].map(|name| server.sign_in(name));
    let path = format!("/products/{}/reviews", product(&server, &admin, "Tea", 5, 0)["id"]);
    let before = unread(&server, &admin);
    let review = |token: &str| {
        assert_eq!(server.post(&path, token, &json!({"rating": 1})).status, 201);
    };
    (0..40).for_each(|_| review(&alice));
    // One more each minute.
    let told = unread(&server, &admin) - before;
    assert!((20..25).contains(&told), "{told}");
    review(&bob);
    assert!(unread(&server, &admin) - before > told, "another customer's");
    assert_eq!(server.get(&format!("{path}?limit=100"), &alice).body.as_array().unwrap().len(), 41);
}

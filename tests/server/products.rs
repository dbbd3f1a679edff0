//! Products through the public API: the answers of REST, and which sockets receive events.

use crate::support::bell;

use crate::support::{Home, Server};
use bell::{frame, frames, no_frames, pages};
use serde_json::{Value, json};

fn updated(action: &str, id: &Value, product: &Value) -> (String, Value) {
    frame("productUpdated", &json!({"productId": id, "action": action, "product": product}))
}

fn add(server: &Server, token: &str, body: &Value) -> Value {
    let answer = server.post("/products", token, body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

#[test]
fn product_changes_are_sent_to_every_socket_of_the_main_namespace() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let mut everyone =
        [server.plain("/", &alice), server.plain("/", &bob), server.plain("/", &admin)];
    let mut desk = server.plain("/admin", &admin);

    let tea = add(&server, &alice, &json!({"name": "Tea", "price": 12.5}));
    let expected = json!({
        "id": tea["id"], "name": "Tea", "description": null, "price": "12.50", "stock": 0, "lowStockThreshold": 5, "ownerId": alice_id,
        "createdAt": tea["createdAt"], "updatedAt": tea["createdAt"],
    });
    assert_eq!(tea, expected);
    let path = format!("/products/{}", tea["id"]);
    for token in [&alice, &bob, &admin] {
        let read = server.get(&path, token);
        assert_eq!((read.status, &read.body), (200, &tea));
        assert_eq!(server.get("/products?limit=1", token).body, json!([tea]));
    }
    for socket in &mut everyone {
        assert_eq!(frames(socket), [updated("created", &tea["id"], &tea)]);
    }

    let change = json!({"name": "Green tea", "description": "Of spring", "price": "13", "stock": 8, "lowStockThreshold": 3});
    let changed = server.patch(&path, &alice, &change);
    let mut expected = json!({
        "id": tea["id"], "name": "Green tea", "description": "Of spring", "price": "13.00", "stock": 8, "lowStockThreshold": 3,
        "ownerId": alice_id, "createdAt": tea["createdAt"], "updatedAt": changed.body["updatedAt"],
    });
    assert_eq!((changed.status, &changed.body), (200, &expected));
    let by_admin = server.patch(&path, &admin, &json!({"description": ""}));
    expected["description"] = Value::Null;
    expected["updatedAt"] = by_admin.body["updatedAt"].clone();
    assert_eq!((by_admin.status, &by_admin.body), (200, &expected));
    for socket in &mut everyone {
        assert_eq!(
            frames(socket),
            [
                updated("updated", &tea["id"], &changed.body),
                updated("updated", &tea["id"], &by_admin.body)
            ]
        );
    }

    let forbidden =
        json!({"statusCode": 403, "message": "Forbidden resource", "error": "Forbidden"});
    for answer in [
        server.patch(&path, &bob, &json!({"stock": 1})),
        server.call("DELETE", &path, &bob, &[], None),
    ] {
        assert_eq!((answer.status, &answer.body), (403, &forbidden));
    }
    assert_eq!(server.get(&path, &bob).body, expected, "a refused change has no effect");

    let removed = server.call("DELETE", &path, &alice, &[], None);
    assert_eq!((removed.status, removed.body), (204, Value::Null));
    for socket in &mut everyone {
        assert_eq!(frames(socket), [updated("deleted", &tea["id"], &Value::Null)]);
    }
    let gone = json!({"statusCode": 404, "message": format!("Product with ID {} not found", tea["id"]), "error": "Not Found"});
    for (method, body) in [("GET", None), ("PATCH", Some(json!({"stock": 1}))), ("DELETE", None)] {
        let answer = server.call(method, &path, &alice, &[], body.as_ref());
        assert_eq!((answer.status, &answer.body), (404, &gone), "{method}");
    }
    assert_eq!(frames(&mut desk), no_frames());
}

#[test]
fn the_demo_has_products_and_an_order() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let products = server.get("/products", &alice).body;
    let stocks: Vec<_> = products
        .as_array()
        .unwrap()
        .iter()
        .map(|product| (product["name"].as_str().unwrap(), product["stock"].as_i64().unwrap()))
        .collect();
    assert_eq!(stocks, [("Ceylon tea", 38), ("Teapot", 11), ("Honey", 3), ("Teacup", 0)]);
    let order = &server.get("/orders?limit=1", &alice).body[0];
    let items = json!([
        {"productId": products[1]["id"], "name": "Teapot", "quantity": 1, "price": "39.90"},
        {"productId": products[0]["id"], "name": "Ceylon tea", "quantity": 2, "price": "12.50"},
    ]);
    assert_eq!((&order["total"], &order["items"]), (&json!("64.90"), &items));
}

#[test]
fn an_invalid_product_is_refused_with_every_fault() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let mut socket = server.plain("/", &alice);
    let tea = add(&server, &alice, &json!({"name": "Tea", "price": 1}));
    frames(&mut socket);
    let path = format!("/products/{}", tea["id"]);
    let number = "price must be a number conforming to the specified constraints";
    for (body, faults) in [
        (
            json!({"foo": 1}),
            vec![
                "property foo should not exist",
                "name must be shorter than or equal to 255 characters",
                "name must be a string",
                "name should not be empty",
                "price must not be less than 0",
                number,
                "price should not be empty",
            ],
        ),
        (json!({"name": "x", "price": -1}), vec!["price must not be less than 0"]),
        (json!({"name": "x", "price": "1.001"}), vec![number]),
        (
            json!({"name": "x", "price": 1, "stock": 1.5, "lowStockThreshold": -1}),
            vec!["stock must be an integer number", "lowStockThreshold must not be less than 0"],
        ),
        (
            json!({"name": "x", "price": 1, "stock": "5", "lowStockThreshold": 2_147_483_648_i64}),
            vec![
                "stock must not be greater than 2147483647",
                "stock must not be less than 0",
                "stock must be an integer number",
                "lowStockThreshold must not be greater than 2147483647",
            ],
        ),
        (
            json!({"name": "x", "price": 1, "description": "d".repeat(10_001)}),
            vec!["description must be shorter than or equal to 10000 characters"],
        ),
    ] {
        let answer = server.post("/products", &alice, &body);
        assert_eq!(
            answer.body,
            json!({"statusCode": 400, "message": faults, "error": "Bad Request"}),
            "{body}"
        );
    }
    let nothing = ["one of name, description, price, stock, lowStockThreshold should not be empty"];
    for (body, faults) in
        [(json!({}), nothing), (json!({"ownerId": 1}), ["property ownerId should not exist"])]
    {
        let answer = server.patch(&path, &alice, &body);
        assert_eq!(
            answer.body,
            json!({"statusCode": 400, "message": faults, "error": "Bad Request"}),
            "{body}"
        );
    }
    for (method, path) in [
        ("GET", "/products"),
        ("POST", "/products"),
        ("GET", &path),
        ("PATCH", &path),
        ("DELETE", &path),
    ]
    .map(|(m, p)| (m, p.to_owned()))
    {
        assert_eq!(server.call(method, &path, "", &[], None).status, 401, "{method} {path}");
    }
    assert_eq!(server.get("/products/x", &alice).status, 400);
    assert_eq!(server.get(&path, &alice).body, tea);
    assert_eq!(frames(&mut socket), no_frames());
}

#[test]
fn products_are_paged_by_cursor_newest_first() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let before = pages(&server, &alice, "/products");
    let mut all: Vec<Value> =
        (0..5).map(|n| add(&server, &alice, &json!({"name": n.to_string(), "price": n}))).collect();
    all.reverse();
    all.extend(before);
    assert_eq!(pages(&server, &alice, "/products?limit=2"), all);
    let next = format!(r#"</products?limit=1&before={}>; rel="next""#, all[0]["id"]);
    assert_eq!(
        server.get("/products?limit=1", &alice).headers.get("link").unwrap().to_str().unwrap(),
        next
    );
    assert_eq!(server.get("/products?limit=0", &alice).status, 400);
}

#[test]
fn a_repeated_key_adds_one_product_and_sends_one_event() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let mut socket = server.plain("/", &bob);
    let key = [("Idempotency-Key", "tea-1")];
    let body = json!({"name": "Tea", "price": "1.00"});
    let answers: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| server.call("POST", "/products", &alice, &key, Some(&body))))
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(frames(&mut socket), [updated("created", &answers[0].body["id"], &answers[0].body)]);
    assert_eq!(
        server
            .call("POST", "/products", &alice, &key, Some(&json!({"name": "Tea", "price": 2})))
            .status,
        422
    );
}

#[test]
fn a_resumed_socket_receives_missed_product_changes_even_after_a_kill() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let first = add(&server, &alice, &json!({"name": "First", "price": 1}));
    // An offset for each: that of the session, which an admin socket has too.
    let away: Vec<(&str, &String, String)> = [("/", &bob), ("/admin", &admin)]
        .into_iter()
        .map(|(namespace, token)| {
            let mut socket = server.upgrade(&format!("/ws?namespace={namespace}"), token);
            let session = socket.next();
            (
                namespace,
                token,
                format!(
                    "/ws?namespace={namespace}&resume={}&offset={}",
                    session["data"]["session"].as_str().unwrap(),
                    session["offset"].as_str().unwrap()
                ),
            )
        })
        .collect();
    let path = format!("/products/{}", first["id"]);
    let changed = server.patch(&path, &alice, &json!({"price": 2})).body;
    server.call("DELETE", &path, &alice, &[], None);
    let missed = [
        updated("updated", &first["id"], &changed),
        updated("deleted", &first["id"], &Value::Null),
    ];
    let back = |server: &Server| {
        for (namespace, token, path) in &away {
            let mut socket = server.upgrade(path, token);
            let mut heard = frames(&mut socket);
            assert_eq!(
                (heard[0].0.as_str(), &heard[0].1["recovered"]),
                ("session", &json!(true)),
                "{namespace}"
            );
            heard.retain(|(event, _)| event == "productUpdated");
            assert_eq!(
                heard,
                if *namespace == "/" { missed.to_vec() } else { no_frames() },
                "{namespace}"
            );
        }
    };
    back(&server);
    server.kill();
    let server = home.serve(&[]);
    back(&server);
}

#[test]
fn a_catalog_of_admins_is_added_to_by_admins_and_owners_keep_their_products() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let body = json!({"name": "Tea", "price": 1});
    let path = format!("/products/{}", add(&server, &alice, &body)["id"]);
    server.stop();
    let server = home.serve(&[("CATALOG", "admin")]);
    let (admin, _) = server.sign_in("admin");
    let mut socket = server.plain("/", &admin);
    let refused = server.post("/products", &alice, &body);
    let forbidden =
        json!({"statusCode": 403, "message": "Forbidden resource", "error": "Forbidden"});
    assert_eq!((refused.status, refused.body), (403, forbidden));
    assert_eq!(frames(&mut socket), no_frames());
    add(&server, &admin, &body);
    assert_eq!(server.patch(&path, &alice, &json!({"stock": 3})).status, 200);
    assert_eq!(server.call("DELETE", &path, &alice, &[], None).status, 204);
}

#[test]
fn what_all_customers_together_cause_for_everyone_is_limited() {
    let home = Home::new();
    let server = home.serve(&[("RATE_PUBLISH", "1/m,6000")]);
    let new = |name: &str| {
        let password = "long-enough";
        let account =
            json!({"email": format!("{name}@x.test"), "name": name, "password": password});
        server.post("/auth/register", "", &account).body["accessToken"].as_str().unwrap().to_owned()
    };
    let [anna, ben, cleo] = ["anna", "ben", "cleo"].map(new);
    let long = json!({"name": "Tea", "price": 1, "description": "x".repeat(2_000)});
    let tea = format!("/products/{}", add(&server, &anna, &long)["id"]);
    add(&server, &ben, &long);
    // Each has sent less than half of what one may.
    let answer = server.post("/products", &cleo, &long);
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (429, true));
    assert_eq!(server.patch(&tea, &anna, &json!({"stock": 1})).status, 429);
    let (admin, _) = server.sign_in("admin");
    add(&server, &admin, &long);
    let talk = json!({"title": "x".repeat(100)});
    assert_eq!(server.post("/conversations", &cleo, &talk).status, 201, "not for everyone");
}

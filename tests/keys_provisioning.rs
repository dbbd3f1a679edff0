//! Users that are created from the tokens of another issuer, and the end of those tokens.

#[path = "support/keys.rs"]
mod keys;
mod support;

use keys::{is_refused, me, now, serve, token};
use serde_json::{Value, json};
use support::Home;

#[test]
fn a_first_token_creates_a_user() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let eve = json!({"sub": "1", "iss": "them", "name": "Eve", "email": "Eve@shop.test", "role": "admin"});
    let made = me(&server, &token(&eve));
    let created = made["createdAt"].clone();
    assert_eq!(
        made,
        json!({"id": 4, "email": "Eve@shop.test", "name": "Eve", "role": "admin", "createdAt": created})
    );
    // The role claim of each token still decides the rights.
    assert_eq!(server.call("PATCH", "/orders/9999/ship", &token(&eve), &[], None).status, 404);
    let as_customer = token(&json!({"sub": "1", "iss": "them"}));
    assert_eq!(
        (
            me(&server, &as_customer),
            server.call("PATCH", "/orders/9999/ship", &as_customer, &[], None).status
        ),
        (made, 403)
    );

    // A socket may present the first token; an e-mail links no accounts.
    let session =
        server.upgrade("/ws", &token(&json!({"sub": "2", "email": "ALICE@demo.test"}))).next();
    assert_eq!((&session["event"], &session["data"]["userId"]), (&json!("session"), &json!(5)));
    let other = me(&server, &token(&json!({"sub": "2"})));
    assert_eq!((&other["name"], &other["role"]), (&json!("2"), &json!("customer")));
    assert!(other["email"].as_str().unwrap().ends_with("@unknown.invalid"), "{other}");
    let list = String::from_utf8(home.run(&["user", "list"]).stdout).unwrap();
    assert!(
        list.contains("2\tcustomer\talice@demo.test\tAlice\n") && list.lines().count() == 5,
        "{list}"
    );
    // A created user has no password to sign in with.
    server.stop();
    let server = home.serve(&[("JWT_SECRET", &"own".repeat(20))]);
    let login = server.post("/auth/login", "", &json!({"email": "eve@shop.test", "password": ""}));
    assert_eq!(
        (login.status, &login.body["message"]),
        (400, &json!(["password should not be empty"]))
    );
    let login = server.post(
        "/auth/login",
        "",
        &json!({"email": "eve@shop.test", "password": "demo-password"}),
    );
    assert_eq!((login.status, &login.body["message"]), (401, &json!("Invalid email or password")));
}

#[test]
fn concurrent_first_requests_create_one_user_per_identity() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    // Two identities claim the same e-mail, and one gets it.
    let tokens: Vec<String> = (0..16)
        .map(|at| token(&json!({"sub": format!("user {}", at % 2), "email": "both@shop.test"})))
        .collect();
    let users: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> = tokens.iter().map(|token| scope.spawn(|| me(&server, token))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    for (at, user) in users.iter().enumerate() {
        assert_eq!(*user, users[at % 2]);
    }
    assert_ne!(users[0]["id"], users[1]["id"]);
    let with_it = users[..2].iter().filter(|user| user["email"] == "both@shop.test").count();
    let list = String::from_utf8(home.run(&["user", "list"]).stdout).unwrap();
    assert_eq!((with_it, list.lines().count()), (1, 5), "{list}");
}

#[test]
fn a_socket_continues_with_another_token_of_the_same_identity() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let mut socket = server.plain("/", &token(&json!({"sub": "eve"})));
    let mut refresh = |token: &str| {
        socket
            .say(&json!({"event": "auth:refresh", "data": {"token": token}, "id": 1}).to_string());
        socket.next()
    };
    let exp = now() + 300;
    let answer = refresh(&token(&json!({"sub": "eve", "exp": exp})));
    assert_eq!((&answer["ack"], &answer["data"]["ok"]), (&json!(1), &json!(true)), "{answer}");
    let unauthorized = json!({"ack": 1, "data": {"ok": false, "error": {"code": "unauthorized", "message": "Unauthorized"}}});
    assert_eq!(refresh(&token(&json!({"sub": "eve", "iss": "them"}))), unauthorized);

    let short = token(&json!({"sub": "eve", "exp": now() + 2}));
    let mut socket = server.upgrade("/ws", &short);
    assert_eq!(socket.close_code(), 4401);
    assert!(is_refused(&server, &short));
}

#[test]
fn a_logout_ends_one_foreign_token_and_everywhere_all_earlier_ones() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let (first, second) =
        (token(&json!({"sub": "eve", "jti": "1"})), token(&json!({"sub": "eve", "jti": "2"})));
    let id = me(&server, &first)["id"].clone();
    let mut socket = server.plain("/", &first);
    assert_eq!(server.post("/auth/logout", &first, &json!({})).status, 200);
    assert_eq!(socket.close_code(), 4401);
    assert!(is_refused(&server, &first));
    assert_eq!(me(&server, &second)["id"], id);
    // The generation is not accepted from another issuer.
    let forged = token(&json!({"sub": "eve", "generation": 1_000_000}));
    assert_eq!(server.post("/auth/logout", &second, &json!({"everywhere": true})).status, 200);
    assert!(is_refused(&server, &second) && is_refused(&server, &forged));
    assert_eq!(me(&server, &token(&json!({"sub": "eve", "iat": now() + 2})))["id"], id);
}

#[test]
fn removing_a_user_ends_its_tokens_and_a_later_one_creates_another_account() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let old = token(&json!({"sub": "eve"}));
    assert_eq!(me(&server, &old)["id"], 4);
    let mut socket = server.plain("/", &old);
    assert!(home.run(&["user", "remove", "--user", "4"]).status.success());
    assert_eq!(socket.close_code(), 4401);
    assert!(is_refused(&server, &old));
    let later = token(&json!({"sub": "eve", "iat": now() + 2}));
    assert_eq!(me(&server, &later)["id"], 5);
    assert!(is_refused(&server, &old), "even after a new account exists");
}

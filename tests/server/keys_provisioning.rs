//! Users that are created from the tokens of another issuer, and the end of those tokens.

use crate::support::keys;

use std::time::{Duration, Instant};

use crate::support::{Home, Server};
use keys::{SECRET, is_refused, linked, me, now, serve, shared, token};
use serde_json::{Value, json};

/// Whether the token has an admin's rights, at REST and on `/admin`.
fn is_admin(server: &Server, token: &str) -> bool {
    let status = server.call("PATCH", "/orders/9999/ship", token, &[], None).status;
    let admin = status == 404;
    assert!(admin || status == 403, "{status}");
    let mut desk = server.upgrade("/ws?namespace=/admin", token);
    if admin {
        assert_eq!(desk.next()["event"], "session");
    } else {
        assert_eq!(desk.close_code(), 4403);
    }
    admin
}

/// How far the clock of the issuer may be ahead.
const LEEWAY: (&str, &str) = ("JWT_LEEWAY", "1s");

/// A token that counts as made after all that has happened, with [`LEEWAY`].
fn later(server: &Server, sign: fn(&Value) -> String, claims: &Value) -> String {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut claims = claims.clone();
        claims["iat"] = json!(now() + 1);
        let token = sign(&claims);
        if server.get("/auth/me", &token).status == 200 {
            return token;
        }
        assert!(Instant::now() < end, "a later token is good");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_first_token_creates_a_user() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    // Of the same second, so that the second one renews nothing.
    let iat = now();
    let eve = json!({
        "sub": "1", "iss": "them", "iat": iat, "name": "Eve", "email": "Eve@shop.test",
        "role": "admin",
    });
    let made = me(&server, &token(&eve));
    let created = made["createdAt"].clone();
    assert_eq!(
        made,
        json!({"id": 4, "email": "Eve@shop.test", "name": "Eve", "role": "admin", "createdAt": created})
    );
    // The role claim of each token still decides the rights.
    assert_eq!(server.call("PATCH", "/orders/9999/ship", &token(&eve), &[], None).status, 404);
    let as_customer = token(&json!({"sub": "1", "iss": "them", "iat": iat}));
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
    assert_eq!((&other["name"], &other["role"]), (&json!("ALICE"), &json!("customer")));
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
fn a_token_is_never_refused_for_its_name_and_never_gives_an_admins() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let named = |claims: Value| me(&server, &token(&claims))["name"].as_str().unwrap().to_owned();
    assert_eq!(named(json!({"sub": "1", "name": "Ada Admin", "email": "eve@x.test"})), "eve");
    assert_eq!(named(json!({"sub": "2", "name": "ada\u{202e}", "email": "ada.admin@x.test"})), "2");
    assert!(named(json!({"sub": "ada\u{200b}", "name": "АDA ADMIN"})).starts_with("user-"));
    assert_eq!(named(json!({"sub": "3", "name": "Ada Admin", "role": "admin"})), "Ada Admin");
    let mixed = json!({"sub": "5", "name": "Аda", "email": "admin@x.test"});
    assert_eq!(named(mixed), "5", "of the staff is the e-mail's name too");
    // Nor does a later token give one.
    let iat = now() - 60;
    let of = |name: &str, iat: i64| token(&json!({"sub": "4", "name": name, "iat": iat}));
    assert_eq!(me(&server, &of("Eve", iat))["name"], "Eve");
    for (name, kept, at) in [("Ada Admin", "Eve", iat + 1), ("Eve Lee", "Eve Lee", iat + 2)] {
        let later = of(name, at);
        me(&server, &later);
        assert_eq!(me(&server, &later)["name"], kept);
    }
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
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on"), LEEWAY]);
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
    assert_eq!(me(&server, &later(&server, token, &json!({"sub": "eve"})))["id"], id);
}

#[test]
fn removing_a_user_ends_its_tokens_and_a_later_one_creates_another_account() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on"), LEEWAY]);
    let old = token(&json!({"sub": "eve"}));
    assert_eq!(me(&server, &old)["id"], 4);
    let mut socket = server.plain("/", &old);
    assert!(home.run(&["user", "remove", "--user", "4"]).status.success());
    assert_eq!(socket.close_code(), 4401);
    assert!(is_refused(&server, &old));
    let later = later(&server, token, &json!({"sub": "eve"}));
    assert_eq!(me(&server, &later)["id"], 5);
    assert!(is_refused(&server, &old), "even after a new account exists");
}

#[test]
fn a_role_that_is_no_word_for_admin_is_a_customers() {
    let home = Home::new();
    let server = home.serve(&[("JWT_SECRET", SECRET)]);
    for role in [json!("authenticated"), json!("Admin"), json!(["user"]), json!({"a": 1}), json!(5)]
    {
        let token = shared(&json!({"sub": "1", "role": role}));
        assert_eq!(me(&server, &token)["id"], 1, "{role}");
        assert!(!is_admin(&server, &token), "{role}");
    }
    for role in [json!("admin"), json!(["user", "admin"])] {
        assert!(is_admin(&server, &shared(&json!({"sub": 2, "role": role}))), "{role}");
    }
    server.stop();
    let roles = [("JWT_ROLE_CLAIM", "https://shop.test/roles"), ("JWT_ROLE_ADMIN", "boss,root")];
    let server = serve(&home, "ed25519-public.pem", &roles);
    linked(&home, &["--user", "2", "--subject", "eve"]);
    for (role, admin) in [(json!(["root"]), true), (json!("boss"), true), (json!("admin"), false)] {
        let token = token(&json!({"sub": "eve", "https://shop.test/roles": role, "role": "admin"}));
        assert_eq!(is_admin(&server, &token), admin, "{role}");
    }
}

#[test]
fn without_a_role_claim_the_role_of_the_account_counts() {
    let home = Home::new();
    for outside in [false, true] {
        let server = if outside {
            linked(&home, &["--user", "1", "--subject", "1"]);
            linked(&home, &["--user", "2", "--subject", "2"]);
            serve(&home, "ed25519-public.pem", &[LEEWAY])
        } else {
            home.serve(&[("JWT_SECRET", SECRET), LEEWAY])
        };
        let sign: fn(&Value) -> String = if outside { token } else { shared };
        let (admin, alice) = (sign(&json!({"sub": "1"})), sign(&json!({"sub": "2"})));
        assert!(is_admin(&server, &admin) && !is_admin(&server, &alice));
        assert!(!is_admin(&server, &sign(&json!({"sub": "1", "role": "customer"}))));
        // auth:refresh looks the role up too.
        let mut desk = server.upgrade("/ws?namespace=/admin", &admin);
        assert_eq!(desk.next()["event"], "session");
        let fresh = sign(&json!({"sub": "1", "exp": now() + 900}));
        desk.say(&json!({"event": "auth:refresh", "data": {"token": fresh}, "id": 1}).to_string());
        assert_eq!(desk.next()["data"]["ok"], true);
        drop(desk);
        // Another role of the account counts for the tokens that are made after it.
        for (role, admin) in [("admin", true), ("customer", false)] {
            assert!(home.run(&["user", "role", "--user", "2", role]).status.success());
            assert!(is_refused(&server, &alice));
            let later = later(&server, sign, &json!({"sub": "2"}));
            assert_eq!(is_admin(&server, &later), admin, "{outside} {role}");
        }
    }
}

#[test]
fn a_role_that_only_tokens_have_given_ends_with_the_claim() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on"), LEEWAY]);
    let at =
        |ago: i64, role: &Value| token(&json!({"sub": "eve", "role": role, "iat": now() - ago}));
    assert!(is_admin(&server, &at(50, &json!("admin"))));
    assert!(!is_admin(&server, &at(40, &Value::Null)));
    assert_eq!(me(&server, &at(30, &Value::Null))["role"], "customer");
    assert!(is_admin(&server, &at(20, &json!("admin"))));
    assert_eq!(me(&server, &at(20, &json!("admin")))["role"], "admin");
    // An operator's word lasts.
    assert!(home.run(&["user", "role", "--user", "4", "admin"]).status.success());
    let later = later(&server, token, &json!({"sub": "eve"}));
    assert!(is_admin(&server, &later));
    assert_eq!(me(&server, &later)["role"], "admin");
}

#[test]
fn a_later_token_renews_the_name_and_email_that_one_gave() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let call = |ago: i64, claims: Value| {
        let mut all = json!({"sub": "kim", "iat": now() - ago});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        me(&server, &token(&all));
        let user = me(&server, &token(&json!({"sub": "kim", "iat": 1})));
        (user["name"].as_str().unwrap().to_owned(), user["email"].as_str().unwrap().to_owned())
    };
    let pair = |name: &str, email: &str| (name.to_owned(), email.to_owned());
    let first = call(
        90,
        json!({"preferred_username": "kim", "email": "k@x.test", "email_verified": false}),
    );
    assert_eq!(first.0, "kim");
    assert!(first.1.ends_with("@unknown.invalid"), "{}", first.1);
    let full = json!({"name": "Kim Key", "preferred_username": "kim", "email": "k@x.test"});
    assert_eq!(call(80, full.clone()), pair("Kim Key", "k@x.test"));
    // An earlier token, a lesser name, an address of another account, and an unverified one.
    for (ago, claims) in [
        (85, json!({"name": "Old", "email": "old@x.test"})),
        (80, json!({"name": "Same second", "email": "same@x.test"})),
        (70, json!({"preferred_username": "kimmy"})),
        (69, json!({"email": "Alice@demo.test"})),
        (68, json!({"email": "new@x.test", "email_verified": "false"})),
    ] {
        assert_eq!(call(ago, claims.clone()), pair("Kim Key", "k@x.test"), "{claims}");
    }
    assert_eq!(
        call(60, json!({"name": "Kim Bee", "email": "K@X.test"})),
        pair("Kim Bee", "K@X.test")
    );
    // A name that an operator gives stays.
    let renamed = home.run(&["user", "rename", "--user", "4", "--name", "The Boss"]);
    assert_eq!(String::from_utf8(renamed.stdout).unwrap(), "4\tcustomer\tK@X.test\tThe Boss\n");
    assert_eq!(call(50, full), pair("The Boss", "k@x.test"));
    // A linked account is the operator's too.
    linked(&home, &["--user", "2", "--subject", "eve"]);
    let linked = me(&server, &token(&json!({"sub": "eve", "name": "Eve", "email": "e@x.test"})));
    assert_eq!((&linked["name"], &linked["email"]), (&json!("Alice"), &json!("alice@demo.test")));
}

#[test]
fn with_an_outside_subject_a_shared_secret_never_names_an_account_of_ours() {
    let home = Home::new();
    let settings = [("JWT_SECRET", SECRET), ("JWT_SUBJECT", "outside")];
    let server = home.serve(&settings);
    for sub in [json!(1), json!("1"), json!("5f0c6b9e-1d2a-4b0e-9a50-0d5c3a1c7e11")] {
        assert!(is_refused(&server, &shared(&json!({"sub": sub, "iss": "shop"}))), "{sub}");
    }
    linked(&home, &["--user", "2", "--subject", "1", "--issuer", "shop"]);
    assert_eq!(me(&server, &shared(&json!({"sub": 1, "iss": "shop"})))["id"], 2);
    assert!(is_refused(&server, &shared(&json!({"sub": 1}))));
    // Our own tokens still name our accounts, and say so in a way that the secret cannot forge.
    let (own, id) = server.sign_in("bob");
    assert_eq!(me(&server, &own)["id"], id);
    let made = home.command(&["token", "--user", "3"]).envs(settings).output().unwrap();
    assert_eq!(me(&server, String::from_utf8(made.stdout).unwrap().trim())["id"], 3);
    let copied = shared(&json!({"sub": "3", "generation": 0, "jti": "x"}));
    assert!(is_refused(&server, &copied));
    server.stop();

    let server = home.serve(&[&settings[..], &[("JWT_PROVISION", "on")]].concat());
    let uuid = "5f0c6b9e-1d2a-4b0e-9a50-0d5c3a1c7e11";
    let eve = shared(&json!({"sub": uuid, "iss": "shop", "email": "eve@shop.test"}));
    let made = me(&server, &eve);
    assert_eq!(
        (&made["id"], &made["name"], &made["role"]),
        (&json!(4), &json!("eve"), &json!("customer"))
    );
    assert_eq!(me(&server, &own)["id"], id);
    // A logout ends an outside token as well.
    assert_eq!(server.post("/auth/logout", &eve, &json!({"everywhere": true})).status, 200);
    assert!(is_refused(&server, &eve));
}

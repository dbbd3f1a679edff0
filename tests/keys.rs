//! Tokens that others sign, through the public doors: which are taken, whose they are, and what
//! this server then does not do itself.

mod support;

use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Answer, Home, Server};

fn path(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// The demo server with the keys of that file, and these settings.
fn serve(home: &Home, file: &str, settings: &[(&str, &str)]) -> Server {
    let file = path(file);
    home.serve(
        &[&[("JWT_SECRET", ""), ("JWT_PUBLIC_KEY_FILE", file.as_str())][..], settings].concat(),
    )
}

fn now() -> i64 {
    i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    )
    .unwrap()
}

/// Those claims, made now and good for ten minutes, unless they say something else.
fn claims(claims: &Value) -> Value {
    let mut all = json!({"iat": now(), "exp": now() + 600});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    all
}

fn sign(header: &Header, of: &Value) -> String {
    let key = match header.alg {
        Algorithm::ES256 => EncodingKey::from_ec_pem(&pem("p256.pem")),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(&pem("ed25519.pem")),
        _ => EncodingKey::from_rsa_pem(&pem("rsa.pem")),
    };
    jsonwebtoken::encode(header, &claims(of), &key.unwrap()).unwrap()
}

/// Signed with the key of ed25519-public.pem.
fn token(of: &Value) -> String {
    sign(&Header::new(Algorithm::EdDSA), of)
}

fn link(home: &Home, arguments: &[&str]) -> Output {
    home.run(&[&["user", "link"], arguments].concat())
}

fn linked(home: &Home, arguments: &[&str]) -> String {
    let output = link(home, arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What was said on stderr, which has to be one line.
fn complaint(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code(), text.trim_end().to_owned())
}

fn me(server: &Server, token: &str) -> Value {
    let answer = server.get("/auth/me", token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn is_refused(server: &Server, token: &str) -> bool {
    let Answer { status, body, .. } = server.get("/auth/me", token);
    let refused = status == 401
        && body == json!({"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized"});
    refused && server.upgrade("/ws", token).close_code() == 4401
}

#[test]
fn a_token_of_each_kind_of_key_is_good_at_both_doors() {
    let named = |algorithm, id: &str| Header { kid: Some(id.into()), ..Header::new(algorithm) };
    let home = Home::new();
    let cases = [
        ("rsa-public.pem", vec![Header::new(Algorithm::RS256), named(Algorithm::RS256, "any")]),
        ("p256-public.pem", vec![Header::new(Algorithm::ES256)]),
        ("ed25519-public.pem", vec![Header::new(Algorithm::EdDSA)]),
        (
            "jwks.json",
            vec![
                named(Algorithm::RS256, "first"),
                named(Algorithm::ES256, "second"),
                Header::new(Algorithm::ES256),
            ],
        ),
    ];
    for (file, headers) in cases {
        let server = serve(&home, file, &[]);
        assert_eq!(
            linked(&home, &["--email", "ALICE@demo.test", "--subject", "eve"]),
            "2\tcustomer\talice@demo.test\tAlice\n"
        );
        for header in headers {
            let eve = sign(&header, &json!({"sub": "eve"}));
            assert_eq!(me(&server, &eve)["id"], 2, "{file} {header:?}");
            let session = server.upgrade("/ws", &eve).next();
            assert_eq!(
                (&session["event"], &session["data"]["userId"]),
                (&json!("session"), &json!(2)),
                "{file} {header:?}"
            );
        }
    }
}

#[test]
fn a_token_cannot_choose_how_it_is_checked() {
    let home = Home::new();
    let server = serve(&home, "jwks.json", &[]);
    linked(&home, &["--user", "2", "--subject", "eve"]);
    let eve = json!({"sub": "eve"});
    let good = sign(&Header::new(Algorithm::RS256), &eve);
    assert_eq!(me(&server, &good)["id"], 2);
    let header = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    // Without the library, which refuses an empty secret.
    let by_secret = |secret: &[u8]| {
        let signed = format!("{}.{}", header(json!({"alg": "HS256"})), header(claims(&eve)));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let own = jsonwebtoken::jwk::Jwk::from_encoding_key(
        &EncodingKey::from_ed_pem(&pem("ed25519.pem")).unwrap(),
        Algorithm::EdDSA,
    )
    .unwrap();
    let cases = [
        by_secret(&pem("jwks.json")),
        by_secret(&pem("rsa-public.pem")),
        by_secret(b""),
        format!("{}.{payload}.", header(json!({"alg": "none"}))),
        format!("{}.{rest}", header(json!({"alg": "none"}))),
        sign(&Header::new(Algorithm::RS384), &eve),
        sign(&Header::new(Algorithm::PS256), &eve),
        sign(&Header { kid: Some("second".into()), ..Header::new(Algorithm::RS256) }, &eve),
        sign(&Header { kid: Some("third".into()), ..Header::new(Algorithm::RS256) }, &eve),
        sign(&Header { jwk: Some(own), ..Header::new(Algorithm::EdDSA) }, &eve),
        sign(&Header { crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::RS256) }, &eve),
        sign(&Header::new(Algorithm::RS256), &json!({"sub": "eve", "exp": now()})),
        sign(&Header::new(Algorithm::RS256), &json!({"sub": "eve", "nbf": now() + 60})),
    ];
    for token in cases {
        assert!(is_refused(&server, &token), "{token}");
    }
}

#[test]
fn where_others_sign_nothing_is_signed_here() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[]);
    let refused = json!({"statusCode": 501, "message": "Tokens are issued elsewhere", "error": "Not Implemented"});
    for path in ["/auth/register", "/auth/login"] {
        for body in [
            json!({"email": "alice@demo.test", "name": "Alice", "password": support::PASSWORD}),
            json!({}),
        ] {
            let answer = server.post(path, "", &body);
            assert_eq!((answer.status, answer.body), (501, refused.clone()), "{path}");
        }
    }
    let mut command = home.command(&["token", "--user", "2"]);
    let output = command
        .env("JWT_SECRET", "")
        .env("JWT_PUBLIC_KEY_FILE", path("ed25519-public.pem"))
        .output()
        .unwrap();
    let mend = "hubcast: JWT_PUBLIC_KEY_FILE: is set, so tokens are signed elsewhere; get one there, or set JWT_SECRET instead";
    assert_eq!(complaint(&output), (Some(2), mend.to_owned()));
}

#[test]
fn a_key_that_cannot_be_used_ends_it_with_2_and_one_line() {
    let home = Home::on_sqlite();
    let file = path("ed25519-public.pem");
    let with = |command: &str, settings: &[(&str, &str)]| {
        home.command(&[command]).envs(settings.iter().copied()).output().unwrap()
    };
    let cases = [
        (
            vec![("JWT_PUBLIC_KEY_FILE", file.clone()), ("JWT_SECRET", "hush".into())],
            "JWT_PUBLIC_KEY_FILE: is set, and so is JWT_SECRET; ",
        ),
        (vec![("JWT_PROVISION", "on".into())], "JWT_PROVISION: is for tokens that others sign; "),
        (
            vec![("JWT_PUBLIC_KEY_FILE", "nowhere.pem".into())],
            "JWT_PUBLIC_KEY_FILE (--jwt-public-key-file): nowhere.pem: No such file",
        ),
        (
            vec![("JWT_PUBLIC_KEY_FILE", path("rsa-small-public.pem"))],
            "JWT_PUBLIC_KEY_FILE (--jwt-public-key-file): PATH: holds an RSA key of 1024 bits; ",
        ),
        (
            vec![("JWT_PUBLIC_KEY_FILE", path("rsa.pem"))],
            "JWT_PUBLIC_KEY_FILE (--jwt-public-key-file): PATH: holds a private key, ",
        ),
    ];
    for (settings, start) in cases {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for command in ["serve", "check-config"] {
            let (code, text) = complaint(&with(command, &settings));
            let start = start.replace("PATH", settings[0].1);
            assert_eq!(code, Some(2), "{text}");
            assert!(
                text.starts_with(&format!("hubcast: {start}")) && !text.contains("hush"),
                "{text}"
            );
        }
    }
    let good = with(
        "check-config",
        &[("HUBCAST_ENV", "production"), ("JWT_PUBLIC_KEY_FILE", &file), ("JWT_PROVISION", "on")],
    );
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(
        good.status.success()
            && text.contains("checks with JWT_PUBLIC_KEY_FILE, keys: 1; signs nothing\n"),
        "{text}"
    );
}

#[test]
fn a_subject_is_looked_up_and_never_taken_as_an_id() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[]);
    for sub in [json!("1"), json!(1), json!("2")] {
        assert!(
            is_refused(&server, &token(&json!({"sub": sub, "role": "admin", "generation": 0}))),
            "{sub}"
        );
    }
    linked(&home, &["--user", "2", "--subject", "1"]);
    linked(&home, &["--user", "3", "--subject", "1", "--issuer", "them"]);
    for (claims, user) in
        [(json!({"sub": "1"}), 2), (json!({"sub": 1}), 2), (json!({"sub": "1", "iss": "them"}), 3)]
    {
        assert_eq!(me(&server, &token(&claims))["id"], user, "{claims}");
    }
    assert!(is_refused(&server, &token(&json!({"sub": "1", "iss": "others"}))));
}

#[test]
fn issuer_and_audience_are_asked_for_when_set() {
    let home = Home::new();
    let server =
        serve(&home, "ed25519-public.pem", &[("JWT_ISSUER", "them"), ("JWT_AUDIENCE", "hub")]);
    let output = home
        .command(&["user", "link", "--user", "2", "--subject", "eve"])
        .env("JWT_ISSUER", "them")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(me(&server, &token(&json!({"sub": "eve", "iss": "them", "aud": ["hub"]})))["id"], 2);
    for claims in [
        json!({"sub": "eve", "iss": "them"}),
        json!({"sub": "eve", "aud": "hub"}),
        json!({"sub": "eve", "iss": "x", "aud": "hub"}),
    ] {
        assert!(is_refused(&server, &token(&claims)), "{claims}");
    }
}

#[test]
fn an_identity_is_one_accounts() {
    let home = Home::new();
    let _server = serve(&home, "ed25519-public.pem", &[]);
    for _ in 0..2 {
        assert_eq!(
            linked(&home, &["--user", "2", "--subject", "eve"]),
            "2\tcustomer\talice@demo.test\tAlice\n"
        );
    }
    let taken = "hubcast: The identity is that of the user with ID 2".to_owned();
    assert_eq!(complaint(&link(&home, &["--user", "3", "--subject", "eve"])), (Some(1), taken));
    assert_eq!(
        complaint(&link(&home, &["--user", "99", "--subject", "x"])),
        (Some(1), "hubcast: User with ID 99 not found".into())
    );
    assert_eq!(complaint(&link(&home, &["--user", "3", "--subject", ""])).0, Some(2));
}

#[test]
fn with_provisioning_who_is_seen_first_becomes_a_user() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    let eve = json!({"sub": "1", "iss": "them", "name": "Eve", "email": "Eve@shop.test", "role": "admin"});
    let made = me(&server, &token(&eve));
    let created = made["createdAt"].clone();
    assert_eq!(
        made,
        json!({"id": 4, "email": "Eve@shop.test", "name": "Eve", "role": "admin", "createdAt": created})
    );
    // The claim still decides what she may, token by token.
    assert_eq!(server.call("PATCH", "/orders/9999/ship", &token(&eve), &[], None).status, 404);
    let as_customer = token(&json!({"sub": "1", "iss": "them"}));
    assert_eq!(
        (
            me(&server, &as_customer),
            server.call("PATCH", "/orders/9999/ship", &as_customer, &[], None).status
        ),
        (made, 403)
    );

    // A socket can be the first to bring one; nothing is linked by an e-mail.
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
    // Nobody signs in with a password to what was made.
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
fn first_requests_that_come_together_make_one_user_each() {
    let home = Home::new();
    let server = serve(&home, "ed25519-public.pem", &[("JWT_PROVISION", "on")]);
    // Two who claim the same e-mail: one gets it.
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
fn a_socket_goes_on_with_another_token_of_the_same_identity() {
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
fn a_logout_ends_a_token_of_others_and_everywhere_all_that_were_made_before() {
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
    // A generation is ours to say, not theirs.
    let forged = token(&json!({"sub": "eve", "generation": 1_000_000}));
    assert_eq!(server.post("/auth/logout", &second, &json!({"everywhere": true})).status, 200);
    assert!(is_refused(&server, &second) && is_refused(&server, &forged));
    assert_eq!(me(&server, &token(&json!({"sub": "eve", "iat": now() + 2})))["id"], id);
}

#[test]
fn a_removed_users_tokens_have_ended_and_a_later_one_makes_another_account() {
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
    assert!(is_refused(&server, &old), "also when there is an account again");
}

//! Accounts through the public API: registration, sign-in, and where REST accepts a token.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Answer, Home, PASSWORD, Server};
use serde_json::{Value, json};

const SECRET: &str = "only-for-tests-only-for-tests-only-for-tests";

/// The reason of a 401, which says nothing else.
fn reason(answer: &Answer) -> &str {
    let reason = answer.body["reason"].as_str().unwrap_or_default();
    let body = json!({"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized", "reason": reason});
    assert_eq!((answer.status, &answer.body), (401, &body));
    reason
}

fn token_of(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(&[&["token"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn login(server: &Server, email: &str, password: &str) -> Answer {
    server.post("/auth/login", "", &json!({"email": email, "password": password}))
}

#[test]
fn a_registration_signs_in_a_customer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let account = json!({"email": "Eve@shop.test", "name": "Eve", "password": "long enough"});
    let made = server.post("/auth/register", "", &account);
    assert_eq!(made.status, 201);
    let mut keys: Vec<_> = made.body.as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["accessToken", "expiresAt", "user"]);
    let user = &made.body["user"];
    assert_eq!(
        (&user["email"], &user["name"], &user["role"]),
        (&json!("Eve@shop.test"), &json!("Eve"), &json!("customer"))
    );
    assert_eq!(server.get("/auth/me", made.body["accessToken"].as_str().unwrap()).body, *user);

    let again = json!({"email": "eVE@SHOP.test", "name": "Other", "password": "long enough"});
    let taken =
        json!({"statusCode": 409, "message": "Email is already registered", "error": "Conflict"});
    let answer = server.post("/auth/register", "", &again);
    assert_eq!((answer.status, answer.body), (409, taken));
    let signed_in = login(&server, "EVE@shop.test", "long enough");
    assert_eq!((signed_in.status, &signed_in.body["user"]), (200, user));
    assert_eq!(signed_in.headers["cache-control"], "no-store");
}

#[test]
fn a_registration_lists_every_fault() {
    let home = Home::new();
    let server = home.serve(&[]);
    let answer = server.post(
        "/auth/register",
        "",
        &json!({"email": "eve", "password": "short", "role": "admin"}),
    );
    let faults = [
        "property role should not exist",
        "email must be an email",
        "name must be shorter than or equal to 255 characters",
        "name must be a string",
        "name should not be empty",
        "password must be longer than or equal to 8 characters",
    ];
    assert_eq!(answer.body, json!({"statusCode": 400, "message": faults, "error": "Bad Request"}));
}

#[test]
fn a_name_is_seen_whole_and_looks_like_no_admins() {
    let home = Home::new();
    let server = home.serve(&[("RATE_LOGIN", "1000/s"), ("RATE_REGISTER", "1000/s")]);
    let register = |name: &str| {
        let body = json!({"email": "eve@shop.test", "name": name, "password": PASSWORD});
        let answer = server.post("/auth/register", "", &body);
        (answer.status, answer.body["message"].clone())
    };
    let unseen = json!(["name must not contain control or invisible characters"]);
    for bad in ["Ann\nLee", "\u{202e}eeL nnA", "A\u{200b}nn", "Ann\u{feff}", "\u{3164}"] {
        assert_eq!(register(bad), (400, unseen.clone()), "{bad:?}");
    }
    assert_eq!(register(" \u{3000}"), (400, json!(["name should not be empty"])));
    let mixed = json!(["name must not mix alphabets within a word"]);
    for bad in ["Аda Admіn", "ᗩda Lee", "Ꮧda"] {
        assert_eq!(register(bad), (400, mixed.clone()), "{bad:?}");
    }
    let alike = "Ada Admin, ada  ADMIN,Ádà-Adm1n,Ａｄａ Ａｄｍｉｎ,Ada Admi\u{a791},ᴀda ᴀdmin,Ada Adm!n,\
                 🅰da 🅰dmin,Ada Admin I,Ada Admin 1,Admin,Administrator,Shop Support";
    for alike in alike.split(',') {
        assert_eq!(register(alike), (409, json!("Name is not available")), "{alike}");
    }
    let honest =
        ["Иван (Ivan) Петров", "Γιώργος", "محمد أحمد", "王小明 Lee", "山田たろうT", "김철수"];
    for (at, name) in honest.into_iter().enumerate() {
        let body = json!({"email": format!("{at}@x.test"), "name": name, "password": PASSWORD});
        assert_eq!(server.post("/auth/register", "", &body).status, 201, "{name}");
    }
    assert_eq!(register(" Jo\u{308}rg  Lee "), (201, Value::Null));
    let eve = login(&server, "eve@shop.test", PASSWORD).body;
    assert_eq!(eve["user"]["name"], "Jörg Lee");
}

#[test]
fn a_wrong_email_and_a_wrong_password_get_the_same_answer() {
    let home = Home::new();
    let server = home.serve(&[]);
    let refused =
        json!({"statusCode": 401, "message": "Invalid email or password", "error": "Unauthorized"});
    for (email, password) in
        [("alice@demo.test", "not hers"), ("nobody@demo.test", PASSWORD), ("no email", "x")]
    {
        let answer = login(&server, email, password);
        assert_eq!((answer.status, answer.body), (401, refused.clone()), "{email}");
    }
}

#[test]
fn a_wrong_email_and_a_wrong_password_get_the_same_bytes() {
    let home = Home::new();
    let server = home.serve(&[]);
    let refusal = |email: &str, password: &str| {
        let body = json!({"email": email, "password": password}).to_string();
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let head = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length";
        write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        // Headers, and names in a list of them, have no fixed order.
        let sorted = |line: &str| {
            let mut words: Vec<_> =
                line.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
            words[1..].sort_unstable();
            words
        };
        let mut headers: Vec<_> =
            head.lines().skip(1).filter(|line| !line.starts_with("date: ")).map(sorted).collect();
        headers.sort_unstable();
        (head.lines().next().unwrap().to_owned(), headers, body.to_owned())
    };
    let wrong_password = refusal("alice@demo.test", "not hers");
    let body = r#"{"statusCode":401,"message":"Invalid email or password","error":"Unauthorized"}"#;
    assert_eq!(
        (wrong_password.0.as_str(), wrong_password.2.as_str()),
        ("HTTP/1.1 401 Unauthorized", body)
    );
    assert_eq!(refusal("nobody@demo.test", PASSWORD), wrong_password);
}

#[test]
fn sign_ins_are_limited_per_account() {
    let home = Home::new();
    let server = home.serve(&[("RATE_LOGIN", "2/m")]);
    for _ in 0..2 {
        assert_eq!(login(&server, "alice@demo.test", "guess").status, 401);
    }
    let answer = login(&server, "ALICE@demo.test", PASSWORD);
    assert_eq!(
        answer.body,
        json!({"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"})
    );
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(login(&server, "bob@demo.test", PASSWORD).status, 200);
}

#[test]
fn a_forwarded_address_counts_from_a_trusted_proxy_only() {
    let home = Home::new();
    let guess = |server: &Server, forwarded: &str| {
        let body = json!({"email": "alice@demo.test", "password": "guess"});
        server
            .call("POST", "/auth/login", "", &[("X-Forwarded-For", forwarded)], Some(&body))
            .status
    };
    let limit = ("RATE_LOGIN", "1/m");
    let server = home.serve(&[limit, ("TRUSTED_PROXIES", "127.0.0.1")]);
    assert_eq!(
        ["192.0.2.1", "192.0.2.2"].map(|address| guess(&server, address)),
        [401, 401],
        "each address has its own bucket"
    );
    assert_eq!(["192.0.2.1", "192.0.2.2"].map(|address| guess(&server, address)), [429, 429]);
    assert_eq!(
        guess(&server, "192.0.2.3, 192.0.2.1"),
        429,
        "an entry that the client wrote itself does not count"
    );
    assert_eq!(
        login(&server, "alice@demo.test", "guess").status,
        401,
        "the proxy's own bucket is separate"
    );
    server.kill();
    for settings in [&[limit][..], &[limit, ("TRUSTED_PROXIES", "192.0.2.9")]] {
        let server = home.serve(settings);
        assert_eq!(
            ["192.0.2.1", "192.0.2.2"].map(|address| guess(&server, address)),
            [401, 429],
            "all share the bucket of the peer"
        );
        server.kill();
    }
}

#[test]
fn a_closed_registration_is_a_501_whatever_the_body_and_signing_in_goes_on() {
    let home = Home::new();
    let server = home.serve(&[("REGISTRATION", "closed")]);
    let closed =
        json!({"statusCode": 501, "message": "Registration is closed", "error": "Not Implemented"});
    let account = json!({"email": "x@x.test", "name": "X", "password": "12345678"});
    for body in [account.clone(), json!({})] {
        let answer = server.post("/auth/register", "", &body);
        assert_eq!((answer.status, answer.body), (501, closed.clone()));
    }
    server.sign_in("alice");
    server.stop();
    let home = Home::new();
    let production = [("HUBCAST_ENV", "production"), ("JWT_SECRET", SECRET)];
    let server = home.start(&["serve"], &production);
    assert_eq!(server.post("/auth/register", "", &account).body, closed);
    server.stop();
    let server = home.start(&["serve"], &[&production[..], &[("REGISTRATION", "open")]].concat());
    assert_eq!(server.post("/auth/register", "", &account).status, 201);
}

#[test]
fn rest_takes_a_token_from_the_header_or_else_the_cookie() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, id) = server.sign_in("alice");
    let cookie = format!("a=b; Authentication={alice}");
    let me = |headers: &[(&str, &str)]| server.call("GET", "/auth/me", "", headers, None);
    assert_eq!(me(&[("Cookie", &cookie)]).body["id"], id);
    assert_eq!(
        reason(&me(&[("Cookie", &cookie), ("Authorization", "Bearer nonsense")])),
        "invalid",
        "a valid cookie does not make up for an invalid header"
    );
    assert_eq!(
        reason(&server.call("GET", &format!("/auth/me?token={alice}"), "", &[], None)),
        "missing",
        "the query is not a place for tokens"
    );
    assert_eq!(reason(&me(&[])), "missing");
    assert_eq!(me(&[]).headers["www-authenticate"], "Bearer");

    // Cookies count only for our own pages.
    let own = format!("http://{}", server.address);
    assert_eq!(me(&[("Cookie", &cookie), ("Origin", &own)]).status, 200);
    for (name, value) in [
        ("Origin", "http://evil.test"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        assert_eq!(reason(&me(&[("Cookie", &cookie), (name, value)])), "missing", "{name} {value}");
    }
}

#[test]
fn a_token_is_valid_until_it_expires_and_only_on_its_server() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (_, id) = server.sign_in("alice");
    let token = token_of(&home, &["--user", &id.to_string(), "--ttl", "1s"]);
    assert_eq!(server.get("/auth/me", &token).status, 200);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.get("/auth/me", &token).status == 200 {
        assert!(std::time::Instant::now() < end, "the token never expired");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(reason(&server.get("/auth/me", &token)), "expired");

    let other = Home::new();
    let foreign = other.serve(&[]);
    let stranger = foreign.sign_in("alice").0;
    assert_eq!(reason(&server.get("/auth/me", &stranger)), "invalid", "another server's key");
}

#[test]
fn the_role_claim_of_the_token_decides_the_rights() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (_, id) = server.sign_in("alice");
    let as_admin = token_of(&home, &["--user", &id.to_string(), "--role", "admin"]);
    let ship = server.call("PATCH", "/orders/999999/ship", &as_admin, &[], None);
    assert_eq!(ship.status, 404);
    let as_herself = token_of(&home, &["--user", &id.to_string()]);
    let ship = server.call("PATCH", "/orders/999999/ship", &as_herself, &[], None);
    assert_eq!(
        ship.body,
        json!({"statusCode": 403, "message": "Forbidden resource", "error": "Forbidden"})
    );
}

#[test]
fn a_body_has_to_be_a_small_json_object() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let post = |content_type: &str, body: &[u8]| {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.post(format!("http://{}/orders", server.address));
        let answer = request
            .header("Authorization", format!("Bearer {alice}"))
            .content_type(content_type)
            .send(body);
        let mut answer = answer.unwrap();
        let body: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        (answer.status().as_u16(), body["message"].clone())
    };
    assert_eq!(post("application/json; charset=utf-8", br#"{"total":1}"#).0, 201);
    assert_eq!(
        post("text/plain", br#"{"total":1}"#),
        (400, json!("Content-Type must be application/json"))
    );
    assert_eq!(post("application/json", b"{"), (400, json!("Body is not valid JSON")));
    assert_eq!(post("application/json", b"[]"), (400, json!("Body must be a JSON object")));
    assert_eq!(
        post("application/json", &vec![b' '; 832 * 1024 + 1]),
        (413, json!("Payload too large"))
    );
}

#[test]
fn a_patch_without_a_body_refuses_properties_and_changes_nothing() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((admin, _), (alice, alice_id)) = (server.sign_in("admin"), server.sign_in("alice"));
    let order = server.post("/orders", &alice, &json!({"total": 1})).body["id"].clone();
    server.patch(&format!("/orders/{order}/status"), &admin, &json!({"status": "paid"}));
    let notice = json!({"userId": alice_id, "type": "promotion", "title": "T", "message": "M"});
    assert_eq!(server.post("/notifications", &admin, &notice).status, 201);
    let before = server.get("/notifications", &alice).body;
    let mut sockets = [server.plain("/", &alice), server.plain("/admin", &admin)];
    let refused = json!({"statusCode": 400, "message": ["property foo should not exist"], "error": "Bad Request"});
    let paths = [
        format!("/orders/{order}/ship"),
        format!("/notifications/{}/read", before[0]["id"]),
        "/notifications/mark-all-read".to_owned(),
    ];
    for (path, token) in paths.iter().zip([&admin, &alice, &alice]) {
        let answer = server.patch(path, token, &json!({"foo": 1}));
        assert_eq!((answer.status, answer.body), (400, refused.clone()), "{path}");
    }
    assert_eq!(server.get(&format!("/orders/{order}"), &alice).body["status"], "paid");
    assert_eq!(server.get("/notifications", &alice).body, before);
    for socket in &mut sockets {
        assert_eq!(socket.heard(), Vec::<Value>::new());
    }
    for (path, token) in paths.iter().zip([&admin, &alice, &alice]) {
        assert_eq!(server.patch(path, token, &json!({})).status, 200, "{path}");
    }
}

#[test]
fn the_page_and_the_probes_need_no_token() {
    let home = Home::new();
    let server = home.serve(&[]);
    // Each file of the page is compiled in by name, so none may be missing.
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/static"))
        .expect("the page's folder is there");
    for file in files {
        let path = format!("/{}", file.unwrap().file_name().into_string().unwrap())
            .replace("/index.html", "/");
        let kind = match path.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg",
            _ => "text/html",
        };
        let page = server.get(&path, "");
        assert_eq!(page.status, 200, "{path}");
        assert!(page.headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        assert!(
            page.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'self'"),
            "{path}"
        );
        let known = [("If-None-Match", page.headers["etag"].to_str().unwrap())];
        let again = server.call("GET", &path, "", &known, None);
        assert_eq!((again.status, again.body), (304, Value::Null), "{path}");
    }
    assert_eq!(server.get("/healthz", "").body, json!({"status": "ok"}));
    assert_eq!(server.get("/readyz", "").body, json!({"status": "ok"}));
    assert_eq!(server.call("HEAD", "/readyz", "", &[], None).status, 200);
}

//! A token's expiry ends its sockets: the warning, the close, and `auth:refresh`, by which a socket
//! continues with another token.

use crate::support::polling;
use crate::support::raw;
use crate::support::tokens;

use crate::support::{Home, Server, Socket};
use polling::Polling;
use serde_json::{Value, json};
use tokens::{connection, end_events, expiry_of, join, token_of};

const EXPIRED: (&str, &str) = ("token_expired", "The token has expired");

fn expiring(token: &str) -> Value {
    json!({"event": "token:expiring", "data": {"expiresAt": expiry_of(token)}})
}

fn refresh(socket: &mut Socket, token: &str) -> Value {
    socket.say(
        &json!({"event": "auth:refresh", "data": {"token": token}, "id": "refresh"}).to_string(),
    );
    socket.next()
}

fn refreshed(token: &str) -> Value {
    json!({"ack": "refresh", "data": {"ok": true, "expiresAt": expiry_of(token)}})
}

/// Returns true if the token has expired by this machine's clock.
fn is_expired(token: &str) -> bool {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true) >= expiry_of(token)
}

#[test]
fn a_plain_socket_is_warned_then_closed_with_4401_and_not_resumed() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, id) = server.sign_in("alice");
    let short = token_of(&home, id, &["--ttl", "3s"]);
    let mut socket = server.upgrade("/ws", &short);
    let session = socket.next();
    assert_eq!(socket.next()["event"], "notifications:unread");
    assert_eq!(socket.next(), expiring(&short));
    assert_eq!(socket.close_code(), 4401);
    assert!(is_expired(&short));
    assert_eq!(server.get("/auth/me", &short).status, 401);

    let (pid, offset) =
        (session["data"]["session"].as_str().unwrap(), session["offset"].as_str().unwrap());
    let mut back = server.upgrade(&format!("/ws?resume={pid}&offset={offset}"), &alice);
    assert_eq!(back.next()["data"]["recovered"], false);
}

#[test]
fn an_expired_token_disconnects_its_namespace_and_keeps_the_other() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, id) = server.sign_in("admin");
    let short = token_of(&home, id, &["--ttl", "3s"]);
    let mut raw = connection(&server);
    join(&mut raw, "/admin", &admin);
    join(&mut raw, "/", &short);
    let own = |raw: &mut raw::Raw| loop {
        let text = raw.text();
        // Events of the other namespace, and pings.
        if !text.starts_with("42/admin") && text != "2" {
            return text;
        }
    };
    assert_eq!(
        own(&mut raw),
        format!(r#"42["token:expiring",{{"expiresAt":"{}"}}]"#, expiry_of(&short))
    );
    assert_eq!([own(&mut raw), own(&mut raw), own(&mut raw)], end_events(EXPIRED.0, EXPIRED.1));
    assert!(is_expired(&short));
    raw.say(r#"42/admin,7["probe"]"#);
    raw.hears(r#"43/admin,7[{"error":{"code":"invalid""#);
    // The connection is still open and accepts another token.
    join(&mut raw, "/", &admin);
}

#[test]
fn without_aliases_the_end_is_reported_once() {
    let home = Home::new();
    let server = home.serve(&[("EVENT_ALIASES", "off")]);
    let (_, id) = server.sign_in("alice");
    let mut raw = connection(&server);
    join(&mut raw, "/", &token_of(&home, id, &["--ttl", "3s"]));
    raw.hears(r#"42["token:expiring","#);
    let [error, _, disconnect] = end_events(EXPIRED.0, EXPIRED.1);
    assert_eq!([raw.text(), raw.text()], [error, disconnect]);
}

#[test]
fn a_polling_client_learns_of_the_end_with_its_next_poll() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (_, id) = server.sign_in("alice");
    let short = token_of(&home, id, &["--ttl", "3s"]);
    let polling = Polling::open(server.address.parse().unwrap());
    assert_eq!(
        polling.post(format!(r#"40{{"token":"{short}"}}"#).as_bytes()),
        (200, "ok".to_owned())
    );
    polling.hears(r#"42["token:expiring","#);
    // No poll is open when the token expires.
    while server.get("/auth/me", &short).status == 200 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (status, body) = polling.poll();
    let mut heard = body;
    while !heard.ends_with("41") {
        heard = format!("{heard}\u{1e}{}", polling.poll().1);
    }
    assert_eq!((status, heard), (200, end_events(EXPIRED.0, EXPIRED.1).join("\u{1e}")));
}

#[test]
fn a_long_lived_token_causes_no_warning() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, id) = server.sign_in("alice");
    let nearly = token_of(&home, id, &["--ttl", "63s"]);
    let (mut long, mut soon) = (server.plain("/", &alice), server.plain("/", &nearly));
    assert_eq!(long.heard(), Vec::<Value>::new());
    // The warning is due in two to three seconds.
    assert_eq!(soon.heard(), Vec::<Value>::new());
    assert_eq!(soon.next(), expiring(&nearly));
    let left = chrono::DateTime::parse_from_rfc3339(&expiry_of(&nearly)).unwrap().to_utc()
        - chrono::Utc::now();
    assert!((55..=60).contains(&left.num_seconds()), "{left}");
    assert_eq!((long.heard(), soon.heard()), (vec![], vec![]));
}

#[test]
fn with_keep_a_socket_outlives_its_token_until_a_logout() {
    let home = Home::new();
    let server = home.serve(&[("SOCKET_TOKEN_END", "keep")]);
    let (alice, id) = server.sign_in("alice");
    let short = token_of(&home, id, &["--ttl", "2s"]);
    let mut socket = server.plain("/", &short);
    while !is_expired(&short) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(server.get("/auth/me", &short).body["reason"], "expired");
    // No warning, no end; and a refresh with a short token changes nothing about that.
    assert_eq!(socket.heard(), Vec::<Value>::new());
    let next = token_of(&home, id, &["--ttl", "1s"]);
    assert_eq!(refresh(&mut socket, &format!("Bearer {next}")), refreshed(&next));
    while !is_expired(&next) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(socket.heard(), Vec::<Value>::new());
    // An expired token opens no socket.
    assert_eq!(server.upgrade("/ws", &next).close_code(), 4401);
    assert_eq!(server.post("/auth/logout", &alice, &json!({"everywhere": true})).status, 200);
    assert_eq!(socket.close_code(), 4401);
}

#[test]
fn a_refreshed_socket_outlives_the_first_token_and_is_warned_again() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (_, id) = server.sign_in("alice");
    let [first, second] = ["3s", "4s"].map(|ttl| token_of(&home, id, &["--ttl", ttl]));
    let mut socket = server.plain("/", &first);
    assert_eq!(socket.next(), expiring(&first));
    assert_eq!(refresh(&mut socket, &second), expiring(&second));
    assert_eq!(socket.next(), refreshed(&second));
    while !is_expired(&first) {
        assert_eq!(socket.heard(), Vec::<Value>::new());
    }
    assert_eq!(socket.heard(), Vec::<Value>::new());
    assert_eq!(socket.close_code(), 4401);
    assert!(is_expired(&second));
}

#[test]
fn a_refresh_is_acked_on_both_namespaces() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, id) = server.sign_in("admin");
    let (short, next) =
        (token_of(&home, id, &["--ttl", "3s"]), token_of(&home, id, &["--ttl", "1h"]));
    let mut raw = connection(&server);
    for (namespace, prefix) in [("/", ""), ("/admin", "/admin,")] {
        join(&mut raw, namespace, if namespace == "/" { &short } else { &admin });
        raw.say(&format!(r#"42{prefix}1["auth:refresh",{{"token":"{next}"}}]"#));
        let ack = format!(r#"43{prefix}1[{{"ok":true,"expiresAt":"{}"}}]"#, expiry_of(&next));
        raw.hears(&ack);
    }
}

#[test]
fn a_refresh_with_a_bad_or_foreign_token_is_refused_and_changes_nothing() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    let over = token_of(&home, alice_id, &["--ttl", "1s"]);
    let mut socket = server.plain("/", &alice);
    while !is_expired(&over) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let refused = json!({"ack": "refresh", "data": {"ok": false, "error": {"code": "unauthorized", "message": "Unauthorized"}}});
    for token in [bob.as_str(), &over, "nonsense", &format!("{alice}x")] {
        assert_eq!(refresh(&mut socket, token), refused, "{token}");
    }
    socket.say(r#"{"event":"auth:refresh","data":{},"id":1}"#);
    assert_eq!(socket.next()["data"]["error"]["code"], "invalid");
    // The socket is still Alice's, by her first token.
    let id = server.post("/orders", &alice, &json!({"total": 1})).body["id"].clone();
    let (admin, _) = server.sign_in("admin");
    assert_eq!(
        server.patch(&format!("/orders/{id}/status"), &admin, &json!({"status": "paid"})).status,
        200
    );
    assert_eq!(socket.next()["event"], "orderCreated");
    assert_eq!(socket.next()["event"], "orderUpdate");
    assert_eq!(server.post("/auth/logout", &alice, &json!({})).status, 200);
    assert_eq!(socket.close_code(), 4401);
}

#[test]
fn on_admin_a_refresh_without_the_admin_role_is_forbidden() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, id) = server.sign_in("admin");
    let customers = token_of(&home, id, &["--role", "customer"]);
    let mut desk = server.plain("/admin", &admin);
    let answer = loop {
        let frame = refresh(&mut desk, &customers);
        if frame["ack"] == "refresh" {
            break frame;
        }
    };
    let forbidden =
        json!({"ok": false, "error": {"code": "forbidden", "message": "Forbidden resource"}});
    assert_eq!(answer["data"], forbidden);
    assert_eq!(server.post("/orders", &admin, &json!({"total": 1})).status, 201);
    assert_eq!(desk.next()["event"], "new_order");
}

/// Pays an order of Bob's, and returns true if the socket receives the event.
fn receives_admin_events(server: &Server, socket: &mut Socket) -> bool {
    let ((bob, _), (admin, _)) = (server.sign_in("bob"), server.sign_in("admin"));
    let id = server.post("/orders", &bob, &json!({"total": 1})).body["id"].clone();
    assert_eq!(
        server.patch(&format!("/orders/{id}/status"), &admin, &json!({"status": "paid"})).status,
        200
    );
    let heard = socket.heard();
    let about: Vec<_> = heard.iter().filter(|frame| frame["event"] == "orderUpdate").collect();
    assert!(
        about.iter().all(|frame| frame["data"]["orderId"] == id) && about.len() < 2,
        "{heard:?}"
    );
    about.len() == 1
}

#[test]
fn a_refresh_to_another_role_moves_the_socket_to_its_room() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (customers, id) = server.sign_in("alice");
    let admins = token_of(&home, id, &["--role", "admin"]);
    let mut socket = server.upgrade("/ws", &customers);
    let session = socket.next();
    assert_eq!(socket.next()["event"], "notifications:unread");
    for (token, hears) in
        [(&admins, true), (&customers, false), (&admins, true), (&customers, false)]
    {
        assert_eq!(refresh(&mut socket, token), refreshed(token));
        assert_eq!(receives_admin_events(&server, &mut socket), hears);
    }
    // A resumed session is in the rooms of the token that it presents.
    for (token, hears) in [(&admins, true), (&customers, false)] {
        drop(socket);
        let (pid, offset) =
            (session["data"]["session"].as_str().unwrap(), session["offset"].as_str().unwrap());
        socket = server.upgrade(&format!("/ws?resume={pid}&offset={offset}"), token);
        assert_eq!(socket.next()["data"]["recovered"], true);
        socket.heard();
        assert_eq!(receives_admin_events(&server, &mut socket), hears);
    }
}

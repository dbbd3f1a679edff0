//! Signing out: which tokens end at once, on REST and on sockets, and which stay valid.

use crate::support::polling;
use crate::support::tokens;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::support::{Home, Server, Socket};
use jsonwebtoken::{EncodingKey, Header};
use polling::Polling;
use serde_json::{Value, json};
use tokens::{connection, end_events, join, token_of};
use tungstenite::Message;

const ENDED: (&str, &str) = ("unauthorized", "Unauthorized");

fn logout(server: &Server, token: &str, body: &Value) {
    let answer = server.post("/auth/logout", token, body);
    assert_eq!((answer.status, answer.body), (200, json!({"ok": true})));
}

fn is_valid(server: &Server, token: &str) -> bool {
    let answer = server.get("/auth/me", token);
    let refused = json!({"statusCode": 401, "message": "Unauthorized", "error": "Unauthorized", "reason": "invalid"});
    assert!(
        answer.status == 200 || (answer.status == 401 && answer.body == refused),
        "{} {}",
        answer.status,
        answer.body
    );
    answer.status == 200
}

fn assert_open(socket: &mut Socket) {
    assert_eq!(socket.heard().iter().filter(|frame| frame["event"] != "server:stats").count(), 0);
}

#[test]
fn a_logout_ends_its_token_and_exactly_the_sockets_of_that_token() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((ended, _), (other, _)) = (server.sign_in("admin"), server.sign_in("admin"));
    let (bob, _) = server.sign_in("bob");
    let mut gone =
        [server.plain("/", &ended), server.plain("/", &ended), server.plain("/admin", &ended)];
    let mut there =
        [server.plain("/", &other), server.plain("/admin", &other), server.plain("/", &bob)];
    let mut raw = connection(&server);
    join(&mut raw, "/", &ended);
    let polling = Polling::open(server.address.parse().unwrap());
    assert_eq!(
        polling.post(format!(r#"40{{"token":"{ended}"}}"#).as_bytes()),
        (200, "ok".to_owned())
    );
    polling.hears(r#"42["notifications:unread","#);

    logout(&server, &ended, &json!({}));
    assert!(!is_valid(&server, &ended) && is_valid(&server, &other) && is_valid(&server, &bob));
    assert_eq!(server.post("/auth/logout", &ended, &json!({})).status, 401);
    for socket in &mut gone {
        assert_eq!(socket.close_code(), 4401);
    }
    assert_eq!([raw.text(), raw.text(), raw.text()], end_events(ENDED.0, ENDED.1));
    polling.hears(r#"42["error",{"code":"unauthorized","#);
    there.iter_mut().for_each(assert_open);
    let mut refused = server.upgrade("/ws", &ended);
    assert_eq!(refused.close_code(), 4401);
}

#[test]
fn a_logout_everywhere_ends_all_tokens_of_the_user_and_no_others() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (one, id) = server.sign_in("alice");
    let alices = [one, server.sign_in("alice").0, token_of(&home, id, &["--ttl", "1h"])];
    let (bob, _) = server.sign_in("bob");
    let mut gone = alices.each_ref().map(|token| server.plain("/", token));
    let mut bobs = server.plain("/", &bob);
    logout(&server, &alices[1], &json!({"everywhere": true}));
    for (token, socket) in alices.iter().zip(&mut gone) {
        assert!(!is_valid(&server, token));
        assert_eq!(socket.close_code(), 4401);
    }
    assert!(is_valid(&server, &bob));
    assert_open(&mut bobs);
}

#[test]
fn a_login_directly_after_a_logout_is_valid() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (mut token, id) = server.sign_in("alice");
    for everywhere in [true, false, true, false, true] {
        logout(&server, &token, &json!({"everywhere": everywhere}));
        assert!(!is_valid(&server, &token));
        token = server.sign_in("alice").0;
        assert!(is_valid(&server, &token));
        assert_open(&mut server.plain("/", &token));
    }
    assert!(is_valid(&server, &token_of(&home, id, &[])));
    let mut socket = server.plain("/", &token);
    // The server polls once a second for tokens that other processes ended; the earlier logout must
    // not end this one. Such a poll has happened once the end of a command is seen.
    let (bob, bob_id) = server.sign_in("bob");
    let mut bobs = server.plain("/", &bob);
    assert!(home.run(&["user", "role", "--user", &bob_id.to_string(), "admin"]).status.success());
    assert_eq!(bobs.close_code(), 4401);
    assert_open(&mut socket);
}

#[test]
fn the_body_is_optional_and_its_faults_are_listed() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    for (body, faults) in [
        (json!({"everywhere": "yes"}), json!(["everywhere must be a boolean value"])),
        (json!({"all": true}), json!(["property all should not exist"])),
    ] {
        let answer = server.post("/auth/logout", &alice, &body);
        assert_eq!((answer.status, &answer.body["message"]), (400, &faults));
        assert!(is_valid(&server, &alice));
    }
    assert_eq!(server.call("POST", "/auth/logout", "", &[], None).status, 401);
    let answer = server.call("POST", "/auth/logout", &alice, &[], None);
    assert_eq!((answer.status, answer.body), (200, json!({"ok": true})));
    assert!(!is_valid(&server, &alice));
}

#[test]
fn a_socket_belongs_to_the_token_of_its_last_refresh() {
    let home = Home::new();
    let server = home.serve(&[]);
    let [(first, _), (second, _)] = [server.sign_in("alice"), server.sign_in("alice")];
    let (mut moved, mut stayed) = (server.plain("/", &first), server.plain("/", &first));
    moved.say(&json!({"event": "auth:refresh", "data": {"token": second}, "id": 1}).to_string());
    assert_eq!(moved.next()["data"]["ok"], true);
    logout(&server, &first, &json!({}));
    assert_eq!(stayed.close_code(), 4401);
    assert_open(&mut moved);
    logout(&server, &second, &json!({}));
    assert_eq!(moved.close_code(), 4401);
}

fn session_of(server: &Server, token: &str) -> (Socket, String) {
    let mut socket = server.upgrade("/ws", token);
    let session = socket.next();
    assert_eq!(socket.next()["event"], "notifications:unread");
    let (pid, offset) =
        (session["data"]["session"].as_str().unwrap(), session["offset"].as_str().unwrap());
    (socket, format!("/ws?resume={pid}&offset={offset}"))
}

#[test]
fn a_session_of_an_ended_token_is_not_resumed() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let (mut socket, way_back) = session_of(&server, &alice);
    logout(&server, &alice, &json!({}));
    assert_eq!(socket.close_code(), 4401);
    assert_eq!(server.upgrade(&way_back, &alice).close_code(), 4401);
    let (again, _) = server.sign_in("alice");
    assert_eq!(server.upgrade(&way_back, &again).next()["data"]["recovered"], false);

    // Nor is a session that had lost its connection before.
    let (socket, way_back) = session_of(&server, &again);
    drop(socket);
    assert_eq!(server.upgrade(&way_back, &again).next()["data"]["recovered"], true);
    logout(&server, &again, &json!({"everywhere": true}));
    let (last, _) = server.sign_in("alice");
    assert_eq!(server.upgrade(&way_back, &last).next()["data"]["recovered"], false);
}

#[test]
fn a_socket_that_connects_while_its_token_ends_is_closed() {
    let home = Home::new();
    let server = home.serve(&[("RATE_LOGIN", "1000/s"), ("RATE_CONNECT", "1000/s")]);
    let (mut seen, rounds) = ([0, 0], 30);
    for round in 0..rounds {
        let (token, _) = server.sign_in("alice");
        let start = Barrier::new(3);
        let come = || {
            start.wait();
            let mut socket = server.upgrade("/ws", &token);
            let mut was_in = false;
            loop {
                match socket.0.read().unwrap() {
                    Message::Text(_) => was_in = true,
                    Message::Close(frame) => {
                        assert_eq!(u16::from(frame.unwrap().code), 4401);
                        return was_in;
                    }
                    _ => {}
                }
            }
        };
        std::thread::scope(|scope| {
            let coming = [scope.spawn(come), scope.spawn(come)];
            start.wait();
            logout(&server, &token, &json!({"everywhere": round % 2 == 0}));
            for socket in coming {
                seen[usize::from(socket.join().unwrap())] += 1;
            }
        });
    }
    assert_eq!(seen[0] + seen[1], 2 * rounds);
}

#[test]
fn a_token_signed_after_the_end_is_valid_again() {
    let secret = "a secret that two programs hold, long enough";
    let home = Home::new();
    let server = home.serve(&[("JWT_SECRET", secret), ("JWT_LEEWAY", "3s")]);
    let (alice, id) = server.sign_in("alice");
    let now = || chrono::Utc::now().timestamp();
    let sign = |iat: Option<i64>| {
        let mut claims = json!({"sub": id, "exp": now() + 3600});
        if let Some(iat) = iat {
            claims["iat"] = iat.into();
        }
        jsonwebtoken::encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(secret.as_bytes()).unwrap(),
        )
        .unwrap()
    };
    // The clock of the last one's issuer is ahead.
    let before = [sign(None), sign(Some(now() - 100)), sign(Some(now() + 2))];
    assert!(before.iter().all(|token| is_valid(&server, token)));
    let mut socket = server.plain("/", &before[1]);
    // One of the tokens alone, and no other.
    let single = sign(Some(now() - 50));
    logout(&server, &single, &json!({}));
    assert!(!is_valid(&server, &single) && is_valid(&server, &before[0]));
    logout(&server, &alice, &json!({"everywhere": true}));
    assert_eq!(socket.close_code(), 4401);
    assert!(before.iter().all(|token| !is_valid(&server, token)));
    assert!(!is_valid(&server, &sign(None)));
    let end = Instant::now() + Duration::from_secs(10);
    while !is_valid(&server, &sign(Some(now() + 3))) {
        assert!(Instant::now() < end, "a token that was signed later is good");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(before.iter().all(|token| !is_valid(&server, token)));
}

#[test]
fn a_logout_on_another_server_soon_ends_exactly_its_sockets() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((ended, id), (other, _)) = (server.sign_in("alice"), server.sign_in("alice"));
    let (mut gone, mut there) = (server.plain("/", &ended), server.plain("/", &other));
    // As another server on this database would write it.
    let signed = ended.rsplit_once('.').unwrap().0;
    let digest = <sha2::Sha256 as sha2::Digest>::digest(signed)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let literal = if std::env::var_os("HUBCAST_TEST_POSTGRES").is_some() {
        format!("'\\x{digest}'")
    } else {
        format!("x'{digest}'")
    };
    let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S%.3f");
    home.execute(&format!(
        "INSERT INTO token_ends (user_id, digest, ended_at, keep_until) VALUES ({id}, {literal}, '{now}', '2999-01-01 00:00:00')"
    ));
    assert!(!is_valid(&server, &ended));
    assert_eq!(gone.close_code(), 4401);
    assert_open(&mut there);
}

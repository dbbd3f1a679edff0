//! Bursts: sockets that read stay connected, and each message is stored once, in its conversation.
//! And what one client may occupy: bodies, connections, sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::{Home, Server};
use serde_json::{Value, json};

#[test]
fn a_burst_of_messages_closes_no_socket_that_reads() {
    let home = Home::new();
    // All of it is one customer's, and the default limits allow less.
    let server = home.serve(&[("RATE_PUBLISH", "1000MiB/s"), ("RATE_REST_BYTES", "1000MiB/s")]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let made = server.post("/conversations", &alice, &json!({"memberIds": [bob_id]}));
    let path = format!("/conversations/{}/messages", made.body["id"]);
    let mut reader = server.plain("/", &bob);
    reader.say(&json!({"event": "join:conversation", "data": {"conversationId": made.body["id"]}, "id": 1}).to_string());
    while reader.next()["ack"] != 1 {}

    // Each of these characters takes six bytes in JSON: 4.8 MB in total, while a socket may be 1
    // MiB behind.
    let content = "\u{1}".repeat(40_000);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                assert_eq!(server.post(&path, &alice, &json!({"content": content})).status, 201);
            });
        }
        let mut seen = Vec::new();
        while seen.len() < 20 {
            let frame = reader.next();
            if frame["event"] == "message:new" {
                assert_eq!(frame["data"]["content"].as_str().map(str::len), Some(content.len()));
                seen.push(frame["data"]["seq"].as_i64().unwrap());
            }
        }
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    });
}

#[test]
fn concurrent_messages_are_stored_once_each_and_only_by_members() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let account = json!({"email": "cora@x.test", "name": "cora", "password": "long-enough"});
    let cora = server.post("/auth/register", "", &account).body["accessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let talk = |token: &str, others: &[i64]| {
        format!(
            "/conversations/{}",
            server.post("/conversations", token, &json!({"memberIds": others})).body["id"]
        )
    };
    let paths = [talk(&alice, &[bob_id]), talk(&alice, &[bob_id]), talk(&bob, &[])];
    let post = |path: &str, token: &str, body: Value| {
        server.post(&format!("{path}/messages"), token, &body)
    };
    let statuses: Vec<[u16; 5]> = thread::scope(|scope| {
        let say = |n: usize| {
            let path = &paths[n % 2];
            [
                post(path, &alice, json!({"content": format!("a{n}")})).status,
                // One client id for two messages, and the same id by another sender.
                post(
                    path,
                    &alice,
                    json!({"content": format!("c{n}"), "clientId": format!("c{}", n / 4)}),
                )
                .status,
                post(
                    path,
                    &bob,
                    json!({"content": format!("b{n}"), "clientId": format!("c{}", n / 4)}),
                )
                .status,
                post(path, &cora, json!({"content": "!"})).status,
                post(&paths[2], &alice, json!({"content": "!"})).status,
            ]
        };
        let callers: Vec<_> = (0..16).map(|n| scope.spawn(move || say(n))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(statuses, [[201, 201, 201, 404, 404]; 16]);
    for path in &paths[..2] {
        let said = server.get(&format!("{path}/messages?limit=100"), &bob).body;
        let said: Vec<&Value> = said.as_array().unwrap().iter().rev().collect();
        // 8 of Alice without a client id, and 4 client ids of each of both.
        assert_eq!(
            said.iter().map(|message| message["seq"].as_i64().unwrap()).collect::<Vec<_>>(),
            (1..=16).collect::<Vec<_>>()
        );
        let named =
            |name: &str| said.iter().filter(|message| message["clientId"] == json!(name)).count();
        assert_eq!([named("c0"), named("c1"), named("c2"), named("c3")], [2; 4]);
    }
    assert_eq!(server.get(&format!("{}/messages", paths[2]), &bob).body, json!([]));
}

/// The whole answer to what is sent, on a connection that the server closes.
fn answer(server: &Server, sent: &str) -> String {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_body_arrives_in_time_and_a_sign_in_is_small() {
    let home = Home::new();
    let server = home.serve(&[("BODY_TIMEOUT", "300ms")]);
    let post = |path: &str, token: &str, length: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {token}\r\n{length}\r\n\r\n"
        )
    };
    let (alice, _) = server.sign_in("alice");
    for path in ["/auth/login", "/orders"] {
        let late = answer(&server, &(post(path, &alice, "Content-Length: 9") + "{"));
        assert!(late.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{late}");
        assert!(late.to_lowercase().contains("\r\nconnection: close\r\n"), "{late}");
        let text = "The body did not arrive in time";
        assert!(late.ends_with(&format!(
            r#"{{"statusCode":408,"message":"{text}","error":"Request Timeout"}}"#
        )));
    }
    // Nothing of it has to come before it is refused.
    let large = answer(&server, &post("/auth/login", "", "Content-Length: 4097"));
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let chunked = post("/auth/login", "", "Transfer-Encoding: chunked\r\nConnection: close");
    let chunk = format!("{chunked}1001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x1001));
    let large = answer(&server, &chunk);
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let padded = json!({"email": "alice@demo.test", "password": "x".repeat(4000)});
    assert_eq!(server.post("/auth/login", "", &padded).status, 401);
}

#[test]
fn the_socket_idle_for_longest_makes_room_for_another_of_its_user() {
    let home = Home::new();
    let server = home.serve(&[("SOCKETS_PER_USER", "2")]);
    let ((alice, _), (bob, _), (admin, _)) =
        (server.sign_in("alice"), server.sign_in("bob"), server.sign_in("admin"));
    let mut others = server.plain("/", &bob);
    let (mut first, mut second) = (server.plain("/", &alice), server.plain("/", &alice));
    // Activity is counted in milliseconds.
    let a_while = || thread::sleep(Duration::from_millis(5));
    a_while();
    // The first one is older, and has done something since.
    assert_eq!(first.heard(), [json!(null); 0]);
    a_while();
    let mut third = server.plain("/", &alice);
    assert_eq!(second.close_code(), 4429);
    assert_eq!(first.heard(), [json!(null); 0]);

    a_while();
    let mut engine = server.upgrade("/socket.io/?EIO=4&transport=websocket", &alice);
    engine.text();
    engine.say("40");
    assert_eq!(third.close_code(), 4429, "the first one was heard after the third had come");
    while !engine.text().contains("notifications:unread") {}
    a_while();
    let mut fourth = server.plain("/", &alice);
    assert_eq!(first.close_code(), 4429);
    a_while();
    let mut fifth = server.plain("/", &alice);
    let message = "Too many sockets of this user; this one was idle for longest";
    let error = json!({"status": "error", "code": "rate_limited", "message": message});
    assert_eq!(engine.text(), format!("42{}", json!(["error", error])));
    assert_eq!(engine.text(), format!("42{}", json!(["exception", error])));
    assert_eq!(engine.text(), "41");
    assert_eq!(engine.close_code(), 4429);

    assert_eq!(fourth.heard(), [json!(null); 0]);
    assert_eq!(fifth.heard(), [json!(null); 0]);
    assert_eq!(others.heard(), [json!(null); 0]);
    let mut admins: Vec<_> = (0..4).map(|_| server.plain("/", &admin)).collect();
    assert!(admins.iter_mut().all(|socket| socket.heard().is_empty()));
}

#[test]
fn a_full_server_lets_in_probes_and_admins() {
    let home = Home::new();
    let server = home.serve(&[("MAX_CONNECTIONS", "4"), ("SOCKETS_PER_USER", "9")]);
    assert!(server.log.iter().any(|line| line.contains("room for 4 connections, 3 of them")));
    let ((alice, _), (admin, _)) = (server.sign_in("alice"), server.sign_in("admin"));
    let _sockets: Vec<_> = (0..3).map(|_| server.plain("/", &admin)).collect();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path, "").status, 200, "{path}");
    }
    assert_eq!(server.get("/orders", &admin).status, 200);
    let upgrade = |token: &str| {
        format!(
            "GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
    };
    let refused = answer(&server, &upgrade(&alice));
    assert!(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refused}");
    server.plain("/", &admin);
}

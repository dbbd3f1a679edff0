//! Bursts: sockets that read stay connected, and each message is stored once, in its conversation.

mod support;

use std::thread;

use serde_json::{Value, json};
use support::Home;

#[test]
fn a_burst_of_messages_closes_no_socket_that_reads() {
    let home = Home::new();
    // All of it is one customer's, who is limited to less.
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

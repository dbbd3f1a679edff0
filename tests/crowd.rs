//! Much at once: who reads is not put out for it.

mod support;

use std::thread;

use serde_json::json;
use support::Home;

#[test]
fn a_member_who_says_much_at_once_puts_nobody_out_who_reads() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let made = server.post("/conversations", &alice, &json!({"memberIds": [bob_id]}));
    let path = format!("/conversations/{}/messages", made.body["id"]);
    let mut reader = server.plain("/", &bob);
    reader.say(&json!({"event": "join:conversation", "data": {"conversationId": made.body["id"]}, "id": 1}).to_string());
    while reader.next()["ack"] != 1 {}

    // Within JSON each of these characters takes six bytes: 4.8 MB in all, where a socket may be 1 MiB behind.
    let content = "\u{1}".repeat(40_000);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(server.post(&path, &alice, &json!({"content": content})).status, 201));
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

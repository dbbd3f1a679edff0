//! What is unread after an answer: one's own message moves one's read mark.

use crate::support::{Home, Server, Socket};
use serde_json::{Value, json};

/// A conversation of alice's with bob: its path.
fn conversation(server: &Server, alice: &str, bob_id: i64) -> String {
    let made = server.post("/conversations", alice, &json!({"memberIds": [bob_id]}));
    assert_eq!(made.status, 201, "{}", made.body);
    format!("/conversations/{}", made.body["id"])
}

/// `[unreadCount, content of the last message]` of the first conversation in the user's list.
fn listed(server: &Server, token: &str) -> Value {
    let list = server.get("/conversations", token).body;
    json!([list[0]["unreadCount"], list[0]["lastMessage"]["content"]])
}

fn send(server: &Server, path: &str, token: &str, content: &str) -> Value {
    let sent = server.post(&format!("{path}/messages"), token, &json!({"content": content}));
    assert_eq!(sent.status, 201, "{}", sent.body);
    sent.body
}

/// Sends a client event and gives its ack.
fn ask(socket: &mut Socket, event: &str, data: &Value) -> Value {
    socket.say(&json!({"event": event, "data": data, "id": 1}).to_string());
    loop {
        let frame = socket.next();
        if frame["ack"] == 1 {
            assert_eq!(frame["data"]["ok"], true, "{frame}");
            return frame["data"].clone();
        }
    }
}

#[test]
fn an_answer_by_rest_reads_what_it_answers() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let path = conversation(&server, &alice, bob_id);

    send(&server, &path, &bob, "Tea?");
    assert_eq!(listed(&server, &alice), json!([1, "Tea?"]));
    assert_eq!(listed(&server, &bob), json!([0, "Tea?"]));

    send(&server, &path, &alice, "Gladly.");
    assert_eq!(listed(&server, &alice), json!([0, "Gladly."]));
    assert_eq!(listed(&server, &bob), json!([1, "Gladly."]));
}

#[test]
fn an_answer_by_socket_reads_what_it_answers_and_sends_no_further_event() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let path = conversation(&server, &alice, bob_id);
    let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let first = send(&server, &path, &bob, "Tea?");
    let mut bobs = server.plain("/", &bob);
    ask(&mut bobs, "join:conversation", &json!({"conversationId": id}));

    let mut alices = server.plain("/", &alice);
    let message = json!({"conversationId": id, "message": {"content": "Gladly."}});
    let answer = ask(&mut alices, "message:send", &message);
    assert_eq!(answer["message"]["senderId"], alice_id, "{answer}");
    assert_eq!(listed(&server, &alice), json!([0, "Gladly."]));
    assert_eq!(listed(&server, &bob), json!([1, "Gladly."]));

    // Reading what the answer has read changes nothing; reading the answer itself is an event.
    let read = |message: &Value| {
        server.post(&format!("{path}/read"), &alice, &json!({"messageId": message["id"]})).status
    };
    assert_eq!((read(&first), read(&answer["message"])), (200, 200));
    let ours = [json!("message:new"), json!("conversation:read")];
    let mut events = bobs.heard();
    events.retain(|frame| ours.contains(&frame["event"]));
    let events: Vec<Value> =
        events.iter().map(|frame| json!([frame["event"], frame["data"]])).collect();
    let own = &answer["message"]["id"];
    let marked = json!({"conversationId": id, "userId": alice_id, "messageId": own});
    assert_eq!(
        events,
        [json!(["message:new", answer["message"]]), json!(["conversation:read", marked])]
    );
}

#[test]
fn a_read_mark_clears_the_badge_on_all_sockets_of_the_reader_and_on_no_others() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let path = conversation(&server, &alice, bob_id);
    let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let messages = ["One", "Two", "Three"].map(|content| send(&server, &path, &bob, content));
    let (mut reading, mut other, mut bobs) =
        (server.plain("/", &alice), server.plain("/", &alice), server.plain("/", &bob));
    let unread = |socket: &mut Socket| -> Vec<Value> {
        let frames = socket.heard().into_iter();
        frames.filter(|frame| frame["event"] == "conversations:unread").collect()
    };
    // Not stored, so there is no offset.
    let event = |count: i64| {
        let data = json!({"conversationId": id, "unreadCount": count});
        json!({"event": "conversations:unread", "data": data})
    };
    // By the socket, by REST, and by a mark that does not move.
    let [one, two, three] = messages.map(|message| message["id"].clone());
    let mark = |message: &Value| json!({"conversationId": id, "messageId": message});
    ask(&mut reading, "conversation:read", &mark(&two));
    for (message, count) in [(&three, 0), (&one, 0)] {
        let read = server.post(&format!("{path}/read"), &alice, &json!({"messageId": message}));
        assert_eq!((read.status, &read.body["unreadCount"]), (200, &json!(count)));
    }
    assert_eq!(unread(&mut other), [event(1), event(0)]);
    assert_eq!(unread(&mut reading).last(), Some(&event(0)));
    assert_eq!(unread(&mut bobs), Vec::<Value>::new());
}

#[test]
fn answers_at_the_same_time_leave_exact_counts() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let path = conversation(&server, &alice, bob_id);
    std::thread::scope(|scope| {
        for lane in 0..6 {
            let (token, path, server) = (if lane % 2 == 0 { &alice } else { &bob }, &path, &server);
            scope.spawn(move || (0..10).for_each(|_| drop(send(server, path, token, "x"))));
        }
    });
    let newest_first = server.get(&format!("{path}/messages?limit=100"), &alice).body;
    let newest_first = newest_first.as_array().unwrap();
    assert_eq!(newest_first.len(), 60);
    for (token, id) in [(&alice, alice_id), (&bob, bob_id)] {
        let unread = newest_first.iter().take_while(|one| one["senderId"] != json!(id)).count();
        assert_eq!(listed(&server, token), json!([unread, "x"]));
    }
}

//! Conversations and messages through the public API: the answers of REST, and which sockets
//! receive events.

use crate::support::chat;

use crate::support::Home;
use chat::{both, delete, error, events, register, talk, without_times};
use serde_json::{Value, json};

#[test]
fn only_its_members_see_a_conversation() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id), (cora, cora_id)) =
        (server.sign_in("alice"), server.sign_in("bob"), register(&server, "cora"));

    let made =
        server.post("/conversations", &alice, &json!({"title": "Tea", "memberIds": [bob_id]}));
    let id = made.body["id"].as_i64().unwrap();
    let members = json!([{"userId": alice_id, "name": "Alice"}, {"userId": bob_id, "name": "Bob"}]);
    let tea = json!({"id": id, "title": "Tea", "projectId": null, "ownerId": alice_id, "members": members});
    assert_eq!((made.status, without_times(&made.body)), (201, tea.clone()));
    let mut expected = tea;
    expected["unreadCount"] = json!(0);
    expected["lastMessage"] = Value::Null;
    let path = format!("/conversations/{id}");
    let read = server.get(&path, &bob);
    assert_eq!((read.status, without_times(&read.body)), (200, expected.clone()));
    expected.as_object_mut().unwrap().remove("members");
    assert_eq!(without_times(&server.get("/conversations?limit=1", &bob).body), json!([expected]));
    assert_eq!(server.get("/conversations", &cora).body, json!([]));

    let missing = error(404, json!(format!("Conversation with ID {id} not found")));
    assert_eq!(both(server.get(&path, &cora)), missing);
    assert_eq!(both(server.get(&format!("{path}/messages"), &cora)), missing);
    assert_eq!(
        both(server.post(&format!("{path}/messages"), &cora, &json!({"content": "x"}))),
        missing
    );
    assert_eq!(
        both(server.post(&format!("{path}/read"), &cora, &json!({"messageId": 1}))),
        missing
    );
    assert_eq!(
        both(server.post(&format!("{path}/members"), &cora, &json!({"userId": cora_id}))),
        missing
    );
    assert_eq!(delete(&server, &format!("{path}/members/{bob_id}"), &cora), missing);

    let members = format!("{path}/members");
    let forbidden = error(403, json!("Forbidden resource"));
    assert_eq!(both(server.post(&members, &bob, &json!({"userId": cora_id}))), forbidden);
    let added = server.post(&members, &alice, &json!({"userId": cora_id}));
    assert_eq!(
        (added.status, without_times(&added.body)),
        (201, json!({"userId": cora_id, "name": "cora"}))
    );
    assert_eq!(
        both(server.post(&members, &alice, &json!({"userId": cora_id}))),
        error(409, json!(format!("User {cora_id} is already a member")))
    );
    assert_eq!(
        both(server.post(&members, &alice, &json!({"userId": 999_999}))),
        error(400, json!(["userId must refer to an existing user"]))
    );
    assert_eq!(
        delete(&server, &format!("{members}/{alice_id}"), &alice),
        error(409, json!("The owner cannot be removed"))
    );
    assert_eq!(delete(&server, &format!("{members}/{bob_id}"), &cora), forbidden);
    assert_eq!(delete(&server, &format!("{members}/{cora_id}"), &cora), (204, Value::Null));
    assert_eq!(
        delete(&server, &format!("{members}/{cora_id}"), &alice),
        error(404, json!(format!("Member with ID {cora_id} not found")))
    );

    let unknown = error(400, json!(["memberIds must refer to existing users"]));
    assert_eq!(
        both(server.post("/conversations", &alice, &json!({"memberIds": [bob_id, 999_999]}))),
        unknown
    );
    let faults =
        server.post("/conversations", &alice, &json!({"title": "", "memberIds": ["x"], "foo": 1}));
    let list = json!([
        "property foo should not exist",
        "title should not be empty",
        "memberIds must be an array of positive integer numbers"
    ]);
    assert_eq!(both(faults), error(400, list));
}

#[test]
fn a_message_is_stored_and_sent_to_the_members_and_nobody_else() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id), (admin, _)) =
        (server.sign_in("alice"), server.sign_in("bob"), server.sign_in("admin"));
    let (cora, _) = register(&server, "cora");
    let path = talk(&server, &alice, &[bob_id]);
    let mut members = [server.plain("/", &alice), server.plain("/", &bob), server.plain("/", &bob)];
    let mut others =
        [server.plain("/", &cora), server.plain("/", &admin), server.plain("/admin", &admin)];

    let sent = server.post(
        &format!("{path}/messages"),
        &alice,
        &json!({"content": "Hello!", "clientId": "c-1"}),
    );
    let message = &sent.body;
    let conversation: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let expected = json!({"id": message["id"], "conversationId": conversation, "seq": 1, "senderId": alice_id, "content": "Hello!", "type": "text", "clientId": "c-1", "createdAt": message["createdAt"]});
    assert_eq!((sent.status, message), (201, &expected));
    for socket in &mut members {
        assert_eq!(events(socket), [json!(["messageReceived", expected])]);
    }
    let answers: Vec<_> = std::thread::scope(|scope| {
        let again = || {
            both(server.post(
                &format!("{path}/messages"),
                &alice,
                &json!({"content": "Other", "clientId": "c-1"}),
            ))
        };
        let callers: Vec<_> = (0..20).map(|_| scope.spawn(again)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == (201, expected.clone())), "{answers:?}");
    let picture = server.post(
        &format!("{path}/messages"),
        &bob,
        &json!({"content": "x", "type": "image", "clientId": "c-1"}),
    );
    assert_eq!((&picture.body["seq"], &picture.body["type"]), (&json!(2), &json!("image")));
    for socket in &mut members {
        assert_eq!(
            events(socket),
            [json!(["messageReceived", picture.body])],
            "a repeated message sends no event"
        );
    }
    for socket in &mut others {
        assert_eq!(events(socket), Vec::<Value>::new());
    }
    assert_eq!(server.get(&format!("{path}/messages"), &bob).body, json!([picture.body, expected]));

    let long = "🌍".repeat(65_536);
    let taken = server.post(&format!("{path}/messages"), &alice, &json!({"content": long}));
    assert_eq!((taken.status, taken.body["content"].as_str()), (201, Some(&*long)));
    let faults = json!(["content must be shorter than or equal to 65536 characters"]);
    assert_eq!(
        both(server.post(
            &format!("{path}/messages"),
            &alice,
            &json!({"content": format!("{long}x")})
        )),
        error(400, faults)
    );
    let faults = server.post(
        &format!("{path}/messages"),
        &alice,
        &json!({"content": 5, "clientId": "", "senderId": bob_id}),
    );
    assert_eq!(faults.status, 400);
    for fault in [
        "property senderId should not exist",
        "content must be a string",
        "clientId should not be empty",
    ] {
        assert!(
            faults.body["message"].as_array().unwrap().contains(&json!(fault)),
            "{}",
            faults.body
        );
    }
}

#[test]
fn the_unread_count_is_exact_and_the_read_mark_never_moves_back() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id), (cora, cora_id)) =
        (server.sign_in("alice"), server.sign_in("bob"), register(&server, "cora"));
    let (path, other) = (talk(&server, &alice, &[bob_id]), talk(&server, &alice, &[bob_id]));
    let say = |token: &str, content: &str| {
        server.post(&format!("{path}/messages"), token, &json!({"content": content})).body["id"]
            .clone()
    };
    let ids = [say(&alice, "a1"), say(&bob, "b1"), say(&alice, "a2"), say(&alice, "a3")];
    let foreign = server.post(&format!("{other}/messages"), &alice, &json!({"content": "x"})).body
        ["id"]
        .clone();
    let unread = |token: &str| server.get(&path, token).body["unreadCount"].as_i64().unwrap();
    assert_eq!((unread(&alice), unread(&bob)), (0, 2), "an own message reads what comes before it");

    let conversation: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let reading = |message: &Value, left: i64| {
        (
            200,
            json!({"conversationId": conversation, "userId": bob_id, "messageId": message, "unreadCount": left}),
        )
    };
    let read = |message: &Value| {
        both(server.post(&format!("{path}/read"), &bob, &json!({"messageId": message})))
    };
    assert_eq!(read(&ids[2]), reading(&ids[2], 1));
    assert_eq!(read(&ids[0]), reading(&ids[0], 1), "an older message changes nothing");
    assert_eq!(unread(&bob), 1);
    assert_eq!(read(&foreign), error(404, json!(format!("Message with ID {foreign} not found"))));
    assert_eq!(both(server.post(&format!("{path}/read"), &bob, &json!({}))).0, 400);

    server.post(&format!("{path}/members"), &alice, &json!({"userId": cora_id}));
    assert_eq!(unread(&cora), 0, "what was said before it came is not news");
    say(&bob, "b2");
    assert_eq!((unread(&alice), unread(&bob), unread(&cora)), (1, 0, 1));
    let list = server.get("/conversations?limit=2", &bob).body;
    let seen: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["unreadCount"], &one["lastMessage"]["content"]))
        .collect();
    assert_eq!(seen, [(&json!(1), &json!("x")), (&json!(0), &json!("b2"))]);
}

#[test]
fn every_answered_message_survives_a_kill_with_exact_counts() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let path = talk(&server, &alice, &[bob_id]);
    let mut answered: Vec<Value> = std::thread::scope(|scope| {
        let lane = |lane: usize| {
            let (token, path, server) =
                (if lane.is_multiple_of(2) { &alice } else { &bob }, &path, &server);
            scope.spawn(move || {
                (0..25)
                    .map(|n| {
                        server
                            .post(
                                &format!("{path}/messages"),
                                token,
                                &json!({"content": n.to_string()}),
                            )
                            .body
                    })
                    .collect::<Vec<_>>()
            })
        };
        let lanes: Vec<_> = (0..4).map(lane).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    answered.sort_by_key(|message| message["seq"].as_i64());
    let mark = &answered[39];
    let left = server.post(&format!("{path}/read"), &bob, &json!({"messageId": mark["id"]})).body["unreadCount"].clone();
    server.kill();
    let server = home.serve(&[]);
    let mut history = server.get(&format!("{path}/messages?limit=200"), &bob).body;
    history.as_array_mut().unwrap().reverse();
    assert_eq!(history, Value::Array(answered.clone()));
    assert!(
        answered.iter().enumerate().all(|(index, message)| message["seq"] == json!(index + 1)),
        "no gap"
    );
    // What comes after both the mark and the last own message: all of it is of others.
    let is_bobs = |message: &Value| message["senderId"] == json!(bob_id);
    let last = |of_bob: bool| answered.iter().rposition(|one| is_bobs(one) == of_bob).unwrap() + 1;
    let unread = answered.len() - last(true).max(40);
    assert_eq!(
        (&server.get(&path, &bob).body["unreadCount"], left),
        (&json!(unread), json!(unread))
    );
    assert_eq!(server.get(&path, &alice).body["unreadCount"], answered.len() - last(false));
}

/// A socket's ack.
fn ack(socket: &mut crate::support::Socket, event: &str, data: &Value) -> Value {
    socket.say(&json!({"event": event, "data": data, "id": 1}).to_string());
    loop {
        let frame = socket.next();
        if frame["ack"] == 1 {
            return frame["data"].clone();
        }
    }
}

#[test]
fn what_a_customer_causes_for_others_is_limited_over_all_its_calls_and_sockets() {
    let home = Home::new();
    let server = home.serve(&[("RATE_PUBLISH", "1/m,6000")]);
    // The demo data is Alice's and Bob's, and was counted.
    let ((alice, _), (bob, bob_id), (admin, _)) =
        (register(&server, "anna"), register(&server, "ben"), server.sign_in("admin"));
    let path = talk(&server, &alice, &[bob_id]);
    let messages = format!("{path}/messages");
    let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let product = json!({"name": "Tea", "price": 1, "description": "x".repeat(3_000)});
    let made = server.post("/products", &alice, &product);
    assert_eq!(made.status, 201, "{}", made.body);
    let product = format!("/products/{}", made.body["id"]);
    let long = json!({"content": "x".repeat(1_000)});
    assert_eq!(server.post(&messages, &alice, &long).status, 201);

    // By now 4,500 and some of the 6,000 bytes are used.
    let refused = server.post(&messages, &alice, &json!({"content": "y".repeat(1_500)}));
    let wait = refused.headers.get("Retry-After").unwrap().to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 60, "{wait}");
    let text =
        json!({"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"});
    assert_eq!(both(refused), (429, text));
    // The event of a small change has the whole product.
    assert_eq!(server.patch(&product, &alice, &json!({"stock": 1})).status, 429);
    assert_eq!(server.get(&product, &bob).body["stock"], 0);

    let mut socket = server.plain("/", &alice);
    for (event, data) in [
        ("message:send", json!({"conversationId": id, "message": {"content": "z".repeat(1_500)}})),
        ("join:conversation", json!({"conversationId": id})),
    ] {
        let mut answer = ack(&mut socket, event, &data);
        // The other events are small. They use what is left.
        for _ in 0..10 {
            if answer["ok"] == false {
                break;
            }
            answer = ack(&mut socket, event, &data);
        }
        let code =
            json!({"ok": false, "error": {"code": "rate_limited", "message": "Too many requests"}});
        assert_eq!(answer, code, "{event}");
    }
    let typing = json!({"conversationId": id, "isTyping": true});
    while ack(&mut socket, "typing", &typing)["ok"] == true {}
    assert_eq!(server.post(&messages, &alice, &json!({"content": "short"})).status, 429);
    assert_eq!(server.get(&messages, &bob).body.as_array().unwrap().len(), 1);

    // Others have limits of their own, and an admin has none.
    assert_eq!(server.post(&messages, &bob, &long).status, 201);
    for _ in 0..3 {
        let change = json!({"description": "z".repeat(5_000)});
        assert_eq!(server.patch(&product, &admin, &change).status, 200);
    }
}

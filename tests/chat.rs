//! Projects and conversations through the public doors: what REST answers, and which sockets hear
//! of it.

mod support;

use serde_json::{Value, json};
use support::{Answer, Home, Server, Socket};

/// Everything of an answer but the times, which are looked at on their own.
fn without_times(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_times).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !name.ends_with("At"));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_times(value))).collect())
        }
        other => other.clone(),
    }
}

fn error(status: u16, message: impl Into<Value>) -> (u16, Value) {
    let text = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        _ => unreachable!("no test expects {status}"),
    };
    (status, json!({"statusCode": status, "message": message.into(), "error": text}))
}

fn both(answer: Answer) -> (u16, Value) {
    (answer.status, answer.body)
}

/// Of all that the socket has heard, what this file is about: `[event, data]`.
fn heard(socket: &mut Socket) -> Vec<Value> {
    let ours = [
        "message:new",
        "messageReceived",
        "conversation:read",
        "project:update",
        "stage:completed",
    ];
    let all = socket.heard().into_iter().map(|frame| json!([frame["event"], frame["data"]]));
    all.filter(|frame| ours.contains(&frame[0].as_str().unwrap_or_default())).collect()
}

/// A new customer: token and user id.
fn register(server: &Server, name: &str) -> (String, i64) {
    let account =
        json!({"email": format!("{name}@x.test"), "name": name, "password": "long-enough"});
    let answer = server.post("/auth/register", "", &account);
    assert!(answer.body["accessToken"].is_string(), "{}", answer.body);
    (
        answer.body["accessToken"].as_str().unwrap().to_owned(),
        answer.body["user"]["id"].as_i64().unwrap(),
    )
}

/// A conversation of that user with those others: its path.
fn talk(server: &Server, token: &str, others: &[i64]) -> String {
    let made = server.post("/conversations", token, &json!({"memberIds": others}));
    assert_eq!(made.status, 201, "{}", made.body);
    format!("/conversations/{}", made.body["id"])
}

fn delete(server: &Server, path: &str, token: &str) -> (u16, Value) {
    both(server.call("DELETE", path, token, &[], None))
}

#[test]
fn a_project_is_its_members_matter_and_members_are_its_owners() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id), (_, admin_id)) =
        (server.sign_in("alice"), server.sign_in("bob"), server.sign_in("admin"));

    let made = server.post("/projects", &alice, &json!({"name": "Garden", "description": "Green"}));
    let id = made.body["id"].as_i64().unwrap();
    let project = json!({"id": id, "name": "Garden", "description": "Green", "status": "active", "ownerId": alice_id});
    assert_eq!((made.status, without_times(&made.body)), (201, project.clone()));
    let path = format!("/projects/{id}");
    let missing = error(404, json!(format!("Project with ID {id} not found")));
    assert_eq!(both(server.get(&path, &bob)), missing);
    assert_eq!(both(server.patch(&path, &bob, &json!({"status": "x"}))), missing);
    assert_eq!(
        both(server.post(&format!("{path}/members"), &bob, &json!({"userId": bob_id}))),
        missing
    );
    assert_eq!(both(server.post(&format!("{path}/stages"), &bob, &json!({"name": "x"}))), missing);
    assert_eq!(delete(&server, &format!("{path}/members/{alice_id}"), &bob), missing);

    let members = format!("{path}/members");
    let added = server.post(&members, &alice, &json!({"userId": bob_id}));
    assert_eq!(
        (added.status, without_times(&added.body)),
        (201, json!({"userId": bob_id, "name": "Bob"}))
    );
    let taken = error(409, json!(format!("User {bob_id} is already a member")));
    assert_eq!(both(server.post(&members, &alice, &json!({"userId": bob_id}))), taken);
    let unknown = error(400, json!(["userId must refer to an existing user"]));
    assert_eq!(both(server.post(&members, &alice, &json!({"userId": 999_999}))), unknown);
    let forbidden = error(403, json!("Forbidden resource"));
    assert_eq!(both(server.post(&members, &bob, &json!({"userId": admin_id}))), forbidden);
    assert_eq!(delete(&server, &format!("{members}/{alice_id}"), &bob), forbidden);
    let owner = error(409, json!("The owner cannot be removed"));
    assert_eq!(delete(&server, &format!("{members}/{alice_id}"), &alice), owner);
    let nobody = error(404, json!(format!("Member with ID {admin_id} not found")));
    assert_eq!(delete(&server, &format!("{members}/{admin_id}"), &alice), nobody);
    assert_eq!(
        delete(&server, &format!("{members}/x"), &alice),
        error(400, json!("Validation failed (numeric string is expected)"))
    );

    let stage = server.post(&format!("{path}/stages"), &bob, &json!({"name": "Dig"}));
    let stage_id = stage.body["id"].as_i64().unwrap();
    let dig = json!({"id": stage_id, "projectId": id, "name": "Dig", "completedBy": null});
    assert_eq!((stage.status, without_times(&stage.body)), (201, dig));
    let done = server.call("POST", &format!("{path}/stages/{stage_id}/complete"), &bob, &[], None);
    let dug = json!({"id": stage_id, "projectId": id, "name": "Dig", "completedBy": bob_id});
    assert_eq!((done.status, without_times(&done.body)), (200, dug.clone()));
    assert!(done.body["completedAt"].is_string());
    let again = error(409, json!(format!("Stage with ID {stage_id} is already completed")));
    assert_eq!(
        both(server.post(&format!("{path}/stages/{stage_id}/complete"), &alice, &json!({}))),
        again
    );
    let no_stage = error(404, json!("Stage with ID 999999 not found"));
    assert_eq!(
        both(server.post(&format!("{path}/stages/999999/complete"), &alice, &json!({}))),
        no_stage
    );

    let whole = server.get(&path, &bob);
    let mut expected = project;
    expected["members"] =
        json!([{"userId": alice_id, "name": "Alice"}, {"userId": bob_id, "name": "Bob"}]);
    expected["stages"] = json!([dug]);
    assert_eq!((whole.status, without_times(&whole.body)), (200, expected));

    assert_eq!(delete(&server, &format!("{members}/{bob_id}"), &bob), (204, Value::Null));
    assert_eq!(both(server.get(&path, &bob)), missing, "who has left is a stranger");
}

#[test]
fn a_conversation_is_made_with_members_and_only_they_see_it() {
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
fn a_projects_conversation_is_for_the_projects_members() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id), (cora, cora_id)) =
        (server.sign_in("alice"), server.sign_in("bob"), register(&server, "cora"));
    let project =
        server.post("/projects", &alice, &json!({"name": "Garden"})).body["id"].as_i64().unwrap();
    server.post(&format!("/projects/{project}/members"), &alice, &json!({"userId": bob_id}));

    let strange = error(404, json!(format!("Project with ID {project} not found")));
    assert_eq!(both(server.post("/conversations", &cora, &json!({"projectId": project}))), strange);
    let outside = error(400, json!(["memberIds must refer to members of the project"]));
    assert_eq!(
        both(server.post(
            "/conversations",
            &alice,
            &json!({"projectId": project, "memberIds": [bob_id, cora_id]})
        )),
        outside
    );
    let all = server.post("/conversations", &bob, &json!({"projectId": project})).body;
    let ids = |conversation: &Value| {
        conversation["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["userId"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&all), [alice_id, bob_id]);
    let own =
        server.post("/conversations", &bob, &json!({"projectId": project, "memberIds": []})).body;
    assert_eq!(ids(&own), [bob_id]);
    let path = format!("/conversations/{}", all["id"]);
    let fault = error(400, json!(["userId must refer to a member of the project"]));
    assert_eq!(
        both(server.post(&format!("{path}/members"), &bob, &json!({"userId": cora_id}))),
        fault
    );

    // Whoever leaves the project leaves its conversations; what belonged to bob is another member's
    // then.
    assert_eq!(
        delete(&server, &format!("/projects/{project}/members/{bob_id}"), &alice),
        (204, Value::Null)
    );
    for id in [&all["id"], &own["id"]] {
        assert_eq!(
            both(server.get(&format!("/conversations/{id}"), &bob)),
            error(404, json!(format!("Conversation with ID {id} not found")))
        );
    }
    let left = server.get(&path, &alice).body;
    assert_eq!((ids(&left), &left["ownerId"]), (vec![alice_id], &json!(alice_id)));
}

#[test]
fn a_message_is_stored_and_reaches_the_members_and_nobody_else() {
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
        assert_eq!(heard(socket), [json!(["messageReceived", expected])]);
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
            heard(socket),
            [json!(["messageReceived", picture.body])],
            "a repetition says nothing"
        );
    }
    for socket in &mut others {
        assert_eq!(heard(socket), Vec::<Value>::new());
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
fn what_is_unread_is_exact_and_reading_never_goes_back() {
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
    assert_eq!(read(&ids[0]), reading(&ids[0], 1), "an older one changes nothing");
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
fn lists_page_without_loss_or_repetition() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (cora, _) = register(&server, "cora");
    let path = talk(&server, &cora, &[]);
    for n in 0..6 {
        server.post(&format!("{path}/messages"), &cora, &json!({"content": n.to_string()}));
        server.post("/projects", &cora, &json!({"name": n.to_string()}));
        talk(&server, &cora, &[]);
    }
    for (list, count) in
        [(format!("{path}/messages"), 6), ("/projects".into(), 6), ("/conversations".into(), 7)]
    {
        let whole = server.get(&list, &cora).body;
        assert_eq!(whole.as_array().unwrap().len(), count, "{list}");
        let (mut next, mut paged) = (Some(format!("{list}?limit=2")), Vec::new());
        while let Some(path) = next {
            let page = server.get(&path, &cora);
            paged.extend(page.body.as_array().unwrap().iter().cloned());
            next = page.headers.get("link").map(|link| {
                link.to_str().unwrap().trim_start_matches('<').split('>').next().unwrap().to_owned()
            });
        }
        assert_eq!(Value::Array(paged), whole, "{list}");
        assert!(
            whole.as_array().unwrap().is_sorted_by(|a, b| a["id"].as_i64() > b["id"].as_i64()),
            "{list}"
        );
        assert_eq!(server.get(&format!("{list}?limit=0"), &cora).status, 400);
    }
}

#[test]
fn every_post_runs_once_under_its_key() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let key = [("Idempotency-Key", "k-1")];
    let twice = |path: &str, body: Value| {
        let call = || both(server.call("POST", path, &alice, &key, Some(&body)));
        let first = call();
        assert!(first.0 < 300, "{path}: {first:?}");
        assert_eq!(call(), first, "{path}");
        first.1
    };
    let project = twice("/projects", json!({"name": "Garden"}))["id"].clone();
    twice(&format!("/projects/{project}/members"), json!({"userId": bob_id}));
    let stage = twice(&format!("/projects/{project}/stages"), json!({"name": "Dig"}))["id"].clone();
    twice(&format!("/projects/{project}/stages/{stage}/complete"), json!({}));
    let talk = twice("/conversations", json!({"projectId": project}))["id"].clone();
    let mut bobs = server.plain("/", &bob);
    let message = twice(&format!("/conversations/{talk}/messages"), json!({"content": "Hello!"}));
    twice(&format!("/conversations/{talk}/read"), json!({"messageId": message["id"]}));
    assert_eq!(heard(&mut bobs), [json!(["messageReceived", message])]);
    let whole = server.get(&format!("/projects/{project}"), &alice).body;
    assert_eq!(
        (whole["members"].as_array().map(Vec::len), whole["stages"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
}

#[test]
fn what_was_answered_survives_a_kill_with_exact_counts() {
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

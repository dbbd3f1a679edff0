//! Invitations to conversations and projects (MEMBERSHIP=invite), and blocks, through the public
//! API: what the invited person, the inviter and strangers learn.

use crate::support::chat;

use crate::support::{Home, Server, Socket};
use chat::{both, delete, error, events, register, talk, without_times};
use serde_json::{Value, json};

const INVITE: (&str, &str) = ("MEMBERSHIP", "invite");

/// Makes a project. Returns its id and the path of its members.
fn project(server: &Server, token: &str, name: &str) -> (i64, String) {
    let made = server.post("/projects", token, &json!({"name": name}));
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_i64().unwrap();
    (id, format!("/projects/{id}/members"))
}

fn invite(server: &Server, members: &str, token: &str, user: i64) -> (u16, Value) {
    both(server.post(members, token, &json!({"userId": user})))
}

fn invitations(server: &Server, token: &str) -> Value {
    server.get("/invitations", token).body
}

/// The first open invitation of that user.
fn first(server: &Server, token: &str) -> i64 {
    invitations(server, token)[0]["id"].as_i64().unwrap()
}

fn answer(server: &Server, token: &str, id: i64, word: &str, body: &Value) -> (u16, Value) {
    both(server.post(&format!("/invitations/{id}/{word}"), token, body))
}

fn put_block(server: &Server, token: &str, user: i64) -> (u16, Value) {
    both(server.call("PUT", &format!("/blocks/{user}"), token, &[], None))
}

/// The events of invitations that the socket received: `[event, data]`.
fn heard(socket: &mut Socket) -> Vec<Value> {
    let all = socket.heard().into_iter();
    all.filter(|frame| frame["event"].as_str().unwrap_or_default().starts_with("invitation"))
        .map(|frame| json!([frame["event"], frame["data"]]))
        .collect()
}

#[test]
fn a_stranger_reaches_nobody_who_has_not_accepted() {
    let home = Home::new();
    let server = home.serve(&[INVITE]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let mut victim = server.plain("/", &bob);
    let made =
        server.post("/conversations", &alice, &json!({"title": "Tea", "memberIds": [bob_id]}));
    let id = made.body["id"].as_i64().unwrap();
    let members = json!([{"userId": alice_id, "name": "Alice"}]);
    let tea = json!({"id": id, "title": "Tea", "projectId": null, "ownerId": alice_id, "members": members, "invited": [bob_id]});
    assert_eq!((made.status, without_times(&made.body)), (201, tea));

    let path = format!("/conversations/{id}");
    let say = || server.post(&format!("{path}/messages"), &alice, &json!({"content": "Hello!"}));
    assert_eq!(say().status, 201);
    let missing = error(404, json!(format!("Conversation with ID {id} not found")));
    assert_eq!(both(server.get(&path, &bob)), missing);
    victim.say(
        &json!({"event": "join:conversation", "data": {"conversationId": id}, "id": 1}).to_string(),
    );
    let invited_by = json!({"id": alice_id, "name": "Alice"});
    let open = invitations(&server, &bob)[0].clone();
    assert_eq!(
        without_times(&open),
        json!({"id": open["id"], "kind": "conversation", "conversationId": id, "projectId": null, "title": "Tea", "invitedBy": invited_by})
    );
    let frames = victim.heard();
    assert_eq!((&frames[0]["event"], &frames[0]["data"]), (&json!("invitation"), &open));
    assert_eq!(frames[1]["data"]["error"]["code"], "not_found");
    assert_eq!(frames.len(), 2, "no message, and nothing else: {frames:?}");

    // Accepted: a member as if it had been added.
    let mut other_tab = server.plain("/", &bob);
    let of_bob = open["id"].as_i64().unwrap();
    assert_eq!(answer(&server, &bob, of_bob, "accept", &json!({})), (200, open.clone()));
    let closed = json!(["invitation:closed", {"id": of_bob}]);
    assert_eq!(heard(&mut other_tab), [closed]);
    assert_eq!(invitations(&server, &bob), json!([]));
    assert_eq!(server.get(&path, &bob).body["unreadCount"], 0, "earlier messages are no news");
    victim.heard();
    let message = say().body;
    assert_eq!(events(&mut victim), [json!(["messageReceived", message])]);
    let gone = error(404, json!(format!("Invitation with ID {of_bob} not found")));
    assert_eq!(answer(&server, &bob, of_bob, "accept", &json!({})), gone);
    assert_eq!(
        invite(&server, &format!("{path}/members"), &alice, bob_id),
        error(409, json!(format!("User {bob_id} is already a member")))
    );
    // And a member leaves by itself.
    assert_eq!(delete(&server, &format!("{path}/members/{bob_id}"), &bob), (204, Value::Null));
}

#[test]
fn a_project_asks_too_and_its_members_are_in_its_conversations_unasked() {
    let home = Home::new();
    let server = home.serve(&[INVITE]);
    let ((alice, _), (bob, bob_id), (admin, admin_id)) =
        (server.sign_in("alice"), server.sign_in("bob"), server.sign_in("admin"));
    let (cora, cora_id) = register(&server, "cora");
    let (id, members) = project(&server, &alice, "Garden");
    let mut owner = server.plain("/", &alice);
    owner.say(&json!({"event": "join:project", "data": {"projectId": id}}).to_string());
    owner.heard();
    let invited = (201, json!({"userId": bob_id, "invited": true}));
    assert_eq!(invite(&server, &members, &alice, bob_id), invited);
    assert_eq!(events(&mut owner), Vec::<Value>::new(), "nobody has joined");
    let open = invitations(&server, &bob);
    assert_eq!(
        (&open[0]["kind"], &open[0]["projectId"], &open[0]["title"]),
        (&json!("project"), &json!(id), &json!("Garden"))
    );
    let key = [("Idempotency-Key", "yes")];
    let path = format!("/invitations/{}/accept", open[0]["id"]);
    for _ in 0..2 {
        assert_eq!(server.call("POST", &path, &bob, &key, Some(&json!({}))).status, 200);
    }
    let heard = events(&mut owner);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0][1]["type"], "member_added");
    assert_eq!(heard[0][1]["data"], json!({"userId": bob_id, "name": "Bob"}));

    let made = server.post("/conversations", &alice, &json!({"projectId": id}));
    assert_eq!(made.body["members"].as_array().map(Vec::len), Some(2), "{}", made.body);
    assert!(made.body.get("invited").is_none());

    // An admin adds directly, and a block does not hold against it.
    let (_, of_admin) = project(&server, &admin, "Office");
    assert_eq!(put_block(&server, &cora, admin_id).0, 204);
    let added = server.post(&of_admin, &admin, &json!({"userId": cora_id}));
    assert_eq!(
        (added.status, without_times(&added.body)),
        (201, json!({"userId": cora_id, "name": "cora"}))
    );

    // An invitation can be taken back.
    assert_eq!(invite(&server, &members, &alice, cora_id).0, 201);
    let of_cora = first(&server, &cora);
    let mut guest = server.plain("/", &cora);
    let invited = format!("{members}/{cora_id}");
    assert_eq!(delete(&server, &invited, &bob), error(403, json!("Forbidden resource")));
    assert_eq!(delete(&server, &invited, &alice), (204, Value::Null));
    assert_eq!(self::heard(&mut guest), [json!(["invitation:closed", {"id": of_cora}])]);
    assert_eq!(invitations(&server, &cora), json!([]));
}

#[test]
fn an_inviter_cannot_tell_who_exists_who_refuses_and_who_blocks() {
    let home = Home::new();
    let server = home.serve(&[INVITE]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let ((cora, cora_id), nobody) = (register(&server, "cora"), 999_999);
    let (_, members) = project(&server, &alice, "Garden");
    assert_eq!(put_block(&server, &cora, alice_id), (204, Value::Null));
    let mut sockets = [server.plain("/", &bob), server.plain("/", &cora)];
    // Each answer twice: the second time Bob has refused.
    for round in 0..2 {
        for user in [bob_id, cora_id, nobody] {
            let same = (201, json!({"userId": user, "invited": true}));
            assert_eq!(invite(&server, &members, &alice, user), same, "{round} {user}");
        }
        if round == 0 {
            let id = first(&server, &bob);
            assert_eq!(answer(&server, &bob, id, "refuse", &json!({})), (204, Value::Null));
        }
    }
    let counts = sockets.each_mut().map(|socket| heard(socket).len());
    assert_eq!(counts, [2, 0], "Bob heard of one invitation and its end, Cora of nothing");
    assert_eq!((invitations(&server, &bob), invitations(&server, &cora)), (json!([]), json!([])));
    for user in [bob_id, cora_id, nobody] {
        assert_eq!(delete(&server, &format!("{members}/{user}"), &alice).0, 204, "taken back");
    }
    let fourth = nobody - 1;
    assert_eq!(
        delete(&server, &format!("{members}/{fourth}"), &alice),
        error(404, json!(format!("Member with ID {fourth} not found")))
    );
    // The blocks say nothing of who exists either.
    assert_eq!(put_block(&server, &alice, nobody), (204, Value::Null));
    assert_eq!(without_times(&server.get("/blocks", &alice).body)[0]["userId"], nobody);
}

#[test]
fn invitations_are_bounded_for_the_inviter_and_for_the_invited() {
    let home = Home::new();
    let server = home.serve(&[INVITE, ("INVITATION_LIMIT", "6"), ("RATE_LOGIN", "1000/s")]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let full = error(409, json!("No more than 6 invitations may be open"));
    // One request for many people: nobody of them is invited.
    let many = json!({"memberIds": [bob_id, 91, 92, 93, 94, 95, 96]});
    assert_eq!(both(server.post("/conversations", &alice, &many)), full);
    assert_eq!(server.get("/conversations?limit=1", &alice).body[0]["title"], "Relaunch");
    // One user never fills the list of another, and does not learn of it.
    for _ in 0..6 {
        talk(&server, &alice, &[bob_id]);
    }
    assert_eq!(invitations(&server, &bob).as_array().map(Vec::len), Some(5));
    assert_eq!(both(server.post("/conversations", &alice, &json!({"memberIds": [91]}))), full);
    // Yes makes room for another invitation, no does not.
    let refused = first(&server, &bob);
    assert_eq!(answer(&server, &bob, refused, "refuse", &json!({})).0, 204);
    assert_eq!(both(server.post("/conversations", &alice, &json!({"memberIds": [91]}))), full);
    let accepted = first(&server, &bob);
    assert_eq!(answer(&server, &bob, accepted, "accept", &json!({})).0, 200);
    talk(&server, &alice, &[91]);
    // Nor do several users together.
    for name in ["cora", "dora", "edda", "fina"] {
        let (token, _) = register(&server, name);
        talk(&server, &token, &[bob_id]);
    }
    assert_eq!(invitations(&server, &bob).as_array().map(Vec::len), Some(6));

    // What is 30 days old counts no more, and can be repeated.
    home.execute("UPDATE invitations SET created_at = '2020-01-01 00:00:00'");
    assert_eq!(invitations(&server, &bob), json!([]));
    let path = talk(&server, &alice, &[bob_id]);
    assert_eq!(invitations(&server, &bob).as_array().map(Vec::len), Some(1));
    home.execute("UPDATE invitations SET created_at = '2020-01-01 00:00:00'");
    invite(&server, &format!("{path}/members"), &alice, bob_id);
    assert_eq!(invitations(&server, &bob).as_array().map(Vec::len), Some(1));
}

#[test]
fn strangers_do_not_fill_the_list_of_another() {
    let home = Home::new();
    let server = home.serve(&[INVITE, ("INVITATION_LIMIT", "6"), ("RATE_LOGIN", "1000/s")]);
    let ((alice, _), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let seen = || -> Vec<String> {
        let list = invitations(&server, &bob);
        let name = |one: &Value| one["invitedBy"]["name"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    };
    talk(&server, &alice, &[bob_id]);
    let mut socket = server.plain("/", &bob);
    let (cora, _) = register(&server, "cora");
    for _ in 0..5 {
        talk(&server, &cora, &[bob_id]);
    }
    assert_eq!(heard(&mut socket).len(), 5);
    let oldest = invitations(&server, &bob)[4]["id"].clone();
    // The list is full: the oldest of who has the most there gives way.
    let (dora, _) = register(&server, "dora");
    talk(&server, &dora, &[bob_id]);
    assert_eq!(seen(), ["dora", "cora", "cora", "cora", "cora", "Alice"]);
    let heard = heard(&mut socket);
    assert_eq!(heard[0], json!(["invitation:closed", {"id": oldest}]));
    assert_eq!((heard.len(), &heard[1][0]), (2, &json!("invitation")));
    // Those of people whom Bob shares a room with never do.
    let id = invitations(&server, &bob)[1]["id"].as_i64().unwrap();
    assert_eq!(answer(&server, &bob, id, "accept", &json!({})).0, 200);
    let (edda, _) = register(&server, "edda");
    for _ in 0..4 {
        talk(&server, &edda, &[bob_id]);
    }
    assert_eq!(seen(), ["edda", "dora", "cora", "cora", "cora", "Alice"]);
}

#[test]
fn who_is_no_member_of_the_project_looks_like_a_user_that_does_not_exist() {
    let home = Home::new();
    for setting in [INVITE, ("MEMBERSHIP", "open")] {
        let server = home.serve(&[setting]);
        let ((alice, _), (_, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
        let (project, _) = project(&server, &alice, "Garden");
        let made = server.post("/conversations", &alice, &json!({"projectId": project}));
        let members = format!("/conversations/{}/members", made.body["id"]);
        let same = error(400, json!(["userId must refer to a member of the project"]));
        for user in [bob_id, 999_999] {
            assert_eq!(invite(&server, &members, &alice, user), same, "{setting:?} {user}");
        }
    }
}

#[test]
fn a_block_ends_what_is_open_and_nothing_that_two_share() {
    let home = Home::new();
    let server = home.serve(&[INVITE]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let shared = talk(&server, &alice, &[bob_id]);
    assert_eq!(answer(&server, &bob, first(&server, &bob), "accept", &json!({})).0, 200);
    for _ in 0..2 {
        talk(&server, &alice, &[bob_id]);
    }
    let mut socket = server.plain("/", &bob);
    let (one, other) = (first(&server, &bob), first(&server, &bob) - 1);
    assert_eq!(answer(&server, &bob, one, "refuse", &json!({"block": true})), (204, Value::Null));
    let closed = |id: i64| json!(["invitation:closed", {"id": id}]);
    assert_eq!(heard(&mut socket), [closed(one), closed(other)]);
    assert_eq!(invitations(&server, &bob), json!([]));
    talk(&server, &alice, &[bob_id]);
    assert_eq!(heard(&mut socket), Vec::<Value>::new());
    let said = server.post(&format!("{shared}/messages"), &alice, &json!({"content": "Bob?"}));
    assert_eq!(events(&mut socket), [json!(["messageReceived", said.body])]);

    let blocks = server.get("/blocks", &bob).body;
    let row = json!({"id": blocks[0]["id"], "userId": alice_id});
    assert_eq!(without_times(&blocks), json!([row]));
    assert_eq!(put_block(&server, &bob, alice_id), (204, Value::Null), "again");
    let own = error(400, json!(["userId must not be your own"]));
    assert_eq!(put_block(&server, &bob, bob_id), own);
    assert_eq!(delete(&server, &format!("/blocks/{alice_id}"), &bob), (204, Value::Null));
    let missing = error(404, json!(format!("Block of user {alice_id} not found")));
    assert_eq!(delete(&server, &format!("/blocks/{alice_id}"), &bob), missing);
    talk(&server, &alice, &[bob_id]);
    assert_eq!(heard(&mut socket).len(), 1, "an ended block holds no more");
}

#[test]
fn where_members_are_added_a_block_looks_like_a_user_that_does_not_exist() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id)) = (server.sign_in("alice"), server.sign_in("bob"));
    let (_, members) = project(&server, &alice, "Garden");
    let path = talk(&server, &alice, &[]);
    assert_eq!(put_block(&server, &bob, alice_id), (204, Value::Null));
    let unknown = error(400, json!(["userId must refer to an existing user"]));
    assert_eq!(invite(&server, &members, &alice, bob_id), unknown);
    assert_eq!(invite(&server, &format!("{path}/members"), &alice, bob_id), unknown);
    let unknown = error(400, json!(["memberIds must refer to existing users"]));
    let made = server.post("/conversations", &alice, &json!({"memberIds": [bob_id]}));
    assert_eq!(both(made), unknown);
    let many: Vec<i64> = (1..=251).collect();
    let most = error(400, json!(["memberIds must contain no more than 250 elements"]));
    assert_eq!(both(server.post("/conversations", &alice, &json!({"memberIds": many}))), most);
    assert_eq!(delete(&server, &format!("/blocks/{alice_id}"), &bob), (204, Value::Null));
    assert_eq!(invite(&server, &members, &alice, bob_id).0, 201);
}

//! Projects and the conversations in them through the public API.

use crate::support::chat;

use crate::support::Home;
use chat::{both, delete, error, events, register, talk, without_times};
use serde_json::{Value, json};

#[test]
fn members_see_a_project_and_its_owner_manages_the_members() {
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
    assert_eq!(both(server.get(&path, &bob)), missing, "a former member sees nothing");
}

#[test]
fn only_project_members_join_a_conversation_of_the_project() {
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

    // A user who leaves the project leaves its conversations, and those that it owned get another
    // owner.
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
fn the_names_of_things_are_one_line_in_one_direction() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let id = server.post("/projects", &alice, &json!({"name": "Garden"})).body["id"].clone();
    for (path, field, more) in [
        ("/projects".to_owned(), "name", json!({})),
        (format!("/projects/{id}/stages"), "name", json!({})),
        ("/conversations".to_owned(), "title", json!({})),
        ("/products".to_owned(), "name", json!({"price": 1})),
    ] {
        for bad in ["a\nb", "\u{202e}b"] {
            let mut body = more.clone();
            body[field] = json!(bad);
            let fault = format!("{field} must not contain control or bidirectional characters");
            let refused = error(400, json!([fault]));
            assert_eq!(both(server.post(&path, &alice, &body)), refused, "{path}");
        }
    }
}

#[test]
fn lists_are_paged_without_loss_or_repetition() {
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
    assert_eq!(events(&mut bobs), [json!(["messageReceived", message])]);
    let whole = server.get(&format!("/projects/{project}"), &alice).body;
    assert_eq!(
        (whole["members"].as_array().map(Vec::len), whole["stages"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
}

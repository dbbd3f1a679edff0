//! Projects and conversations through the public doors: what REST answers, and which sockets hear of it.

mod support;

use serde_json::{Value, json};
use support::{Answer, Home, Server};

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

fn error(status: u16, message: Value) -> (u16, Value) {
    let text = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        _ => unreachable!("no test expects {status}"),
    };
    (status, json!({"statusCode": status, "message": message, "error": text}))
}

fn both(answer: Answer) -> (u16, Value) {
    (answer.status, answer.body)
}

fn delete(server: &Server, path: &str, token: &str) -> (u16, Value) {
    both(server.call("DELETE", path, token, &[], None))
}

#[test]
fn a_project_is_its_members_matter_and_members_are_its_owners() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, bob_id), (admin, admin_id)) = (server.sign_in("alice"), server.sign_in("bob"), server.sign_in("admin"));

    let made = server.post("/projects", &alice, &json!({"name": "Garden", "description": "Green"}));
    let id = made.body["id"].as_i64().unwrap();
    let project = json!({"id": id, "name": "Garden", "description": "Green", "status": "active", "ownerId": alice_id});
    assert_eq!((made.status, without_times(&made.body)), (201, project.clone()));
    let path = format!("/projects/{id}");
    let missing = error(404, json!(format!("Project with ID {id} not found")));
    assert_eq!(both(server.get(&path, &bob)), missing);
    assert_eq!(both(server.patch(&path, &bob, &json!({"status": "x"}))), missing);
    assert_eq!(both(server.post(&format!("{path}/members"), &bob, &json!({"userId": bob_id}))), missing);
    assert_eq!(both(server.post(&format!("{path}/stages"), &bob, &json!({"name": "x"}))), missing);
    assert_eq!(delete(&server, &format!("{path}/members/{alice_id}"), &bob), missing);

    let members = format!("{path}/members");
    let added = server.post(&members, &alice, &json!({"userId": bob_id}));
    assert_eq!((added.status, without_times(&added.body)), (201, json!({"userId": bob_id, "name": "Bob"})));
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
    assert_eq!(delete(&server, &format!("{members}/x"), &alice), error(400, json!("Validation failed (numeric string is expected)")));

    let stage = server.post(&format!("{path}/stages"), &bob, &json!({"name": "Dig"}));
    let stage_id = stage.body["id"].as_i64().unwrap();
    let dig = json!({"id": stage_id, "projectId": id, "name": "Dig", "completedBy": null});
    assert_eq!((stage.status, without_times(&stage.body)), (201, dig));
    let done = server.call("POST", &format!("{path}/stages/{stage_id}/complete"), &bob, &[], None);
    let dug = json!({"id": stage_id, "projectId": id, "name": "Dig", "completedBy": bob_id});
    assert_eq!((done.status, without_times(&done.body)), (200, dug.clone()));
    assert!(done.body["completedAt"].is_string());
    let again = error(409, json!(format!("Stage with ID {stage_id} is already completed")));
    assert_eq!(both(server.post(&format!("{path}/stages/{stage_id}/complete"), &alice, &json!({}))), again);
    let no_stage = error(404, json!("Stage with ID 999999 not found"));
    assert_eq!(both(server.post(&format!("{path}/stages/999999/complete"), &alice, &json!({}))), no_stage);

    let whole = server.get(&path, &bob);
    let mut expected = project;
    expected["members"] = json!([{"userId": alice_id, "name": "Alice"}, {"userId": bob_id, "name": "Bob"}]);
    expected["stages"] = json!([dug]);
    assert_eq!((whole.status, without_times(&whole.body)), (200, expected));

    assert_eq!(delete(&server, &format!("{members}/{bob_id}"), &bob), (204, Value::Null));
    assert_eq!(both(server.get(&path, &bob)), missing, "who has left is a stranger");
}

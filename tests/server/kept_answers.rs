//! Kept answers of Idempotency-Keys: their size and number, and whose they are.

use serde_json::{Value, json};

use crate::limits::{both, id, register};
use crate::support::Home;

#[test]
fn kept_answers_are_small_and_the_oldest_of_too_many_go() {
    let home = Home::new();
    let server = home.serve(&[("QUOTA_ITEMS", "5")]);
    let (ann, ann_id) = register(&server, "ann");
    let keyed = |path: &str, key: &str, body: &Value| {
        server.call("POST", path, &ann, &[("Idempotency-Key", key)], Some(body))
    };
    let tea = json!({"name": "Tea", "price": 1, "description": "\"ä".repeat(5_000)});
    let first = keyed("/products", "tea", &tea);
    assert_eq!(first.status, 201);
    let again = keyed("/products", "tea", &tea);
    assert_eq!((again.status, &again.body), (201, &first.body));
    let count = format!("FROM idempotency_keys WHERE user_id = {ann_id}");
    let longest = format!("SELECT CAST(max(length(answer)) AS BIGINT) AS number {count}");
    assert!(home.number(&longest) < 400, "{}", home.number(&longest));
    let waitlist = format!("/products/{}/waitlist", id(&first));
    for n in 0..20 {
        assert_eq!(keyed(&waitlist, &format!("key-{n}"), &json!({})).status, 201);
    }
    let kept = home.number(&format!("SELECT count(*) AS number {count}"));
    assert!((4..=6).contains(&kept), "{kept}");
    let latest = format!("SELECT count(*) AS number {count} AND key IN ('key-19', 'key-18')");
    assert_eq!(home.number(&latest), 2);
}

#[test]
fn a_kept_answer_is_not_given_to_a_user_who_has_lost_the_right() {
    let home = Home::new();
    let server = home.serve(&[]);
    let [(ann, _), (ben, ben_id), (_, cora)] =
        ["ann", "ben", "cora"].map(|name| register(&server, name));
    let project = id(&server.post("/projects", &ann, &json!({"name": "Garden"})));
    let members = format!("/projects/{project}/members");
    let stages = format!("/projects/{project}/stages");
    assert_eq!(server.post(&members, &ann, &json!({"userId": ben_id})).status, 201);
    let stage = id(&server.post(&stages, &ann, &json!({"name": "Dig"})));
    let talk = id(&server.post("/conversations", &ann, &json!({"projectId": project})));
    let talk = format!("/conversations/{talk}");
    let message = id(&server.post(&format!("{talk}/messages"), &ann, &json!({"content": "A"})));
    let own = format!("/conversations/{}", id(&server.post("/conversations", &ann, &json!({}))));
    assert_eq!(
        server.post(&format!("{own}/members"), &ann, &json!({"userId": ben_id})).status,
        201
    );
    let calls = [
        (stages.clone(), json!({"name": "Plant"})),
        (format!("{stages}/{stage}/complete"), json!({})),
        ("/conversations".into(), json!({"projectId": project, "memberIds": []})),
        (format!("{talk}/messages"), json!({"content": "B"})),
        (format!("{talk}/read"), json!({"messageId": message})),
    ];
    let call = |token: &str, (path, body): &(String, Value)| {
        both(server.call("POST", path, token, &[("Idempotency-Key", "k")], Some(body)))
    };
    let first: Vec<_> = calls.iter().map(|one| call(&ben, one)).collect();
    for (one, first) in calls.iter().zip(&first) {
        assert!(first.0 < 300, "{one:?}: {first:?}");
        assert_eq!(&call(&ben, one), first);
    }
    let added = (format!("{own}/members"), json!({"userId": cora}));
    assert_eq!(call(&ann, &added).0, 201);
    assert_eq!(call(&ben, &added).0, 403);
    assert_eq!(server.call("DELETE", &format!("{members}/{ben_id}"), &ann, &[], None).status, 204);
    for one in &calls {
        assert_eq!(call(&ben, one).0, 404, "{one:?}");
    }
    assert_eq!(call(&ann, &added).0, 201, "who still may");
}

/// A kept answer is checked again where the permission depends on the thing in the path; the others
/// check before they look for a kept answer, or let everyone.
#[test]
fn every_call_with_a_key_on_a_thing_was_considered() {
    let home = Home::new();
    let server = home.serve(&[]);
    let document = server.get("/openapi.json", "").body;
    let has_key = |call: &Value| {
        let parameters = call["parameters"].as_array().unwrap();
        parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key")
    };
    let mut found: Vec<&str> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if path.contains('{') && methods.as_object().unwrap().values().any(has_key) {
            found.push(path);
        }
    }
    found.sort_unstable();
    let considered = [
        "/conversations/{id}/members",
        "/conversations/{id}/messages",
        "/conversations/{id}/read",
        // Their things are the caller's own, and end with the first answer.
        "/invitations/{id}/accept",
        "/invitations/{id}/refuse",
        "/orders/{id}/payments",
        // For everyone.
        "/products/{id}/reviews",
        "/products/{id}/waitlist",
        "/projects/{id}/members",
        "/projects/{id}/stages",
        "/projects/{id}/stages/{stageId}/complete",
    ];
    assert_eq!(found, considered);
}

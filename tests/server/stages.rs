//! Completed stages: which members are notified.

use crate::support::bell;

use crate::support::{Home, Server};
use bell::{frame, frames, new_one, newest, no_frames, unread};
use serde_json::{Value, json};

fn register(server: &Server, name: &str) -> (String, i64) {
    let account =
        json!({"email": format!("{name}@x.test"), "name": name, "password": "long-enough"});
    let body = server.post("/auth/register", "", &account).body;
    (body["accessToken"].as_str().unwrap().to_owned(), body["user"]["id"].as_i64().unwrap())
}

#[test]
fn a_completed_stage_notifies_each_other_member_once_and_nobody_else() {
    let home = Home::new();
    let server = home.serve(&[]);
    let [(ann, ann_id), (ben, ben_id), (cora, cora_id), (dan, _)] =
        ["ann", "ben", "cora", "dan"].map(|name| register(&server, name));
    let (admin, _) = server.sign_in("admin");
    let admins = unread(&server, &admin);
    let project =
        server.post("/projects", &ann, &json!({"name": "Relaunch"})).body["id"].as_i64().unwrap();
    for member in [ben_id, cora_id] {
        assert_eq!(
            server
                .post(&format!("/projects/{project}/members"), &ann, &json!({"userId": member}))
                .status,
            201
        );
    }
    let made =
        server.post(&format!("/projects/{project}/stages"), &ann, &json!({"name": "Design"}));
    let (stage, created_at) = (&made.body["id"].clone(), &made.body["createdAt"]);
    let open = json!({"id": stage, "projectId": project, "name": "Design", "completedAt": null, "completedBy": null, "createdAt": created_at});
    assert_eq!((made.status, &made.body), (201, &open));
    let mut sockets = [&ann, &ben, &cora, &dan, &admin].map(|token| server.plain("/", token));
    for socket in &mut sockets[..2] {
        socket.say(
            &json!({"event": "join:project", "data": {"projectId": project}, "id": 1}).to_string(),
        );
        while socket.next()["ack"] != 1 {}
    }
    frames(&mut sockets[0]);

    let path = format!("/projects/{project}/stages/{stage}/complete");
    let key = [("Idempotency-Key", "design")];
    let complete = || server.call("POST", &path, &ben, &key, Some(&json!({})));
    let done = complete();
    let mut whole = made.body;
    (whole["completedAt"], whole["completedBy"]) =
        (done.body["completedAt"].clone(), json!(ben_id));
    assert_eq!((done.status, &done.body), (200, &whole));
    assert!(done.body["completedAt"].as_str() >= done.body["createdAt"].as_str(), "{}", done.body);
    let again = complete();
    assert_eq!((again.status, &again.body), (200, &whole));
    let message = format!("Stage with ID {stage} is already completed");
    assert_eq!(
        server.post(&path, &ann, &json!({})).body,
        json!({"statusCode": 409, "message": message, "error": "Conflict"})
    );
    let hidden = json!({"statusCode": 404, "message": format!("Project with ID {project} not found"), "error": "Not Found"});
    for stranger in [&dan, &admin] {
        assert_eq!(server.post(&path, stranger, &json!({})).body, hidden);
    }

    let bells = [(&ann, ann_id), (&cora, cora_id)].map(|(token, id)| {
        let stored = newest(&server, token);
        let expected = json!({
            "id": stored["id"], "userId": id, "type": "stage_completed", "title": "A stage is completed",
            "message": "Design is completed in Relaunch.", "data": {"projectId": project, "stageId": stage}, "isRead": false,
            "createdAt": stored["createdAt"],
        });
        assert_eq!(stored, expected);
        expected
    });
    let in_room = frame("stage:completed", &json!({"projectId": project, "stage": whole}));
    let [in_ann, in_ben, in_cora, strangers @ ..] = &mut sockets;
    let is_ours = |(event, _): &(String, Value)| !event.starts_with("presence:");
    let ours = |socket| frames(socket).into_iter().filter(is_ours).collect::<Vec<_>>();
    assert_eq!(ours(in_ann), [std::slice::from_ref(&in_room), &new_one(&bells[0], 1)].concat());
    assert_eq!(
        ours(in_ben),
        std::slice::from_ref(&in_room),
        "the member who completed it is not notified"
    );
    assert_eq!(ours(in_cora), new_one(&bells[1], 1));
    for stranger in strangers {
        assert_eq!(frames(stranger), no_frames());
    }
    assert_eq!([&ann, &ben, &cora, &dan].map(|token| unread(&server, token)), [1, 0, 1, 0]);
    assert_eq!(unread(&server, &admin), admins);
}

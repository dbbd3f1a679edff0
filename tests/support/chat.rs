//! Projects and conversations: users, conversations, answers and events as the tests compare them.
#![allow(dead_code, reason = "each test file uses its own part")]

use serde_json::{Value, json};

use crate::support::{Answer, Server, Socket};

/// The answer without its times, which are checked separately.
pub fn without_times(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_times).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !name.ends_with("At"));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_times(value))).collect())
        }
        other => other.clone(),
    }
}

pub fn error(status: u16, message: impl Into<Value>) -> (u16, Value) {
    let text = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        _ => unreachable!("no test expects {status}"),
    };
    (status, json!({"statusCode": status, "message": message.into(), "error": text}))
}

pub fn both(answer: Answer) -> (u16, Value) {
    (answer.status, answer.body)
}

/// The events of projects and conversations that the socket received: `[event, data]`.
pub fn events(socket: &mut Socket) -> Vec<Value> {
    let names = [
        "message:new",
        "messageReceived",
        "conversation:read",
        "project:update",
        "stage:completed",
    ];
    let all = socket.heard().into_iter().map(|frame| json!([frame["event"], frame["data"]]));
    all.filter(|frame| names.contains(&frame[0].as_str().unwrap_or_default())).collect()
}

/// Registers a customer. Returns the token and user id.
pub fn register(server: &Server, name: &str) -> (String, i64) {
    let account =
        json!({"email": format!("{name}@x.test"), "name": name, "password": "long-enough"});
    let answer = server.post("/auth/register", "", &account);
    assert!(answer.body["accessToken"].is_string(), "{}", answer.body);
    (
        answer.body["accessToken"].as_str().unwrap().to_owned(),
        answer.body["user"]["id"].as_i64().unwrap(),
    )
}

/// Creates a conversation with these members. Returns its path.
pub fn talk(server: &Server, token: &str, others: &[i64]) -> String {
    let made = server.post("/conversations", token, &json!({"memberIds": others}));
    assert_eq!(made.status, 201, "{}", made.body);
    format!("/conversations/{}", made.body["id"])
}

pub fn delete(server: &Server, path: &str, token: &str) -> (u16, Value) {
    both(server.call("DELETE", path, token, &[], None))
}

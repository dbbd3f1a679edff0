//! Permissions: every REST call and every client event as nobody, as the customer that owns the
//! data, as another customer, as a member of the same project and conversation, and as an admin.
//! The lists of calls and events come from the server's own documents, so a call or event without a
//! case here fails.

use crate::support::world;

use crate::support::Home;
use serde_json::{Value, json};
use world::{CALLERS, World};

impl World<'_> {
    /// A path and body of that call on fresh data of the customer, and the expected status for each
    /// caller.
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn case(&self, call: &str) -> (String, Value, [u16; 5]) {
        let none = Value::Null;
        let new = |stock: i64| json!({"name": "Tea", "price": "2.50", "stock": stock});
        let product = || self.make("/products", self.alice(), &new(3));
        match call {
            "POST /auth/register" => (
                call_path(call),
                json!({"email": format!("x{}@demo.test", self.make("/orders", self.alice(), &json!({"total": 1}))), "name": "X", "password": "12345678"}),
                [201; 5],
            ),
            "POST /auth/login" => (
                call_path(call),
                json!({"email": "bob@demo.test", "password": crate::support::PASSWORD}),
                [200; 5],
            ),
            "GET /auth/me" => (call_path(call), none, [401, 200, 200, 200, 200]),
            "GET /healthz" | "GET /readyz" | "GET /metrics" => (call_path(call), none, [200; 5]),
            "POST /orders" => (
                call_path(call),
                json!({"total": 5, "customerId": self.ids[1]}),
                [401, 201, 403, 403, 201],
            ),
            "GET /orders"
            | "GET /notifications"
            | "GET /notifications/unread-count"
            | "GET /projects"
            | "GET /conversations"
            | "GET /invitations"
            | "GET /blocks"
            | "GET /products" => (call_path(call), none, [401, 200, 200, 200, 200]),
            "GET /orders/{id}" => {
                (format!("/orders/{}", self.order()), none, [401, 200, 404, 404, 200])
            }
            "PATCH /orders/{id}/status" => (
                format!("/orders/{}/status", self.order()),
                json!({"status": "paid"}),
                [401, 403, 403, 403, 200],
            ),
            "PATCH /orders/{id}/ship" => {
                let id = self.order();
                assert_eq!(
                    self.server
                        .patch(
                            &format!("/orders/{id}/status"),
                            self.admin(),
                            &json!({"status": "paid"})
                        )
                        .status,
                    200
                );
                (format!("/orders/{id}/ship"), none, [401, 403, 403, 403, 200])
            }
            "POST /orders/{id}/payments" => (
                format!("/orders/{}/payments", self.order()),
                json!({"amount": 1}),
                [401, 201, 404, 404, 201],
            ),
            "POST /notifications" => {
                let new = json!({"userId": self.ids[1], "type": "promotion", "title": "Tea", "message": "Half price"});
                (call_path(call), new, [401, 403, 403, 403, 201])
            }
            "PATCH /notifications/mark-all-read" => {
                (call_path(call), none, [401, 200, 200, 200, 200])
            }
            "PATCH /notifications/{id}/read" => (
                format!("/notifications/{}/read", self.notification()),
                none,
                [401, 200, 404, 404, 404],
            ),
            "DELETE /notifications/{id}" => {
                (format!("/notifications/{}", self.notification()), none, [401, 204, 404, 404, 404])
            }
            "POST /projects" => {
                (call_path(call), json!({"name": "Mine"}), [401, 201, 201, 201, 201])
            }
            "GET /projects/{id}" => {
                (format!("/projects/{}", self.project()), none, [401, 200, 404, 200, 404])
            }
            "PATCH /projects/{id}" => (
                format!("/projects/{}", self.project()),
                json!({"status": "done"}),
                [401, 200, 404, 200, 404],
            ),
            "POST /projects/{id}/members" => (
                format!("/projects/{}/members", self.project()),
                json!({"userId": self.ids[2]}),
                [401, 201, 404, 403, 404],
            ),
            "GET /projects/{id}/members" => {
                (format!("/projects/{}/members", self.project()), none, [401, 200, 404, 200, 404])
            }
            "GET /projects/{id}/stages" => {
                (format!("/projects/{}/stages", self.project()), none, [401, 200, 404, 200, 404])
            }
            "GET /conversations/{id}/members" => (
                format!("/conversations/{}/members", self.conversation()),
                none,
                [401, 200, 404, 200, 404],
            ),
            // The member, who may leave.
            "DELETE /projects/{id}/members/{userId}" => (
                format!("/projects/{}/members/{}", self.project(), self.ids[3]),
                none,
                [401, 204, 404, 204, 404],
            ),
            "POST /projects/{id}/stages" => (
                format!("/projects/{}/stages", self.project()),
                json!({"name": "A"}),
                [401, 201, 404, 201, 404],
            ),
            "POST /projects/{id}/stages/{stageId}/complete" => {
                let id = self.project();
                (
                    format!("/projects/{id}/stages/{}/complete", self.stage(id)),
                    json!({}),
                    [401, 200, 404, 200, 404],
                )
            }
            "POST /conversations" => {
                (call_path(call), json!({"projectId": self.project()}), [401, 201, 404, 201, 404])
            }
            "GET /conversations/{id}" => {
                (format!("/conversations/{}", self.conversation()), none, [401, 200, 404, 200, 404])
            }
            "POST /conversations/{id}/members" => (
                format!("/conversations/{}/members", self.conversation()),
                json!({"userId": self.ids[2]}),
                [401, 201, 404, 403, 404],
            ),
            "DELETE /conversations/{id}/members/{userId}" => (
                format!("/conversations/{}/members/{}", self.conversation(), self.ids[3]),
                none,
                [401, 204, 404, 204, 404],
            ),
            "POST /invitations/{id}/accept" => (
                format!("/invitations/{}/accept", self.invitation()),
                none,
                [401, 200, 404, 404, 404],
            ),
            "POST /invitations/{id}/refuse" => (
                format!("/invitations/{}/refuse", self.invitation()),
                none,
                [401, 204, 404, 404, 404],
            ),
            // Nobody here is the user with that id.
            "PUT /blocks/{userId}" => {
                ("/blocks/999999".to_owned(), none, [401, 204, 204, 204, 204])
            }
            // Only the customer has blocked somebody.
            "DELETE /blocks/{userId}" => {
                let put = self.server.call("PUT", "/blocks/999998", self.alice(), &[], None);
                assert_eq!(put.status, 204, "{}", put.body);
                ("/blocks/999998".to_owned(), none, [401, 204, 404, 404, 404])
            }
            "POST /conversations/{id}/messages" => (
                format!("/conversations/{}/messages", self.conversation()),
                json!({"content": "Hello"}),
                [401, 201, 404, 201, 404],
            ),
            "GET /conversations/{id}/messages" => (
                format!("/conversations/{}/messages", self.conversation()),
                none,
                [401, 200, 404, 200, 404],
            ),
            "POST /conversations/{id}/read" => {
                let id = self.conversation();
                (
                    format!("/conversations/{id}/read"),
                    json!({"messageId": self.message(id)}),
                    [401, 200, 404, 200, 404],
                )
            }
            "GET /presence" => (
                format!("/presence?room=conversation:{}", self.conversation()),
                none,
                [401, 200, 404, 200, 404],
            ),
            "POST /products" => (call_path(call), new(1), [401, 201, 201, 201, 201]),
            "GET /products/{id}" => {
                (format!("/products/{}", product()), none, [401, 200, 200, 200, 200])
            }
            "PATCH /products/{id}" => {
                (format!("/products/{}", product()), json!({"stock": 4}), [401, 200, 403, 403, 200])
            }
            "DELETE /products/{id}" => {
                (format!("/products/{}", product()), none, [401, 204, 403, 403, 204])
            }
            "POST /products/{id}/reviews" => (
                format!("/products/{}/reviews", product()),
                json!({"rating": 5}),
                [401, 201, 201, 201, 201],
            ),
            "GET /products/{id}/reviews" => {
                (format!("/products/{}/reviews", product()), none, [401, 200, 200, 200, 200])
            }
            "POST /products/{id}/waitlist" => {
                (format!("/products/{}/waitlist", product()), json!({}), [401, 201, 201, 201, 201])
            }
            // Only the customer is on the waitlist.
            "DELETE /products/{id}/waitlist" => {
                let id = product();
                assert_eq!(
                    self.server
                        .post(&format!("/products/{id}/waitlist"), self.alice(), &json!({}))
                        .status,
                    201
                );
                (format!("/products/{id}/waitlist"), none, [401, 204, 404, 404, 404])
            }
            "POST /emit" => (
                call_path(call),
                json!({"rooms": ["admin"], "event": "theirs", "data": 1}),
                [401, 403, 403, 403, 200],
            ),
            _ => panic!("{call} has no line in this test"),
        }
    }
}

fn call_path(call: &str) -> String {
    call.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn every_rest_call_is_allowed_to_exactly_the_documented_callers() {
    let home = Home::new();
    let server = home.serve(&[("RATE_LOGIN", "1000/s"), ("MEMBERSHIP", "invite")]);
    let world = World::new(&server);
    let document = server.get("/openapi.json", "").body;
    let mut calls = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Logout would end the tokens of the callers; it has tests of its own.
        for method in methods.as_object().unwrap().keys().filter(|_| path != "/auth/logout") {
            let call = format!("{} {path}", method.to_uppercase());
            for (at, caller) in CALLERS.iter().enumerate() {
                let (path, body, expected) = world.case(&call);
                let body = Some(body).filter(|body| !body.is_null());
                let answer = server.call(
                    &method.to_uppercase(),
                    &path,
                    &world.tokens[at],
                    &[],
                    body.as_ref(),
                );
                assert_eq!(answer.status, expected[at], "{call} as {caller}: {}", answer.body);
            }
            calls += 1;
        }
    }
    assert!(calls > 30, "{calls}");
}

/// The payload of an event about the customer's data, and the code of the answer for each caller;
/// `ok` if it is allowed. Nobody can send an event without a token.
fn event(world: &World<'_>, name: &str) -> (Value, [&'static str; 4]) {
    let members = ["ok", "not_found", "ok", "not_found"];
    match name {
        "join:project" | "leave:project" => {
            let who = if name == "join:project" { members } else { ["ok"; 4] };
            (json!({"projectId": world.project()}), who)
        }
        "join:conversation" | "leave:conversation" => {
            let who = if name == "join:conversation" { members } else { ["ok"; 4] };
            (json!({"conversationId": world.conversation()}), who)
        }
        "joinRoom" => (json!({"room": format!("project:{}", world.project())}), members),
        "leaveRoom" => (json!({"room": format!("project:{}", world.project())}), ["ok"; 4]),
        "message:send" => (
            json!({"conversationId": world.conversation(), "message": {"content": "Hello", "type": "text"}}),
            members,
        ),
        "message" => (json!({"content": "Hello"}), ["ok"; 4]),
        "typing" => (json!({"conversationId": world.conversation(), "isTyping": true}), members),
        "conversation:read" => {
            let id = world.conversation();
            (json!({"conversationId": id, "messageId": world.message(id)}), members)
        }
        "notification:read" => {
            (json!({"id": world.notification()}), ["ok", "not_found", "not_found", "not_found"])
        }
        "notification:read-all" => (json!({}), ["ok"; 4]),
        // The customer's own token.
        "auth:refresh" => (
            json!({"token": world.alice()}),
            ["ok", "unauthorized", "unauthorized", "unauthorized"],
        ),
        _ => panic!("{name} has no line in this test"),
    }
}

#[test]
fn every_client_event_is_allowed_to_exactly_the_documented_callers() {
    let home = Home::new();
    let server = home.serve(&[("RATE_LOGIN", "1000/s")]);
    let world = World::new(&server);
    let document = server.get("/asyncapi.json", "").body;
    let names = document["channels"]["main"]["messages"].as_object().unwrap().keys();
    let names: Vec<&str> = names.filter_map(|name| name.strip_prefix("sends.")).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        for (at, caller) in CALLERS.iter().enumerate().skip(1) {
            let (data, expected) = event(&world, name);
            let mut socket = server.plain("/", &world.tokens[at]);
            socket.say(&json!({"event": name, "data": data, "id": 1}).to_string());
            let answer =
                std::iter::repeat_with(|| socket.next()).find(|frame| frame["ack"] == 1).unwrap();
            let code = answer["data"]["error"]["code"].as_str().unwrap_or("ok");
            assert_eq!(code, expected[at - 1], "{name} as {caller}: {answer}");
        }
    }
}

#[test]
fn every_namespace_accepts_exactly_the_documented_callers() {
    let home = Home::new();
    let server = home.serve(&[]);
    let world = World::new(&server);
    for (namespace, expected) in
        [("/", [4401, 0, 0, 0, 0]), ("/admin", [4401, 4403, 4403, 4403, 0]), ("/other", [4404; 5])]
    {
        for (at, caller) in CALLERS.iter().enumerate() {
            let mut socket =
                server.upgrade(&format!("/ws?namespace={namespace}"), &world.tokens[at]);
            if at == 0 {
                socket.say(r#"{"event":"auth","data":{"token":"nonsense"}}"#);
            }
            let code = match expected[at] {
                0 => {
                    assert_eq!(socket.next()["event"], "session", "{namespace} as {caller}");
                    0
                }
                _ => socket.close_code(),
            };
            assert_eq!(code, expected[at], "{namespace} as {caller}");
        }
    }
}

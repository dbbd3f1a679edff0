//! The data that a caller may or may not use: fresh orders, projects and conversations of the demo
//! customer Alice, and one token for each kind of caller.
#![allow(dead_code, reason = "each test file uses its own part")]

use serde_json::{Value, json};

use crate::support::{self, Server};

/// The callers, in the order of the expected answers.
pub const CALLERS: [&str; 5] = ["anonymous", "customer", "other customer", "member", "admin"];

pub struct World<'a> {
    pub server: &'a Server,
    /// The tokens of [`CALLERS`]; nobody's is empty.
    pub tokens: [String; 5],
    pub ids: [i64; 5],
}

impl<'a> World<'a> {
    pub fn new(server: &'a Server) -> Self {
        let carol =
            json!({"email": "carol@demo.test", "name": "Carol", "password": support::PASSWORD});
        assert_eq!(server.post("/auth/register", "", &carol).status, 201);
        let [(alice, a), (carol, c), (bob, b), (admin, d)] =
            ["alice", "carol", "bob", "admin"].map(|name| server.sign_in(name));
        Self { server, tokens: [String::new(), alice, carol, bob, admin], ids: [0, a, c, b, d] }
    }

    /// The customer that owns the data.
    pub fn alice(&self) -> &str {
        &self.tokens[1]
    }

    pub fn admin(&self) -> &str {
        &self.tokens[4]
    }

    pub fn make(&self, path: &str, token: &str, body: &Value) -> i64 {
        let made = self.server.post(path, token, body);
        assert_eq!(made.status, 201, "{path}: {}", made.body);
        made.body["id"].as_i64().unwrap()
    }

    pub fn order(&self) -> i64 {
        self.make("/orders", self.alice(), &json!({"total": 5}))
    }

    /// With Bob as a member.
    pub fn project(&self) -> i64 {
        let id = self.make("/projects", self.alice(), &json!({"name": "A project"}));
        let members = format!("/projects/{id}/members");
        let added = self.server.post(&members, self.alice(), &json!({"userId": self.ids[3]}));
        assert_eq!(added.status, 201, "{}", added.body);
        if added.body["invited"] == true {
            self.accept();
        }
        id
    }

    /// Bob accepts his newest invitation.
    fn accept(&self) {
        let bob = &self.tokens[3];
        let id = self.server.get("/invitations?limit=1", bob).body[0]["id"].clone();
        let accepted = self.server.post(&format!("/invitations/{id}/accept"), bob, &json!({}));
        assert_eq!(accepted.status, 200, "{}", accepted.body);
    }

    /// An open invitation of the customer, from Bob.
    pub fn invitation(&self) -> i64 {
        let open = || self.server.get("/invitations?limit=1", self.alice()).body[0]["id"].as_i64();
        open().unwrap_or_else(|| {
            let with = json!({"memberIds": [self.ids[1]]});
            self.make("/conversations", &self.tokens[3], &with);
            open().unwrap()
        })
    }

    pub fn stage(&self, project: i64) -> i64 {
        self.make(&format!("/projects/{project}/stages"), self.alice(), &json!({"name": "A stage"}))
    }

    /// With Bob as a member.
    pub fn conversation(&self) -> i64 {
        let with = json!({"memberIds": [self.ids[3]]});
        let made = self.server.post("/conversations", self.alice(), &with);
        assert_eq!(made.status, 201, "{}", made.body);
        if made.body["invited"].is_array() {
            self.accept();
        }
        made.body["id"].as_i64().unwrap()
    }

    pub fn message(&self, conversation: i64) -> i64 {
        self.make(
            &format!("/conversations/{conversation}/messages"),
            self.alice(),
            &json!({"content": "Hello"}),
        )
    }

    pub fn notification(&self) -> i64 {
        let new = json!({"userId": self.ids[1], "type": "promotion", "title": "Tea", "message": "Half price"});
        assert_eq!(self.server.post("/notifications", self.admin(), &new).status, 201);
        self.server.get("/notifications?limit=1", self.alice()).body[0]["id"].as_i64().unwrap()
    }
}

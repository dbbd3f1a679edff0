//! Notices to more users than one write can notify: each receiver gets exactly one, even if servers
//! are killed meanwhile.

use crate::support::bell;

use std::time::{Duration, Instant};

use crate::support::{Home, Server};
use bell::{add_customers, frames, new_one, newest, no_frames, send, unread};
use serde_json::{Value, json};

/// How many notifications have this title.
fn receivers(home: &Home, title: &str) -> i64 {
    home.number(&format!("SELECT count(*) AS number FROM notifications WHERE title = '{title}'"))
}

/// How many users do not have exactly one notification with this title.
fn users_without_exactly_one(home: &Home, title: &str) -> i64 {
    home.number(&format!(
        "SELECT count(*) AS number FROM users WHERE 1 <> (SELECT count(*) FROM notifications WHERE user_id = users.id AND title = '{title}')"
    ))
}

/// Waits until no broadcast is pending.
fn wait_for_broadcasts(home: &Home) {
    let end = Instant::now() + Duration::from_secs(60);
    while home.number("SELECT count(*) AS number FROM broadcasts") > 0 {
        assert!(Instant::now() < end, "the pending broadcasts do not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn post(server: &Server, admin: &str, title: &str, key: &str) -> (u16, Value) {
    let body = json!({"all": true, "type": "promotion", "title": title, "message": "m"});
    let answer =
        server.call("POST", "/notifications", admin, &[("Idempotency-Key", key)], Some(&body));
    (answer.status, answer.body)
}

#[test]
fn every_user_gets_the_notice_once_despite_a_kill() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let before = unread(&server, &admin);
    add_customers(&home, 2500);
    let mut socket = server.plain("/", &admin);

    assert_eq!(post(&server, &admin, "sale", "one"), (201, json!({"count": 2503})));
    while receivers(&home, "sale") < 400 {
        assert_eq!(server.get("/auth/me", &admin).status, 200);
    }
    assert_eq!(
        server.post("/orders", &admin, &json!({"total": 1})).status,
        201,
        "other writes go on meanwhile"
    );
    let early = receivers(&home, "sale");
    assert!(early < 2503, "all of {early} at once");
    assert_eq!(frames(&mut socket), new_one(&newest(&server, &admin), before + 1));
    server.kill();

    let server = home.serve(&[]);
    assert_eq!(
        post(&server, &admin, "sale", "one"),
        (201, json!({"count": 2503})),
        "the same key returns the same notice"
    );
    wait_for_broadcasts(&home);
    assert_eq!((users_without_exactly_one(&home, "sale"), receivers(&home, "sale")), (0, 2503));
    assert_eq!(unread(&server, &admin), before + 1);
}

#[test]
fn a_later_user_gets_only_later_notices_and_their_order_holds() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, _) = server.sign_in("bob");
    add_customers(&home, 1500);
    assert_eq!(send(&server, &admin, &json!({"role": "customer"}), "first"), 1502);
    let account = json!({"email": "late@x.test", "name": "late", "password": "long-enough"});
    let late = server.post("/auth/register", "", &account).body["accessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(send(&server, &admin, &json!({"all": true}), "second"), 1504);
    wait_for_broadcasts(&home);
    assert_eq!((receivers(&home, "first"), receivers(&home, "second")), (1502, 1504));
    let titles = |token: &str| -> Vec<Value> {
        server
            .get("/notifications", token)
            .body
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["title"].clone())
            .collect()
    };
    assert_eq!(titles(&bob), ["second", "first"]);
    assert_eq!(titles(&late), ["second"]);
}

#[test]
fn a_completed_stage_notifies_each_of_very_many_members() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, alice_id) = server.sign_in("alice");
    let (bob, _) = server.sign_in("bob");
    add_customers(&home, 1200);
    let project =
        server.post("/projects", &alice, &json!({"name": "Crowd"})).body["id"].as_i64().unwrap();
    home.execute(&format!(
        "INSERT INTO project_members (project_id, user_id, joined_at)
         SELECT {project}, id, '2026-01-01 00:00:00' FROM users WHERE id <> {alice_id} AND email LIKE 'c%@x.test'"
    ));
    let stage = server
        .post(&format!("/projects/{project}/stages"), &alice, &json!({"name": "Meet"}))
        .body["id"]
        .as_i64()
        .unwrap();
    let mut sockets = [server.plain("/", &alice), server.plain("/", &bob)];
    assert_eq!(
        server
            .post(&format!("/projects/{project}/stages/{stage}/complete"), &alice, &json!({}))
            .status,
        200
    );
    wait_for_broadcasts(&home);
    let message = "Meet is completed in Crowd.";
    let receivers = format!(
        "SELECT count(DISTINCT user_id) AS number FROM notifications WHERE message = '{message}'"
    );
    let all = format!("SELECT count(*) AS number FROM notifications WHERE message = '{message}'");
    assert_eq!((home.number(&receivers), home.number(&all)), (1200, 1200));
    for socket in &mut sockets {
        assert_eq!(frames(socket), no_frames());
    }
}

#[test]
fn at_most_a_hundred_broadcasts_are_pending() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    add_customers(&home, 1000);
    // No server can process these.
    home.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO broadcasts (type, title, message, last_user_id, up_to_user_id, created_at)
         SELECT 'none', 't', 'm', 0, 0, '2026-01-01 00:00:00' FROM n",
    );
    let busy = json!({"statusCode": 503, "message": "Too many notices to many are under way", "error": "Service Unavailable"});
    assert_eq!(post(&server, &admin, "sale", "one"), (503, busy));
    assert_eq!(send(&server, &admin, &json!({"role": "admin"}), "few"), 1);
    home.execute("DELETE FROM broadcasts");
    assert_eq!(post(&server, &admin, "sale", "one"), (201, json!({"count": 1003})));
    wait_for_broadcasts(&home);
    assert_eq!(users_without_exactly_one(&home, "sale"), 0);
}

#[test]
fn two_servers_on_one_database_write_each_part_once() {
    if std::env::var_os("HUBCAST_TEST_POSTGRES").is_none() {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    }
    let home = Home::new();
    let servers = [home.serve(&[]), home.serve(&[])];
    let (admin, _) = servers[0].sign_in("admin");
    add_customers(&home, 1500);
    for (server, title) in servers.iter().zip(["one", "two"]) {
        assert_eq!(post(server, &admin, title, title), (201, json!({"count": 1503})));
    }
    wait_for_broadcasts(&home);
    assert_eq!(
        (users_without_exactly_one(&home, "one"), users_without_exactly_one(&home, "two")),
        (0, 0)
    );
}

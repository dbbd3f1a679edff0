//! The count of unread notifications is exact: under concurrent writes and reads, after a kill, and
//! for a thousand users.

use crate::support::bell;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Home, Server};
use bell::{add_customers, frames, new_one, newest, pages, send, unread};
use serde_json::{Value, json};

/// Checks that each count in a socket's frames matches the frames before it, starting from
/// `unread`. Returns the unread ids at the end.
fn check_counts(heard: &[(String, Value)], mut unread: HashSet<i64>) -> HashSet<i64> {
    let mut has_changed = false;
    for (event, data) in heard {
        match event.as_str() {
            "notification" => has_changed = unread.insert(data["id"].as_i64().unwrap()),
            "notification:read" if data["all"] == true => {
                unread.clear();
                has_changed = true;
            }
            "notification:read" => {
                has_changed = data["ids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|id| unread.remove(&id.as_i64().unwrap()));
            }
            "notifications:unread" => {
                assert!(has_changed, "each change is followed by one count");
                assert_eq!(data["count"], unread.len());
                has_changed = false;
            }
            _ => assert_eq!(event, "notification:new"),
        }
    }
    unread
}

fn unread_ids(server: &Server, token: &str) -> HashSet<i64> {
    pages(server, token, "/notifications?unreadOnly=true&limit=200")
        .iter()
        .map(|one| one["id"].as_i64().unwrap())
        .collect()
}

#[test]
fn counts_are_exact_under_concurrent_writes_and_reads() {
    let home = Home::new();
    let server = home.serve(&[("RATE_EVENTS", "1000/s")]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let before = unread_ids(&server, &alice);
    let mut sockets = [server.plain("/", &alice), server.plain("/", &alice)];
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (server, admin) = (&server, &admin);
            scope.spawn(move || {
                for n in 0..30 {
                    send(server, admin, &json!({"userId": alice_id}), &format!("{writer}.{n}"));
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..30 {
                    let oldest =
                        pages(&server, &alice, "/notifications?unreadOnly=true&limit=50").pop();
                    let Some(oldest) = oldest else { continue };
                    let answer = server.patch(
                        &format!("/notifications/{}/read", oldest["id"]),
                        &alice,
                        &Value::Null,
                    );
                    assert_eq!((answer.status, &answer.body["isRead"]), (200, &json!(true)));
                }
            });
        }
        scope.spawn(|| {
            (0..5).for_each(|_| {
                drop(server.patch("/notifications/mark-all-read", &alice, &Value::Null));
            });
        });
    });
    let [one, two] = sockets.each_mut().map(frames);
    assert_eq!(one, two);
    assert_eq!(check_counts(&one, before), unread_ids(&server, &alice));
}

/// Sockets that connect while the user's notifications change: the first count of each is that of
/// its place, so every event after it fits.
#[test]
fn a_socket_that_connects_during_writes_is_greeted_with_the_count_of_that_moment() {
    let home = Home::new();
    let server = home.serve(&[("RATE_EVENTS", "1000/s")]);
    let (admin, _) = server.sign_in("admin");
    let (alice, alice_id) = server.sign_in("alice");
    let is_over = AtomicBool::new(false);
    let mut late = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (server, admin, alice, is_over) = (&server, &admin, &alice, &is_over);
            scope.spawn(move || {
                for n in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    send(server, admin, &json!({"userId": alice_id}), &format!("{writer}.{n}"));
                    if n % 5 == 4 {
                        let all = "/notifications/mark-all-read";
                        assert_eq!(server.patch(all, alice, &Value::Null).status, 200);
                    }
                }
            });
        }
        for _ in 0..40 {
            let mut socket = server.upgrade("/ws?namespace=/", &alice);
            assert_eq!(socket.next()["event"], "session");
            late.push(socket);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let now = unread(&server, &alice);
    for socket in &mut late {
        let heard = frames(socket);
        let mut greeted = heard.iter().skip_while(|(event, _)| event != "notifications:unread");
        let mut count = greeted.next().expect("is greeted").1["count"].as_i64().unwrap();
        let mut expected = count;
        for (event, data) in greeted {
            match event.as_str() {
                "notification" => expected += 1,
                "notification:read" => expected = 0,
                "notifications:unread" => {
                    count = data["count"].as_i64().unwrap();
                    assert_eq!(count, expected);
                }
                _ => assert_eq!(event, "notification:new"),
            }
        }
        assert_eq!(count, now);
    }
}

#[test]
fn answered_notifications_survive_a_kill_and_the_count_is_exact() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, bob_id) = server.sign_in("bob");
    let (sender, answered) = std::sync::mpsc::channel();
    let address = server.address.clone();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (sender, address, admin) = (sender.clone(), &address, &admin);
            scope.spawn(move || {
                for n in 0.. {
                    let body = json!({"userId": bob_id, "type": "promotion", "title": format!("{writer}.{n}"), "message": "m"});
                    let request = ureq::post(format!("http://{address}/notifications")).header("Authorization", format!("Bearer {admin}"));
                    if request.send_json(&body).is_err() || sender.send(body["title"].clone()).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut titles: HashSet<Value> = answered.iter().take(60).collect();
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        // Requests answered between the last one counted and the kill.
        titles.extend(answered.iter());
        let server = home.serve(&[]);
        let all = pages(&server, &bob, "/notifications?limit=200");
        let stored: HashSet<Value> = all.iter().map(|one| one["title"].clone()).collect();
        assert_eq!(stored.len(), all.len());
        assert!(titles.is_subset(&stored), "{:?}", titles.difference(&stored));
        assert_eq!(unread(&server, &bob), i64::try_from(all.len()).unwrap());
        let mut socket = server.plain("/", &bob);
        send(&server, &admin, &json!({"userId": bob_id}), "after");
        assert_eq!(
            frames(&mut socket),
            new_one(&newest(&server, &bob), i64::try_from(all.len()).unwrap() + 1)
        );
    });
}

#[test]
fn a_thousand_users_are_notified_in_one_write() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let before = unread(&server, &admin);
    server.kill();
    add_customers(&home, 997);
    let server = home.serve(&[]);
    let mut socket = server.plain("/", &admin);
    assert_eq!(send(&server, &admin, &json!({"all": true}), "all"), 1000);
    assert_eq!(frames(&mut socket), new_one(&newest(&server, &admin), before + 1));
    let large = json!({"all": true, "type": "promotion", "title": "t", "message": "m", "data": {"text": "x".repeat(20_000)}});
    assert_eq!(server.post("/notifications", &admin, &large).status, 413);
    let ids: Vec<i64> = (1..=1001).collect();
    let answer = server.post(
        "/notifications",
        &admin,
        &json!({"userIds": ids, "type": "promotion", "title": "t", "message": "m"}),
    );
    assert_eq!(answer.body["message"], json!(["userIds must contain no more than 1000 elements"]));
    assert_eq!(unread(&server, &admin), before + 1);
}

//! Reading, listing and deleting notifications through the public API.

use crate::support::bell;

use crate::support::Home;
use bell::{frame, frames, newest, no_frames, pages, send};
use serde_json::{Value, json};

#[test]
fn reading_and_deleting_are_sent_to_all_sockets_of_the_user() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (alice, _) = server.sign_in("alice");
    let (bob, bob_id) = server.sign_in("bob");
    for title in ["1", "2", "3", "4"] {
        send(&server, &admin, &json!({"userId": bob_id}), title);
    }
    let [fourth, third, second, first] =
        <[Value; 4]>::try_from(pages(&server, &bob, "/notifications")).unwrap();
    let path = |notification: &Value, suffix: &str| {
        format!("/notifications/{}{suffix}", notification["id"])
    };
    let count = |count: i64| frame("notifications:unread", &json!({"count": count}));
    let mut bobs = [server.plain("/", &bob), server.plain("/", &bob)];
    let mut others =
        [server.plain("/", &alice), server.plain("/", &admin), server.plain("/admin", &admin)];

    let mut read = first.clone();
    read["isRead"] = json!(true);
    let answer = server.patch(&path(&first, "/read"), &bob, &Value::Null);
    assert_eq!((answer.status, &answer.body), (200, &read));
    for socket in &mut bobs {
        assert_eq!(
            frames(socket),
            [frame("notification:read", &json!({"ids": [first["id"]]})), count(3)]
        );
    }
    let answer = server.patch(&path(&first, "/read"), &bob, &Value::Null);
    assert_eq!(
        (answer.status, &answer.body),
        (200, &read),
        "a repetition gets the same answer and sends no event"
    );

    let answer = server.call("DELETE", &path(&second, ""), &bob, &[], None);
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    for socket in &mut bobs {
        assert_eq!(frames(socket), [count(2)]);
    }
    let gone = json!({"statusCode": 404, "message": format!("Notification with ID {} not found", second["id"]), "error": "Not Found"});
    for (method, suffix) in [("DELETE", ""), ("PATCH", "/read")] {
        let answer = server.call(method, &path(&second, suffix), &bob, &[], None);
        assert_eq!((answer.status, &answer.body), (404, &gone));
        let others = server.call(method, &path(&third, suffix), &admin, &[], None);
        let message = format!("Notification with ID {} not found", third["id"]);
        assert_eq!(
            (others.status, &others.body["message"]),
            (404, &json!(message)),
            "another user's is not found, even for an admin"
        );
        assert_eq!(
            server.call(method, &format!("/notifications/x{suffix}"), &bob, &[], None).status,
            400
        );
    }

    for updated in [2, 0] {
        let answer = server.patch("/notifications/mark-all-read", &bob, &Value::Null);
        assert_eq!((answer.status, answer.body), (200, json!({"updated": updated})));
    }
    for socket in &mut bobs {
        assert_eq!(frames(socket), [frame("notification:read", &json!({"all": true})), count(0)]);
    }
    let left: Vec<Value> = pages(&server, &bob, "/notifications");
    assert_eq!(
        left.iter().map(|one| (&one["id"], &one["isRead"])).collect::<Vec<_>>(),
        [&fourth, &third, &first].map(|one| (&one["id"], &json!(true)))
    );
    for socket in &mut others {
        assert_eq!(frames(socket), no_frames());
    }
    for (method, path) in [
        ("GET", ""),
        ("GET", "/unread-count"),
        ("PATCH", "/mark-all-read"),
        ("PATCH", "/1/read"),
        ("DELETE", "/1"),
    ] {
        assert_eq!(
            server.call(method, &format!("/notifications{path}"), "", &[], None).status,
            401
        );
    }
}

#[test]
fn lists_are_paged_by_cursor_and_can_be_limited_to_unread() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, bob_id) = server.sign_in("bob");
    for n in 0..7 {
        send(&server, &admin, &json!({"userId": bob_id}), &n.to_string());
    }
    let all = pages(&server, &bob, "/notifications");
    assert_eq!(
        all.iter().map(|one| one["title"].as_str().unwrap()).collect::<Vec<_>>(),
        ["6", "5", "4", "3", "2", "1", "0"]
    );
    for read in [&all[1], &all[2], &all[6]] {
        server.patch(&format!("/notifications/{}/read", read["id"]), &bob, &Value::Null);
    }
    let first = server.get("/notifications?unreadOnly=true&limit=3", &bob);
    let next =
        format!(r#"</notifications?unreadOnly=true&limit=3&before={}>; rel="next""#, all[4]["id"]);
    assert_eq!(first.headers.get("link").unwrap().to_str().unwrap(), next);
    let titles = |path: &str| {
        pages(&server, &bob, path)
            .iter()
            .map(|one| one["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles("/notifications?limit=1&unreadOnly=true"), ["6", "3", "2", "1"]);
    assert_eq!(
        titles("/notifications?limit=2&unreadOnly=false"),
        ["6", "5", "4", "3", "2", "1", "0"]
    );
    assert_eq!(
        titles(&format!("/notifications?unreadOnly=true&before={}", all[3]["id"])),
        ["2", "1"]
    );
    let faults = [
        "limit must be an integer number from 1 to 200",
        "before must be a positive integer number",
        "unreadOnly must be a boolean string",
    ];
    let answer = server.get("/notifications?limit=0&before=x&unreadOnly=maybe", &bob);
    assert_eq!(answer.body, json!({"statusCode": 400, "message": faults, "error": "Bad Request"}));
}

#[test]
fn a_plain_socket_first_gets_the_count_and_marks_as_read_with_an_ack() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let (bob, bob_id) = server.sign_in("bob");
    for title in ["1", "2", "3"] {
        send(&server, &admin, &json!({"userId": bob_id}), title);
    }
    let mut socket = server.upgrade("/ws", &bob);
    assert_eq!(socket.next()["event"], "session");
    assert_eq!(socket.next(), json!({"event": "notifications:unread", "data": {"count": 3}}));
    let mut other = server.plain("/", &bob);
    let mut read = newest(&server, &bob);
    read["isRead"] = json!(true);
    let count = |count: i64| frame("notifications:unread", &json!({"count": count}));
    let cases = [
        (
            r#"{"event":"notification:read","data":{"id":ID},"id":1}"#,
            json!({"ok": true, "notification": read}),
        ),
        (
            r#"{"event":"notification:read","data":{"id":"ID"},"id":2}"#,
            json!({"ok": true, "notification": read}),
        ),
        (r#"{"event":"notification:read-all","id":3}"#, json!({"ok": true, "updated": 2})),
        (
            r#"{"event":"notification:read","data":{"id":999},"id":4}"#,
            json!({"ok": false, "error": {"code": "not_found", "message": "Notification with ID 999 not found"}}),
        ),
    ];
    let mut before_acks = Vec::new();
    for (ask, data) in cases {
        socket.say(&ask.replace("ID", &read["id"].to_string()));
        let ack = loop {
            let frame = socket.next();
            if frame.get("ack").is_some() {
                break frame;
            }
            before_acks.push((frame["event"].as_str().unwrap().to_owned(), frame["data"].clone()));
        };
        assert_eq!(ack["data"], data, "{ask}");
    }
    let expected = [
        frame("notification:read", &json!({"ids": [read["id"]]})),
        count(2),
        frame("notification:read", &json!({"all": true})),
        count(0),
    ];
    assert_eq!(before_acks, expected, "the events come before the ack");
    assert_eq!(frames(&mut other), expected);
}

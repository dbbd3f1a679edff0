//! What one caller may ask of REST: rates, and the sizes of answers.

use crate::support::{Answer, Home, Server, Socket};
use serde_json::{Value, json};

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

fn is_refused(answer: &Answer) -> bool {
    let body =
        json!({"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"});
    answer.status == 429 && answer.body == body && retry_after(answer) > 0
}

/// The items of all pages of a list.
fn walk(server: &Server, token: &str, list: &str) -> (Vec<Value>, usize) {
    let (mut items, mut pages) = (Vec::new(), 0);
    let mut next = Some(list.to_owned());
    while let Some(path) = next {
        let page = server.get(&path, token);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(page.body.to_string().len() < 1_500_000, "{path}");
        items.extend(page.body.as_array().unwrap().iter().cloned());
        pages += 1;
        next = page.headers.get("link").map(|link| {
            link.to_str().unwrap().trim_start_matches('<').split('>').next().unwrap().to_owned()
        });
    }
    (items, pages)
}

fn ids(items: &[Value], name: &str) -> Vec<i64> {
    items.iter().map(|item| item[name].as_i64().unwrap()).collect()
}

#[test]
fn requests_are_limited_by_user_and_without_a_token_by_address() {
    let home = Home::new();
    let server = home.serve(&[("RATE_REST", "1/m,3")]);
    let [(alice, _), (bob, _), (admin, _)] =
        ["alice", "bob", "admin"].map(|name| server.sign_in(name));
    let me = |token: &str| server.get("/auth/me", token);
    for _ in 0..3 {
        assert_eq!(me(&alice).status, 200);
    }
    assert!(is_refused(&me(&alice)));
    assert!(is_refused(&server.post("/orders", &alice, &json!({"total": 1}))), "any endpoint");
    for _ in 0..10 {
        assert_eq!(me(&admin).status, 200, "admins are trusted");
    }
    // Ten times as many for an address.
    let strangers: Vec<u16> = (0..40).map(|n| me(["", "nonsense"][n % 2]).status).collect();
    assert_eq!(strangers[..30], [401; 30]);
    assert_eq!(strangers[31..], [429; 9]);
    assert!(is_refused(&me("nonsense")));
    assert_eq!(me(&bob).status, 200, "a good token of the same address");
    assert_eq!(server.get("/healthz", "").status, 200);
}

#[test]
fn bytes_of_bodies_are_limited_by_user() {
    let home = Home::new();
    let server = home.serve(&[("RATE_REST_BYTES", "1/m,3KiB")]);
    let [(alice, _), (bob, _), (admin, _)] =
        ["alice", "bob", "admin"].map(|name| server.sign_in(name));
    let add = |token: &str| {
        let new = json!({"name": "Tea", "price": 1, "description": "x".repeat(2_000)});
        server.post("/products", token, &new)
    };
    assert_eq!(add(&alice).status, 201);
    assert!(is_refused(&add(&alice)));
    assert_eq!(server.get("/auth/me", &alice).status, 200, "no body");
    assert_eq!(add(&bob).status, 201);
    assert_eq!([add(&admin).status, add(&admin).status], [201, 201]);
}

#[test]
fn bytes_of_a_body_are_counted_before_they_come() {
    let home = Home::new();
    let server = home.serve(&[("RATE_REST_BYTES", "1/m,3KiB")]);
    let (alice, _) = server.sign_in("alice");
    let first = json!({"name": "Tea", "price": 1, "description": "x".repeat(2_000)});
    assert_eq!(server.post("/products", &alice, &first).status, 201);
    let mut begun = std::net::TcpStream::connect(&server.address).unwrap();
    begun.set_read_timeout(Some(std::time::Duration::from_secs(8))).unwrap();
    let head = format!(
        "POST /projects HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000\r\n\
         Content-Type: application/json\r\nAuthorization: Bearer {alice}\r\n\r\n{{"
    );
    std::io::Write::write_all(&mut begun, head.as_bytes()).unwrap();
    let mut start = [0; 12];
    // The rest never comes.
    std::io::Read::read_exact(&mut begun, &mut start).unwrap();
    assert!(start.ends_with(b" 429"));
}

#[test]
fn a_failure_names_some_faults_and_repeats_little() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (alice, _) = server.sign_in("alice");
    let unknown: serde_json::Map<String, Value> =
        (0..5_000).map(|n| (format!("{n:05}"), 1.into())).collect();
    let faults = server.post("/projects", &alice, &Value::Object(unknown)).body;
    let faults = faults["message"].as_array().unwrap();
    assert_eq!(faults.len(), 21);
    assert_eq!(faults[0], "property 00000 should not exist");
    let left = faults[20].as_str().unwrap();
    assert!(left.starts_with("… and 49") && left.ends_with(" more"), "{left}");
    let long = "x".repeat(50_000);
    for answer in [
        server.post("/projects", &alice, &json!({"name": "Tea", long.clone(): 1})),
        server.get(&format!("/presence?room={}", &long[..5_000]), &alice),
        server.get(&format!("/{}", &long[..5_000]), &alice),
        server.get(&format!("/orders/{}", "9".repeat(5_000)), &alice),
        server.get(&format!("/orders?{}", "limit=x&".repeat(500)), &alice),
    ] {
        assert!((400..405).contains(&answer.status), "{}", answer.status);
        assert!(answer.body.to_string().len() < 2_000, "{}", answer.body);
    }
}

#[test]
fn a_large_project_is_read_page_by_page() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((alice, alice_id), (bob, _)) = (server.sign_in("alice"), server.sign_in("bob"));
    let made = server.post("/projects", &alice, &json!({"name": "Garden"})).body;
    let project = made["id"].as_i64().unwrap();
    let talk = server.post("/conversations", &alice, &json!({})).body["id"].as_i64().unwrap();
    home.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
         INSERT INTO stages (project_id, name, created_at)
         SELECT {project}, 'Dig', '2026-01-01 00:00:00' FROM n;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
         INSERT INTO users (email, email_key, name, password_hash, role, created_at)
         SELECT 'm' || i || '@x.test', 'm' || i || '@x.test', 'Member', 'x', 'customer',
             '2026-01-01 00:00:00' FROM n;
         INSERT INTO project_members (project_id, user_id, joined_at)
         SELECT {project}, id, '2027-01-01 00:00:00' FROM users WHERE name = 'Member';
         INSERT INTO conversation_members (conversation_id, user_id, read_seq, joined_at)
         SELECT {talk}, id, 0, '2027-01-01 00:00:00' FROM users WHERE name = 'Member';"
    ));
    let path = format!("/projects/{project}");
    let whole = server.get(&path, &alice).body;
    let first = |list: &str| whole[list].as_array().unwrap().clone();
    assert_eq!((first("stages").len(), &whole["stageCount"]), (200, &json!(450)));
    assert_eq!((first("members").len(), &whole["memberCount"]), (200, &json!(251)));
    assert_eq!(first("members")[0]["userId"], alice_id, "in the order they joined");

    let (stages, pages) = walk(&server, &alice, &format!("{path}/stages?limit=100"));
    assert_eq!((stages.len(), pages), (450, 5));
    let newest_first = ids(&stages, "id");
    assert!(newest_first.is_sorted_by(|a, b| a > b));
    let oldest: Vec<Value> = stages.into_iter().rev().take(200).collect();
    assert_eq!(first("stages"), oldest);
    let talk = format!("/conversations/{talk}");
    for thing in [&path, &talk] {
        let list = format!("{thing}/members");
        let (members, pages) = walk(&server, &alice, &format!("{list}?limit=200"));
        assert_eq!((members.len(), pages), (251, 2), "{list}");
        assert!(ids(&members, "userId").is_sorted_by(|a, b| a > b));
        let missing = server.get(thing, &bob);
        let hidden = server.get(&list, &bob);
        assert_eq!((hidden.status, hidden.body), (404, missing.body), "{list}");
    }
    let talk = server.get(&talk, &alice).body;
    assert_eq!(
        (talk["members"].as_array().map(Vec::len), &talk["memberCount"]),
        (Some(200), &json!(251))
    );
}

#[test]
fn a_page_of_long_messages_ends_early() {
    let home = Home::new();
    let server = home.serve(&[("RATE_PUBLISH", "10MiB/s")]);
    let (alice, _) = server.sign_in("alice");
    let talk = server.post("/conversations", &alice, &json!({})).body["id"].as_i64().unwrap();
    let path = format!("/conversations/{talk}/messages");
    let content = "x".repeat(65_536);
    let sent: Vec<i64> = (0..35)
        .map(|_| server.post(&path, &alice, &json!({"content": content})))
        .map(|answer| answer.body["id"].as_i64().unwrap())
        .collect();
    let (messages, pages) = walk(&server, &alice, &format!("{path}?limit=200"));
    assert_eq!(ids(&messages, "id"), sent.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(pages, 3);
}

pub(crate) fn register(server: &Server, name: &str) -> (String, i64) {
    let account =
        json!({"email": format!("{name}@x.test"), "name": name, "password": "long-enough"});
    let body = server.post("/auth/register", "", &account).body;
    (body["accessToken"].as_str().unwrap().to_owned(), body["user"]["id"].as_i64().unwrap())
}

pub(crate) fn id(answer: &Answer) -> i64 {
    answer.body["id"].as_i64().unwrap_or_else(|| panic!("{}", answer.body))
}

fn over(noun: &str) -> (u16, Value) {
    let message = format!("No more than {noun} are allowed");
    (409, json!({"statusCode": 409, "message": message, "error": "Conflict"}))
}

pub(crate) fn both(answer: Answer) -> (u16, Value) {
    (answer.status, answer.body)
}

#[test]
fn a_customer_has_so_many_things_of_each_kind() {
    let home = Home::new();
    // The demo's own data have more members.
    drop(home.serve(&[]));
    let server = home.serve(&[("QUOTA_ITEMS", "3"), ("QUOTA_MEMBERS", "2")]);
    let (admin, _) = server.sign_in("admin");
    let [(ann, _), (_, ben), (_, cora)] =
        ["ann", "ben", "cora"].map(|name| register(&server, name));
    let tea = |_: usize| server.post("/products", &ann, &json!({"name": "Tea", "price": 1}));
    let products: Vec<i64> = (0..3).map(tea).map(|answer| id(&answer)).collect();
    assert_eq!(both(tea(3)), over("3 products"));
    let path = format!("/products/{}", products[0]);
    assert_eq!(server.call("DELETE", &path, &ann, &[], None).status, 204);
    let product = id(&tea(3));

    let fill = |path: &str, body: &Value, noun: &str| {
        let made: Vec<i64> = (0..3).map(|_| id(&server.post(path, &ann, body))).collect();
        assert_eq!(both(server.post(path, &ann, body)), over(noun), "{path}");
        made
    };
    let projects = fill("/projects", &json!({"name": "Garden"}), "3 projects");
    let talks = fill("/conversations", &json!({}), "3 conversations");
    fill(&format!("/products/{product}/reviews"), &json!({"rating": 5}), "3 reviews");
    fill(&format!("/projects/{}/stages", projects[0]), &json!({"name": "Dig"}), "3 stages");
    let orders = fill("/orders", &json!({"total": 1}), "3 unpaid orders");
    let items = json!({"items": [{"productId": product, "quantity": 1}]});
    assert_eq!(both(server.post("/orders", &ann, &items)), over("3 unpaid orders"));
    let path = format!("/orders/{}/status", orders[0]);
    assert_eq!(server.patch(&path, &admin, &json!({"status": "cancelled"})).status, 200);
    assert_eq!(server.post("/orders", &ann, &json!({"total": 1})).status, 201);

    for list in [format!("/projects/{}", projects[0]), format!("/conversations/{}", talks[0])] {
        let list = format!("{list}/members");
        assert_eq!(server.post(&list, &ann, &json!({"userId": ben})).status, 201);
        assert_eq!(both(server.post(&list, &ann, &json!({"userId": cora}))), over("2 members"));
    }
    let three = json!({"memberIds": [ben, cora]});
    assert_eq!(server.post("/conversations", &admin, &three).status, 201, "admins are trusted");
    for _ in 0..4 {
        assert_eq!(server.post("/projects", &admin, &json!({"name": "A"})).status, 201);
    }
}

#[test]
fn a_customer_has_so_many_bytes() {
    let home = Home::new();
    let server = home.serve(&[("QUOTA_BYTES", "4KiB")]);
    let (ann, _) = register(&server, "ann");
    let talk = id(&server.post("/conversations", &ann, &json!({})));
    let path = format!("/conversations/{talk}/messages");
    let long = json!({"content": "x".repeat(1_000)});
    let sent: Vec<u16> = (0..5).map(|_| server.post(&path, &ann, &long).status).collect();
    assert_eq!(sent, [201, 201, 201, 201, 409]);
    assert_eq!(both(server.post(&path, &ann, &json!({"content": "x"}))), over("4096 bytes"));
    let mut socket = server.plain("/", &ann);
    let data = json!({"conversationId": talk, "message": {"content": "x"}});
    socket.say(&json!({"event": "message:send", "data": data, "id": 1}).to_string());
    let ack = std::iter::repeat_with(|| socket.next()).find(|frame| frame["ack"] == 1).unwrap();
    assert_eq!(ack["data"]["error"]["code"], "conflict");
    assert_eq!(server.post("/projects", &ann, &json!({"name": "A"})).status, 409);
    assert_eq!(server.get("/auth/me", &ann).status, 200);
}

fn echoed(socket: &mut Socket) -> bool {
    socket.say(r#"{"event":"message","data":{"content":1},"id":1}"#);
    loop {
        let frame = socket.next();
        if frame["ack"] == 1 {
            let data = &frame["data"];
            assert!(data["ok"] == true || data["error"]["code"] == "rate_limited", "{data}");
            return data["ok"] == true;
        }
    }
}

#[test]
fn events_of_a_customer_count_over_all_its_sockets() {
    let home = Home::new();
    let server = home.serve(&[("RATE_EVENTS", "1/m,3")]);
    let [(alice, _), (bob, _), (admin, _)] =
        ["alice", "bob", "admin"].map(|name| server.sign_in(name));
    let sends = |token: &str| {
        let mut socket = server.plain("/", token);
        (0..2).filter(|_| echoed(&mut socket)).count()
    };
    let sent: usize = (0..9).map(|_| sends(&alice)).sum();
    assert_eq!(sent, 15);
    assert_eq!(sends(&bob), 2, "another customer");
    assert_eq!((0..9).map(|_| sends(&admin)).sum::<usize>(), 18, "admins are trusted");
}

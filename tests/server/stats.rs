//! The server's figures: `server:stats` on `/admin`, and `/metrics` on an address of its own.

use crate::support::{Home, Server, Socket};
use serde_json::{Value, json};

/// The next `server:stats`.
fn stats(socket: &mut Socket) -> Value {
    loop {
        let frame: Value = serde_json::from_str(&socket.raw_text()).unwrap();
        if frame["event"] == "server:stats" {
            assert_eq!(frame.get("offset"), None, "the figures are not stored");
            return frame["data"].clone();
        }
    }
}

#[test]
fn figures_are_sent_to_admins_only() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ((admin, _), (alice, _)) = (server.sign_in("admin"), server.sign_in("alice"));
    let mut others = [server.plain("/", &admin), server.plain("/", &alice)];
    let mut desk = server.plain("/admin", &admin);
    let first = stats(&mut desk);
    let connections = json!([{"transport": "websocket", "protocol": "plain", "count": 3}]);
    assert_eq!(
        (&first["connections"], &first["sockets"]),
        (&connections, &json!({"/": 2, "/admin": 1}))
    );
    // Two users, and the admins on both namespaces.
    assert_eq!(first["rooms"], 4);
    assert!(first["memoryBytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{first}");

    // Of nobody, so that only the desk hears of them.
    for _ in 0..10 {
        assert_eq!(server.post("/orders", &admin, &json!({"total": 1})).status, 201);
    }
    let second = stats(&mut desk);
    let mut rates = std::iter::once(second.clone())
        .chain((0..4).map(|_| stats(&mut desk)))
        .map(|stats| stats["eventsPerSecond"].clone());
    assert!(
        rates.by_ref().any(|rate| rate.as_f64().is_some_and(|rate| (0.5..=6.0).contains(&rate))),
        "ten events"
    );
    assert!(rates.any(|rate| rate == 0.0), "it does not count itself");
    assert!(second["uptimeSeconds"].as_u64() >= first["uptimeSeconds"].as_u64());
    assert_eq!(second.as_object().unwrap().keys().count(), 6, "{second}");
    for other in &mut others {
        other.say(r#"{"event":"probe","id":"probe"}"#);
        let next: Value = serde_json::from_str(&other.raw_text()).unwrap();
        assert_eq!(next["ack"], "probe");
    }
}

#[test]
fn figures_are_sent_every_two_seconds_on_admin_only() {
    let home = Home::new();
    let server = home.serve(&[]);
    let (admin, _) = server.sign_in("admin");
    let mut main = server.plain("/", &admin);
    let mut desk = server.plain("/admin", &admin);
    let all = [(); 3].map(|()| stats(&mut desk));
    for figures in &all {
        let connections = json!([{"transport": "websocket", "protocol": "plain", "count": 2}]);
        let whole = json!({
            "uptimeSeconds": figures["uptimeSeconds"], "connections": connections, "sockets": {"/": 1, "/admin": 1}, "rooms": 3,
            "eventsPerSecond": figures["eventsPerSecond"], "memoryBytes": figures["memoryBytes"],
        });
        assert_eq!(*figures, whole);
        assert!(
            figures["uptimeSeconds"].is_u64()
                && figures["eventsPerSecond"].is_f64()
                && figures["memoryBytes"].is_u64(),
            "{figures}"
        );
    }
    // Measured by the server's clock in whole seconds, so that delays of a busy machine do not
    // count.
    for pair in all.windows(2) {
        let apart = pair[1]["uptimeSeconds"]
            .as_u64()
            .zip(pair[0]["uptimeSeconds"].as_u64())
            .map(|(later, earlier)| later - earlier);
        assert!(apart.is_some_and(|seconds| (1..=3).contains(&seconds)), "{apart:?}");
    }
    main.say(r#"{"event":"probe","id":"probe"}"#);
    let next: Value = serde_json::from_str(&main.raw_text()).unwrap();
    assert_eq!(next["ack"], "probe", "{next}");
}

fn metrics_of(server: &Server) -> String {
    let line = server
        .log
        .iter()
        .find(|line| line.contains("metrics on http://"))
        .expect("the log names the address");
    let (_, url) = line.split_once("metrics on http://").unwrap();
    url.chars().take_while(|c| !c.is_whitespace() && *c != '/').collect()
}

#[test]
fn metrics_with_their_own_address_are_served_only_there() {
    let home = Home::new();
    let mut server = home.serve(&[("METRICS_ADDR", "127.0.0.1:0")]);
    let missing =
        json!({"statusCode": 404, "message": "Cannot GET /metrics", "error": "Not Found"});
    assert_eq!(server.get("/metrics", "").body, missing);
    let (common, own) = (server.address.clone(), metrics_of(&server));
    server.address = own;
    let metrics = server.get("/metrics", "");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .body
            .as_str()
            .unwrap()
            .contains("hubcast_connections{transport=\"websocket\",protocol=\"plain\"} 0\n"),
        "{}",
        metrics.body
    );
    assert_eq!(server.get("/healthz", "").status, 404, "only the metrics are there");
    server.address = common;
    assert_eq!(server.get("/healthz", "").status, 200);

    let taken = server.address.clone();
    let output = Home::new().command(&["serve"]).env("METRICS_ADDR", &taken).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(
        log.lines().any(|line| line.contains(&format!("cannot listen on METRICS_ADDR {taken}: "))),
        "{log}"
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn metrics_are_served_on_the_main_address_by_default() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert!(server.get("/metrics", "").body.as_str().unwrap().contains("hubcast_connections{"));
}

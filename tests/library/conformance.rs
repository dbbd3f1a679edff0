//! The conformance example, byte by byte: raw WebSocket frames and raw HTTP, as the test suites of
//! the protocol documents use it.

#[path = "../../crates/hubcast-realtime/examples/conformance.rs"]
#[allow(dead_code, reason = "its `main` is for who runs it")]
mod example;
use crate::raw;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use raw::{Raw, UPGRADE};

fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || example::serve(listener).unwrap());
    address
}

/// Sends one request and returns its status and body.
fn http(method: &str, address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request =
        ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
    let mut answer = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

/// Opens a polling session and returns its query.
fn polling(address: SocketAddr, path: &str) -> String {
    let query = format!("{path}?EIO=4&transport=polling");
    let (status, open) = http("GET", address, &query, "");
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        (&open["upgrades"], &open["pingInterval"], &open["pingTimeout"], &open["maxPayload"]),
        (&serde_json::json!(["websocket"]), &300.into(), &200.into(), &1_000_000.into())
    );
    format!("{query}&sid={}", open["sid"].as_str().unwrap())
}

fn websocket(address: SocketAddr, path_and_query: &str) -> Raw {
    let mut raw = Raw::request(address, &format!("GET {path_and_query}"), UPGRADE);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    raw
}

fn opened(address: SocketAddr, path: &str) -> Raw {
    let mut raw = websocket(address, &format!("{path}?EIO=4&transport=websocket"));
    let open = raw.text();
    assert!(open.starts_with(r#"0{"sid":""#), "{open}");
    assert!(
        open.ends_with(
            r#","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#
        ),
        "{open}"
    );
    raw
}

/// Joins `/` and reads its `auth` event.
fn connected(address: SocketAddr) -> Raw {
    let mut raw = opened(address, "/socket.io/");
    raw.say("40");
    assert!(raw.text().starts_with(r#"40{"sid":""#));
    assert_eq!(raw.text(), r#"42["auth",{}]"#);
    raw
}

#[test]
fn bad_handshakes_get_the_errors_of_engine_io_at_both_paths() {
    let address = server();
    for path in ["/socket.io/", "/engine.io/"] {
        for (method, query, code, message) in [
            ("GET", "EIO=4", 0, "Transport unknown"),
            ("GET", "EIO=4&transport=abc", 0, "Transport unknown"),
            ("GET", "EIO=4&transport=polling&sid=none", 1, "Session ID unknown"),
            ("POST", "EIO=4&transport=polling", 2, "Bad handshake method"),
            ("PUT", "EIO=4&transport=polling", 2, "Bad handshake method"),
            ("GET", "transport=polling", 5, "Unsupported protocol version"),
            ("GET", "EIO=abc&transport=polling", 5, "Unsupported protocol version"),
        ] {
            let wanted = (400, format!(r#"{{"code":{code},"message":"{message}"}}"#));
            assert_eq!(
                http(method, address, &format!("{path}?{query}"), ""),
                wanted,
                "{method} {path}?{query}"
            );
        }
        for query in
            ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"]
        {
            let head = Raw::request(address, &format!("GET {path}?{query}"), UPGRADE).head();
            assert!(head.starts_with("HTTP/1.1 400 "), "{path}?{query}: {head}");
        }
    }
}

#[test]
fn bare_engine_io_echoes_over_polling() {
    let address = server();
    for packets in [
        "4hello",
        "4test1\u{1e}4test2\u{1e}4test3",
        "4hello\u{1e}bAQIDBA==",
        "4\"quoted\\ é\"",
        "4",
    ] {
        let at = polling(address, "/engine.io/");
        assert_eq!(http("POST", address, &at, packets), ok("ok"));
        assert_eq!(http("GET", address, &at, ""), ok(packets));
    }
}

#[test]
fn bare_engine_io_echoes_over_a_websocket() {
    let mut raw = opened(server(), "/engine.io/");
    for text in ["4hello", "4", "4{\"a\":[1]}"] {
        raw.say(text);
        assert_eq!(raw.text(), text);
    }
    raw.send(0x82, &[1, 2, 3, 4]);
    assert_eq!(raw.frame(), (0x82, vec![1, 2, 3, 4]));
    raw.say("abc");
    assert_eq!(raw.close_code(), 1002);
}

#[test]
fn a_malformed_packet_or_a_second_poll_ends_the_session() {
    let address = server();
    for path in ["/socket.io/", "/engine.io/"] {
        let at = polling(address, path);
        assert_eq!(http("POST", address, &at, "abc").0, 400, "{path}");
        assert_eq!(http("GET", address, &at, ""), (400, UNKNOWN.to_owned()), "{path}");

        let at = loop {
            let at = polling(address, path);
            let first = std::thread::spawn({
                let at = at.clone();
                move || http("GET", address, &at, "")
            });
            std::thread::sleep(Duration::from_millis(50));
            let second = http("GET", address, &at, "");
            let first = first.join().unwrap();
            // A ping may answer the first poll before the second one comes.
            if first != ok("2") {
                assert_eq!((first, second.0), (ok("1"), 400), "{path}");
                break at;
            }
        };
        assert_eq!(http("GET", address, &at, ""), (400, UNKNOWN.to_owned()), "{path}");
    }
}

#[test]
fn pings_are_sent_every_300_ms_and_time_out_after_200_ms() {
    let address = server();
    for path in ["/socket.io/", "/engine.io/"] {
        let at = polling(address, path);
        for _ in 0..2 {
            assert_eq!(http("GET", address, &at, ""), ok("2"), "{path}");
            assert_eq!(http("POST", address, &at, "3"), ok("ok"), "{path}");
        }
        let at = polling(address, path);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(http("GET", address, &at, ""), (400, UNKNOWN.to_owned()), "{path}");

        let mut raw =
            if path == "/socket.io/" { connected(address) } else { opened(address, path) };
        for _ in 0..3 {
            assert_eq!(raw.text(), "2", "{path}");
            raw.say("3");
        }
        let pinged = Instant::now();
        assert_eq!((raw.text().as_str(), raw.close_code()), ("2", 1008), "{path}");
        assert!(pinged.elapsed() >= Duration::from_millis(400), "{path}");
    }
}

#[test]
fn a_close_packet_ends_the_session_and_answers_the_open_poll() {
    let address = server();
    for path in ["/socket.io/", "/engine.io/"] {
        let at = polling(address, path);
        let poll = std::thread::spawn({
            let at = at.clone();
            move || http("GET", address, &at, "")
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(http("POST", address, &at, "1"), ok("ok"), "{path}");
        assert_eq!(poll.join().unwrap(), ok("6"), "{path}");
        assert_eq!(http("GET", address, &at, ""), (400, UNKNOWN.to_owned()), "{path}");

        let mut raw = opened(address, path);
        raw.say("1");
        assert_eq!(raw.close_code(), 1000, "{path}");
    }
}

#[test]
fn after_an_upgrade_polling_is_refused() {
    let address = server();
    let at = polling(address, "/engine.io/");
    let upgrade = at.replace("polling", "websocket");
    let mut raw = websocket(address, &upgrade);
    raw.say("2probe");
    assert_eq!(raw.text(), "3probe");
    assert_eq!(http("GET", address, &at, ""), ok("6"));
    raw.say("5");
    raw.say("4hello");
    assert_eq!(raw.text(), "4hello");
    assert_eq!(http("GET", address, &at, "").0, 400);
    assert_eq!(http("POST", address, &at, "4lost").0, 400);
    let mut again = websocket(address, &upgrade);
    assert_eq!(
        std::io::Read::read(&mut again.0, &mut [0; 16]).unwrap_or(0),
        0,
        "a second WebSocket is closed"
    );
    raw.say("4still here");
    assert_eq!(raw.text(), "4still here");
}

#[test]
fn each_namespace_answers_connect_and_no_other_exists() {
    let mut raw = opened(server(), "/socket.io/");
    for (connect, answer, auth) in [
        ("40", r#"40{"sid":""#, r#"42["auth",{}]"#),
        ("40/custom,", r#"40/custom,{"sid":""#, r#"42/custom,["auth",{}]"#),
        ("41", "", ""),
        ("41/custom,", "", ""),
        (r#"40{"token":"123"}"#, r#"40{"sid":""#, r#"42["auth",{"token":"123"}]"#),
        (
            r#"40/custom,{"token":"abc"}"#,
            r#"40/custom,{"sid":""#,
            r#"42/custom,["auth",{"token":"abc"}]"#,
        ),
    ] {
        raw.say(connect);
        if !answer.is_empty() {
            let (said, keys) = (raw.text(), r#"","#);
            assert!(said.starts_with(answer) && !said.contains(keys), "only the sid: {said}");
            assert_eq!(raw.text(), auth);
        }
    }
    raw.say("40/random");
    assert_eq!(raw.text(), r#"44/random,{"message":"Invalid namespace"}"#);
}

#[test]
fn messages_are_echoed_and_acks_carry_their_arguments() {
    let mut raw = connected(server());
    for (sent, back) in [
        (r#"42["message",1,"2",{"3":[true]}]"#, r#"42["message-back",1,"2",{"3":[true]}]"#),
        (r#"42["message"]"#, r#"42["message-back"]"#),
        (r#"42456["message-with-ack",1,"2",{"3":[false]}]"#, r#"43456[1,"2",{"3":[false]}]"#),
        (r#"420["message-with-ack"]"#, "430[]"),
    ] {
        raw.say(sent);
        assert_eq!(raw.text(), back);
    }
    let holes = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (sent, back) in [
        ("452-[\"message\",", "452-[\"message-back\","),
        ("452-789[\"message-with-ack\",", "462-789["),
    ] {
        raw.say(&format!("{sent}{holes}]"));
        raw.send(0x82, &[1, 2, 3]);
        raw.send(0x82, &[4, 5, 6]);
        assert_eq!(raw.text(), format!("{back}{holes}]"));
        assert_eq!([raw.frame(), raw.frame()], [(0x82, vec![1, 2, 3]), (0x82, vec![4, 5, 6])]);
    }
}

#[test]
fn messages_and_acks_work_over_polling() {
    let address = server();
    let at = polling(address, "/socket.io/");
    let sent = "40\u{1e}451-[\"message\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID\u{1e}427[\"message-with-ack\",1]";
    assert_eq!(http("POST", address, &at, sent), ok("ok"));
    let mut heard = Vec::new();
    while heard.len() < 5 {
        heard.extend(http("GET", address, &at, "").1.split('\u{1e}').map(ToOwned::to_owned));
    }
    assert!(heard[0].starts_with(r#"40{"sid":""#));
    let back = r#"451-["message-back",{"_placeholder":true,"num":0}]"#;
    assert_eq!(heard[1..], [r#"42["auth",{}]"#, back, "bAQID", "437[1]"]);
}

#[test]
fn leaving_a_namespace_keeps_the_others_and_the_connection() {
    let mut raw = connected(server());
    raw.say("40/custom");
    assert!(raw.text().starts_with("40/custom,"));
    assert_eq!(raw.text(), r#"42/custom,["auth",{}]"#);
    raw.say("41/custom");
    raw.say(r#"42["message","message to main namespace"]"#);
    assert_eq!(raw.text(), r#"42["message-back","message to main namespace"]"#);
    raw.say("41");
    assert_eq!(raw.text(), "2", "the connection stays open");
}

#[test]
fn a_malformed_packet_or_a_missing_connect_ends_the_connection() {
    let address = server();
    for broken in ["4abc", "42{}", r#"42abc["message-with-ack",1,"2",{"3":[false]}]"#] {
        let mut raw = connected(address);
        raw.say(broken);
        assert_eq!(raw.close_code(), 1002, "{broken}");
    }
    let (began, mut idle) = (Instant::now(), opened(address, "/socket.io/"));
    // As many pings as come until then.
    let reason = loop {
        match idle.frame() {
            (0x81, text) if text == b"2" => idle.say("3"),
            other => break other,
        }
    };
    assert_eq!(reason, (0x88, [&1008_u16.to_be_bytes()[..], b"connect_timeout"].concat()));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

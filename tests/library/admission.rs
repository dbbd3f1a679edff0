//! Who may connect: the WebSocket handshake, Origins, rates, and namespaces.

use crate::polling;
use crate::probe;
use crate::raw;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::Quota;
use hubcast::realtime::Settings;
use hubcast::realtime::admission::{Origins, Policy};
use hubcast::realtime::settings::ConnectionLimits;
use polling::{TAKEN, UNKNOWN, answer, begin};
use probe::{serve, server};
use raw::{Raw, UPGRADE, masked};
use serde_json::{Value, json};

#[test]
fn the_handshake_follows_rfc_6455() {
    let head = Raw::request(server(), "GET /ws", UPGRADE).head();
    assert_eq!(
        head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn each_protocol_refuses_namespaces_in_its_own_way() {
    let address = server();
    let mut raw = Raw::socketio(address);
    raw.say("40/nowhere,");
    assert_eq!(raw.text(), r#"44/nowhere,{"message":"Invalid namespace"}"#);
    raw.say("40/closed,");
    assert_eq!(
        raw.text(),
        r#"44/closed,{"message":"Unauthorized","data":{"code":"unauthorized","reason":"missing"}}"#
    );
    raw.say(r#"40/closed,{"token":"other"}"#);
    assert_eq!(raw.text(), r#"44/closed,{"message":"Forbidden","data":{"code":"forbidden"}}"#);
    raw.say(r#"40/closed,{"token":"good"}"#);
    assert!(raw.text().starts_with(r#"40/closed,{"sid":""#));
    for (path, first, code) in [
        ("GET /ws?namespace=/nowhere", "", 4404),
        ("GET /ws?namespace=/closed", r#"{"event":"echo"}"#, 4400),
        ("GET /ws?namespace=/closed", r#"{"event":"auth"}"#, 4400),
        ("GET /ws?namespace=/closed", r#"{"event":"auth","data":{"token":"bad"}}"#, 4401),
        ("GET /ws?namespace=/closed", r#"{"event":"auth","data":{"token":"other"}}"#, 4403),
    ] {
        let mut raw = Raw::request(address, path, UPGRADE);
        raw.head();
        if !first.is_empty() {
            raw.say(first);
        }
        assert_eq!(raw.close_code(), code, "{path} {first}");
    }
    let mut raw = Raw::request(address, "GET /ws?namespace=%2Fclosed", UPGRADE);
    raw.head();
    raw.say(r#"{"event":"auth","data":{"token":"good"}}"#);
    assert!(raw.text().starts_with(r#"{"event":"session""#));
}

#[test]
fn a_refusal_on_the_plain_protocol_is_held_for_a_second() {
    let address = server();
    for (namespace, token, code) in
        [("/closed", "bad", 4401), ("/closed", "other", 4403), ("/nowhere", "good", 4404)]
    {
        let began = Instant::now();
        let mut raw = Raw::request(address, &format!("GET /ws?namespace={namespace}"), UPGRADE);
        raw.head();
        raw.say(&format!(r#"{{"event":"auth","data":{{"token":"{token}"}}}}"#));
        // What a client sends meanwhile changes nothing.
        raw.say("hello");
        raw.ends(code);
        assert!(began.elapsed() >= Duration::from_secs(1), "{namespace} {token}");
    }
}

#[test]
fn the_first_offered_subprotocol_is_answered_and_never_a_token() {
    let address = server();
    let answered = |path: &str, offered: &str| {
        let headers = format!("{UPGRADE}{offered}");
        let head = Raw::request(address, &format!("GET {path}"), &headers).head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let header = |line: &str| line.strip_prefix("Sec-WebSocket-Protocol: ").map(str::to_owned);
        head.lines().find_map(header)
    };
    let socketio = "/socket.io/?EIO=4&transport=websocket";
    for path in ["/ws", socketio] {
        for (offered, wanted) in [
            ("", None),
            ("Sec-WebSocket-Protocol: json\r\n", Some("json")),
            ("Sec-WebSocket-Protocol: v2.json, v1.json\r\n", Some("v2.json")),
            ("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n", Some("a")),
            ("Sec-WebSocket-Protocol: \r\n", None),
            ("Sec-WebSocket-Protocol: bearer, a.b.c\r\n", Some("bearer")),
        ] {
            assert_eq!(answered(path, offered).as_deref(), wanted, "{path} {offered}");
        }
    }
}

#[test]
fn a_malformed_handshake_is_answered_and_closed() {
    let address = server();
    let version_8 = UPGRADE.replace("13", "8");
    let no_key = UPGRADE.split("Sec-WebSocket-Key").next().unwrap();
    let cases = [
        ("GET /elsewhere", UPGRADE, 404),
        ("POST /elsewhere", UPGRADE, 404),
        ("POST /ws", UPGRADE, 400),
        ("GET /ws", "Upgrade: websocket\r\n", 426),
        ("GET /ws", version_8.as_str(), 426),
        ("GET /ws", no_key, 400),
        ("GET /socket.io/?EIO=3&transport=websocket", UPGRADE, 400),
        ("GET /socket.io/?EIO=4&transport=websocket&sid=x", UPGRADE, 400),
        ("GET /socket.io/?EIO=4&transport=pigeon", "Connection: close\r\n", 400),
    ];
    for (line, headers, status) in cases {
        let mut raw = Raw::request(address, line, headers);
        let mut answer = String::new();
        raw.0.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{line}: {answer}");
    }
    let mut connect = TcpStream::connect(address).unwrap();
    connect
        .write_all(b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connect.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn a_foreign_origin_is_refused_unless_it_is_listed() {
    let foreign = format!("{UPGRADE}Origin: https://shop.test\r\n");
    let address = server();
    assert!(
        Raw::request(address, "GET /ws", &foreign).head().starts_with("HTTP/1.1 403 Forbidden\r\n")
    );
    assert!(
        Raw::request(address, "GET /ws", &format!("{UPGRADE}Origin: http://{address}\r\n"))
            .head()
            .starts_with("HTTP/1.1 101 ")
    );
    let listed =
        Policy { origins: Origins::List(vec!["https://shop.test".into()]), ..Policy::default() };
    let address = serve(Settings::default(), listed);
    assert!(Raw::request(address, "GET /ws", &foreign).head().starts_with("HTTP/1.1 101 "));
}

#[test]
fn an_address_that_connects_too_often_gets_a_retry_after() {
    let rate = Quota::per_minute(NonZeroU32::MIN).allow_burst(NonZeroU32::new(2).unwrap());
    let address =
        serve(Settings { connect_rate: Some(rate), ..Settings::default() }, Policy::default());
    let _two = (Raw::plain(address), Raw::plain(address));
    let head = Raw::request(address, "GET /ws", UPGRADE).head();
    assert!(
        head.starts_with("HTTP/1.1 429 Too Many Requests\r\n")
            && head.contains("\r\nRetry-After: "),
        "{head}"
    );
}

#[test]
fn joining_and_leaving_is_rate_limited() {
    let rate = Quota::per_minute(NonZeroU32::MIN).allow_burst(NonZeroU32::new(5).unwrap());
    let mut raw = Raw::socketio(serve(
        Settings { event_rate: Some(rate), ..Settings::default() },
        Policy::default(),
    ));
    raw.send(0x81, b"40");
    assert!(raw.text().starts_with(r#"40{"sid":""#));
    let again = [masked(0x81, b"41"), masked(0x81, b"40")].concat();
    raw.0.write_all(&again.repeat(8)).unwrap();
    // The close may overtake answers, so any number of the five accepted joins may be seen.
    let mut joined = 0;
    let code = loop {
        match raw.frame() {
            (0x81, text) => joined += usize::from(text.starts_with(b"40{")),
            (_, close) => break u16::from_be_bytes([close[0], close[1]]),
        }
    };
    assert_eq!(code, 1008);
    assert!(joined <= 5, "{joined} joins");
}

#[test]
fn a_request_for_a_websocket_that_is_no_upgrade_learns_why() {
    let address = server();
    let message = "This is a WebSocket endpoint, and the request has no Upgrade: websocket; a \
                   proxy in front probably drops the headers Upgrade and Connection";
    let expected = json!({"statusCode": 426, "message": message, "error": "Upgrade Required"});
    for line in ["GET /ws", "GET /ws/?token=x"] {
        let mut answer = String::new();
        Raw::request(address, line, "Connection: close\r\n").0.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 426 upgrade required\r\n"), "{head}");
        assert!(head.contains("\r\nupgrade: websocket"), "{head}");
        assert!(head.contains("\r\nconnection: close, upgrade"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
    }
    let head = Raw::request(address, "GET /ws", "").head().to_lowercase();
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    let head = Raw::request(address, "POST /ws", "Connection: close\r\n").head();
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[test]
fn the_path_of_the_plain_protocol_may_end_in_a_slash() {
    let mut raw = Raw::request(server(), "GET /ws/?namespace=/", UPGRADE);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    assert!(raw.text().starts_with(r#"{"event":"session""#));
}

#[test]
fn a_polling_session_is_of_use_only_to_its_address_or_its_token() {
    let proxied = Policy { trusts: Arc::new(|_| true), ..Policy::default() };
    let address = serve(Settings::default(), proxied);
    let path = "/socket.io/?EIO=4&transport=polling";
    let from = |client: &str, token: &str| {
        format!("X-Forwarded-For: {client}\r\nAuthorization: Bearer {token}\r\n")
    };
    let (status, opened) =
        answer(begin(address, &format!("GET {path}"), &from("192.0.2.1", "a"), b""));
    assert_eq!(status, 200);
    let sid = opened.split('"').nth(3).unwrap();
    let post = |headers: &str, packets: &[u8]| {
        answer(begin(address, &format!("POST {path}&sid={sid}"), headers, packets))
    };
    let text = |(status, text): (u16, &str)| (status, text.to_owned());
    let elsewhere = "X-Forwarded-For: 198.51.100.9\r\n";
    assert_eq!(post(elsewhere, b"40"), text(UNKNOWN));
    assert_eq!(post(&from("198.51.100.9", "b"), b"40"), text(UNKNOWN));
    let upgrade = format!("{UPGRADE}{elsewhere}");
    let line = format!("GET /socket.io/?EIO=4&transport=websocket&sid={sid}");
    assert!(Raw::request(address, &line, &upgrade).head().starts_with("HTTP/1.1 400 "));
    assert_eq!(post(&from("198.51.100.9", "a"), b"40"), text(TAKEN));
    assert_eq!(post(&from("192.0.2.1", "b"), b"3"), text(TAKEN));
    let own = begin(address, &format!("GET {path}&sid={sid}"), &from("192.0.2.1", "a"), b"");
    assert!(answer(own).1.starts_with("40{"));
}

#[test]
fn a_posted_body_that_does_not_come_is_answered_and_ends_its_session() {
    let patience = Duration::from_millis(200);
    let address =
        serve(Settings { body_timeout: patience, ..Settings::default() }, Policy::default());
    let polling = polling::Polling::open(address);
    let line = format!("POST {}", polling.path());
    let mut stalled = Raw::request(address, &line, "Content-Length: 5\r\n");
    stalled.0.write_all(b"4").unwrap();
    let mut answer = String::new();
    stalled.0.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    polling.is_unknown();
}

#[test]
fn a_post_is_refused_before_its_body_comes() {
    let address = serve(Settings::default(), Policy::default());
    let begun = |polling: &polling::Polling, length: u32| {
        let headers = format!("Connection: close\r\nContent-Length: {length}\r\n");
        let mut begun = Raw::request(address, &format!("POST {}", polling.path()), &headers);
        begun.0.write_all(b"4").unwrap();
        begun
    };
    // Nobody has shown a token yet, so 128 KiB is the most.
    let polling = polling::Polling::open(address);
    assert_eq!(answer(begun(&polling, 999_999).0), (413, String::new()));
    assert_eq!(polling.post(b"3"), (200, "ok".to_owned()), "the session goes on");
    // A second one beside one that arrives: at once, and it ends the session as ever.
    let mut both = [begun(&polling, 99), begun(&polling, 99)];
    let end = Instant::now() + Duration::from_secs(8);
    let mut is_refused = |Raw(post): &mut Raw| {
        post.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut start = [0; 12];
        post.read_exact(&mut start).is_ok_and(|()| start.ends_with(b" 400"))
    };
    while !both.iter_mut().any(&mut is_refused) {
        assert!(Instant::now() < end, "both POSTs are received");
    }
    polling.is_unknown();
}

/// A server with room for two connections, and for one request more.
fn crowded() -> SocketAddr {
    let connections = ConnectionLimits { total: 2, per_address: 2, reserved: 1, crossing: 9 };
    serve(Settings { connections, ..Settings::default() }, Policy::default())
}

#[test]
fn a_full_server_takes_no_socket_but_answers_requests() {
    let address = crowded();
    let sockets = [Raw::plain(address), Raw::plain(address)];
    let head = Raw::request(address, "GET /ws", UPGRADE).head();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 1\r\n"), "{head}");
    let mut short = Raw::request(address, "GET /elsewhere", "");
    let mut answer = String::new();
    // The end of the stream follows, although the client has asked for none.
    short.0.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    drop(sockets);
    let end = Instant::now() + Duration::from_secs(10);
    while !Raw::request(address, "GET /ws", UPGRADE).head().starts_with("HTTP/1.1 101 ") {
        assert!(Instant::now() < end, "the seats of closed sockets are not free");
    }
}

#[test]
fn clients_that_join_nothing_make_room_and_one_that_has_joined_stays() {
    let connections = ConnectionLimits { total: 3, per_address: 3, reserved: 1, crossing: 9 };
    let address = serve(Settings { connections, ..Settings::default() }, Policy::default());
    let mut joined = Raw::socketio(address);
    joined.say("40");
    assert!(joined.text().starts_with("40{"));
    let polling = polling::Polling::open(address);
    let line = format!("GET {}", polling.path());
    let mut unjoined = vec![Raw::socketio(address), Raw::request(address, &line, "")];
    let end = Instant::now() + Duration::from_secs(20);
    let mut newcomers = Vec::new();
    while !unjoined.is_empty() {
        assert!(Instant::now() < end, "a client that joins nothing keeps its seat");
        let mut newcomer = Raw::request(address, "GET /ws", UPGRADE);
        if newcomer.head().starts_with("HTTP/1.1 101 ") {
            newcomers.push(newcomer);
        }
        unjoined.retain_mut(|raw| {
            raw.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            // The end of the stream, or a reset.
            match raw.0.read(&mut [0; 64]) {
                Ok(read) => read > 0,
                Err(fault) => fault.kind() == std::io::ErrorKind::WouldBlock,
            }
        });
    }
    polling.is_unknown();
    joined.say("40/closed,");
    joined.hears("44/closed,");
}

#[test]
fn an_idle_http_connection_makes_room_for_another() {
    let address = crowded();
    let idle = || {
        let mut idle = Raw::request(address, "GET /elsewhere", "");
        assert!(idle.head().starts_with("HTTP/1.1 404 "));
        idle
    };
    let (mut first, mut second) = (idle(), idle());
    let _socket = Raw::plain(address);
    let mut rest = Vec::new();
    first.0.read_to_end(&mut rest).unwrap();
    second.0.write_all(b"GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while !second.head().starts_with("HTTP/1.1 404 ") {}
}

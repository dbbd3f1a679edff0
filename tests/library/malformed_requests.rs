//! Malformed requests, each with its exact answer: long-polling bodies, requests around a session,
//! and WebSocket upgrades.

use crate::inputs;
use crate::polling;
use crate::raw;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use inputs::{
    Ends, Leaves, Lives, fresh_clients_are_served, over_polling, polling_lives, server, text,
};
use polling::{Polling, REFUSED, UNKNOWN, answer, begin};
use raw::{Raw, UPGRADE, masked};

#[test]
fn long_polling_bodies() {
    let server = server();
    let over = format!(r#"42["echo","{}"]"#, "x".repeat(1000));
    for (body, outcome) in [
        ("", Ends(0)),
        ("\x1e", Ends(0)),
        ("\x1e3", Ends(0)),
        ("3\x1e", Ends(0)),
        ("3\x1e\x1e3", Ends(0)),
        ("3\x1e7", Ends(0)),
        ("7\x1e3", Ends(0)),
        ("3\x1e2\x1e3", Ends(0)),
        ("421[\"echo\"]\x1e7", Ends(0)),
        ("4\x1e42[\"echo\"]", Ends(0)),
        ("42[\"echo\",\x1e1]", Ends(0)),
        ("2:40", Ends(0)),
        ("d=40", Ends(0)),
        ("3\n3", Lives),
        ("3\x1e3\x1e6\x1e0", Lives),
        ("1\x1e7", Leaves),
        ("3\x1e1", Leaves),
        ("2:40\x1e1", Ends(0)),
    ] {
        // Printed if the test fails.
        println!("{body:?}");
        over_polling(server.address, true, &text(body), &outcome);
    }
    // Too large, but the session goes on.
    let polling = Polling::open(server.address);
    assert_eq!(polling.post(over.as_bytes()), (413, String::new()));
    let chunked = format!(
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n",
        "3".repeat(1001)
    );
    let chunked = Raw::request(server.address, &format!("POST {}", polling.path()), &chunked);
    assert_eq!(answer(chunked.0), (413, String::new()));
    polling_lives(&polling, false);
    // Only text is accepted.
    let line = format!("POST {}", polling.path());
    let (status, body) =
        answer(begin(server.address, &line, "Content-Type: application/octet-stream\r\n", b"3"));
    assert_eq!((status, body.as_str()), REFUSED);
    polling.is_unknown();
    // An incomplete body.
    let polling = Polling::open(server.address);
    let line = format!("POST {}", polling.path());
    drop(Raw::request(server.address, &line, "Content-Length: 10\r\n\r\n3"));
    ends(&polling);
    fresh_clients_are_served(server.address);
    server.settle();
}

/// Waits until another request finds that the session has ended.
fn ends(polling: &Polling) {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let (status, body) = polling.post(b"3");
        if (status, body.as_str()) == UNKNOWN {
            return;
        }
        assert!(Instant::now() < end, "the session still answers {status} {body}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn requests_around_a_session() {
    let server = server();
    let polling = Polling::open(server.address);
    let sid = &polling.sid;
    let code =
        |code: u8, message: &str| (400, format!(r#"{{"code":{code},"message":"{message}"}}"#));
    for (line, expected) in [
        ("GET /socket.io/?EIO=4".to_owned(), code(0, "Transport unknown")),
        ("GET /socket.io/".to_owned(), code(0, "Transport unknown")),
        ("GET /socket.io/?EIO=4&transport=".to_owned(), code(0, "Transport unknown")),
        ("GET /socket.io/?EIO=4&transport=pigeon".to_owned(), code(0, "Transport unknown")),
        ("GET /socket.io/?EIO=4&transport=Polling".to_owned(), code(0, "Transport unknown")),
        (format!("GET /socket.io/?EIO=4&transport=pigeon&sid={sid}"), code(0, "Transport unknown")),
        ("GET /socket.io/?EIO=4&transport=polling&sid=x".to_owned(), code(1, "Session ID unknown")),
        (
            "GET /socket.io/?EIO=4&transport=polling&sid=../../etc".to_owned(),
            code(1, "Session ID unknown"),
        ),
        (
            "GET /socket.io/?EIO=4&transport=polling&sid=%00".to_owned(),
            code(1, "Session ID unknown"),
        ),
        (
            "GET /socket.io/?EIO=4&transport=polling&sid=__proto__".to_owned(),
            code(1, "Session ID unknown"),
        ),
        (
            "POST /socket.io/?EIO=4&transport=polling&sid=x".to_owned(),
            code(1, "Session ID unknown"),
        ),
        (
            format!("GET /socket.io/?EIO=4&transport=polling&sid={sid}x"),
            code(1, "Session ID unknown"),
        ),
        ("POST /socket.io/?EIO=4&transport=polling".to_owned(), code(2, "Bad handshake method")),
        ("PUT /socket.io/?EIO=4&transport=polling".to_owned(), code(2, "Bad handshake method")),
        ("DELETE /socket.io/?EIO=4&transport=polling".to_owned(), code(2, "Bad handshake method")),
        (format!("PUT {}", polling.path()), code(2, "Bad handshake method")),
        (format!("DELETE {}", polling.path()), code(2, "Bad handshake method")),
        (format!("PATCH {}", polling.path()), code(2, "Bad handshake method")),
        ("GET /socket.io/?EIO=4&transport=websocket".to_owned(), code(3, "Bad request")),
        (format!("GET /socket.io/?EIO=4&transport=websocket&sid={sid}"), code(3, "Bad request")),
        (format!("POST /socket.io/?EIO=4&transport=websocket&sid={sid}"), code(3, "Bad request")),
        (
            format!("GET /socket.io/?EIO=3&transport=polling&sid={sid}"),
            code(5, "Unsupported protocol version"),
        ),
        (
            format!("POST /socket.io/?transport=polling&sid={sid}"),
            code(5, "Unsupported protocol version"),
        ),
        ("GET /socket.io/?transport=polling".to_owned(), code(5, "Unsupported protocol version")),
        (
            "GET /socket.io/?EIO=3&transport=polling".to_owned(),
            code(5, "Unsupported protocol version"),
        ),
        (
            "GET /socket.io/?EIO=5&transport=polling".to_owned(),
            code(5, "Unsupported protocol version"),
        ),
        (
            "GET /socket.io/?EIO=4x&transport=polling".to_owned(),
            code(5, "Unsupported protocol version"),
        ),
        (
            "GET /socket.io/?EIO=&transport=polling".to_owned(),
            code(5, "Unsupported protocol version"),
        ),
    ] {
        assert_eq!(answer(begin(server.address, &line, "", b"")), expected, "{line}");
    }
    polling_lives(&polling, false);
    polling.post(b"1");
    fresh_clients_are_served(server.address);
    server.settle();
}

#[test]
fn websocket_requests() {
    let server = server();
    let polling = Polling::open(server.address);
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let with = |from: &str, to: &str| UPGRADE.replace(from, to);
    let line = "GET /socket.io/?EIO=4&transport=websocket";
    for (name, line, headers, status) in [
        ("no key", line, with(&format!("Sec-WebSocket-Key: {key}\r\n"), ""), 400),
        ("an empty key", line, with(key, ""), 400),
        ("a short key", line, with(key, "dGhlIHNhbXBsZSA="), 400),
        ("a long key", line, with(key, "dGhlIHNhbXBsZSBub25jZQAAAA=="), 400),
        ("a key that is not base64", line, with(key, "dGhlIHNhbXBsZSB!b25jZQ=="), 400),
        ("a key without padding", line, with(key, "dGhlIHNhbXBsZSBub25jZQAA"), 400),
        ("two keys", line, format!("{UPGRADE}Sec-WebSocket-Key: {key}\r\n"), 400),
        ("no version", line, with("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("version 8", line, with("13", "8"), 426),
        ("version 013", line, with("13", "013"), 426),
        ("another upgrade", line, with("Upgrade: websocket", "Upgrade: h2c"), 400),
        ("by POST", "POST /socket.io/?EIO=4&transport=websocket", UPGRADE.into(), 400),
        ("by PUT", "PUT /ws", UPGRADE.into(), 400),
        ("by POST, plain", "POST /ws", UPGRADE.into(), 400),
        ("no transport", "GET /socket.io/?EIO=4", UPGRADE.into(), 400),
        ("polling", "GET /socket.io/?EIO=4&transport=polling", UPGRADE.into(), 400),
        (
            "version 3 of Engine.IO",
            "GET /socket.io/?EIO=3&transport=websocket",
            UPGRADE.into(),
            400,
        ),
        ("no version of Engine.IO", "GET /socket.io/?transport=websocket", UPGRADE.into(), 400),
        (
            "an unknown session",
            "GET /socket.io/?EIO=4&transport=websocket&sid=x",
            UPGRADE.into(),
            400,
        ),
        ("another path", "GET /socket.io/x?EIO=4&transport=websocket", UPGRADE.into(), 404),
        ("a foreign Origin", line, format!("{UPGRADE}Origin: https://elsewhere.test\r\n"), 403),
        ("an Origin that is none", line, format!("{UPGRADE}Origin: \u{1}\r\n"), 400),
    ] {
        println!("{name}");
        assert_eq!(answer(Raw::request(server.address, line, &headers).0).0, status, "{name}");
    }
    // An invalid upgrade does not end the session.
    for version in ["", "EIO=3&", "EIO=44&"] {
        let line = format!("GET /socket.io/?{version}transport=websocket&sid={}", polling.sid);
        assert_eq!(answer(Raw::request(server.address, &line, UPGRADE).0).0, 400, "{version}");
    }
    let line = format!("GET /socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    let short = with(key, "dGhlIHNhbXBsZSA=");
    assert_eq!(answer(Raw::request(server.address, &line, &short).0).0, 400);
    for frame in [
        vec![0xc1],
        vec![0x81, 0x00],
        masked(0x81, b"2probe!"),
        masked(0x82, b"2probe"),
        masked(0x81, &[b'x'; 200]),
        masked(0x88, &[0x03]),
    ] {
        let mut raw = Raw::request(server.address, &line, UPGRADE);
        raw.head();
        raw.0.write_all(&frame).unwrap();
        assert_eq!(raw.0.read(&mut [0; 16]).unwrap_or(0), 0, "{frame:02x?}");
    }
    assert_eq!(polling.post(b"40"), (200, "ok".to_owned()));
    polling.hears("40");
    polling.post(b"1");
    fresh_clients_are_served(server.address);
    server.settle();
}

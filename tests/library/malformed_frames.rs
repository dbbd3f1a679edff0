//! Malformed frames, each with its exact outcome: RFC 6455 under both protocols, and the frames of
//! the plain protocol.

use crate::echo;
use crate::raw;

use std::io::{Read, Write};
use std::net::SocketAddr;

use echo::Running;
use hubcast::realtime::Settings;
use raw::{Raw, UPGRADE, masked};

const PROTOCOL: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;
const BAD_FRAME: u16 = 4400;

fn server() -> Running {
    Running::start(Settings { max_payload: 1000, frame_rate: None, ..Settings::default() })
}

/// The first bytes of a frame, unmodified.
fn head(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// Sends the bytes on a fresh connection of each protocol, and checks the outcome.
fn both(address: SocketAddr, name: &str, bytes: &[u8], check: impl Fn(&mut Raw)) {
    for mut raw in [Raw::plain(address), Raw::socketio(address)] {
        // Printed if the test fails.
        println!("{name}");
        raw.0.write_all(bytes).unwrap();
        check(&mut raw);
    }
}

fn assert_open(raw: &mut Raw) {
    raw.send(0x89, b"alive");
    assert_eq!(raw.frame(), (0x8a, b"alive".to_vec()));
}

fn fresh_clients_are_served(server: &Running) {
    let mut raw = Raw::plain(server.address);
    raw.say(r#"{"event":"echo","data":1,"id":1}"#);
    assert_eq!(raw.text(), r#"{"ack":1,"data":1}"#);
    raw = Raw::socketio(server.address);
    raw.say("40");
    raw.hears(r#"42["session","#);
    raw.say(r#"421["echo",1]"#);
    assert_eq!(raw.text(), "431[1]");
    drop(raw);
    server.settle();
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn frames_that_end_the_connection() {
    let server = server();
    let mut cases: Vec<(String, Vec<u8>, u16)> = Vec::new();
    for bits in 1..=7u8 {
        cases.push((
            format!("reserved bits {bits} on text, its first byte alone"),
            head(&[0x81 | bits << 4]),
            PROTOCOL,
        ));
    }
    cases.push(("a reserved bit on a ping".into(), masked(0xc9, b""), PROTOCOL));
    cases.push((
        "a reserved bit on a continuation".into(),
        [masked(0x01, b"a"), masked(0xc0, b"b")].concat(),
        PROTOCOL,
    ));
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        cases.push((
            format!("opcode {opcode:x}, its first byte alone"),
            head(&[0x80 | opcode]),
            PROTOCOL,
        ));
    }
    for opcode in [0x1, 0x2, 0x8, 0x9, 0xa] {
        cases.push((
            format!("unmasked opcode {opcode:x}"),
            head(&[0x80 | opcode, 0x02, 0x03, 0xe8]),
            PROTOCOL,
        ));
        cases.push((
            format!("unmasked opcode {opcode:x}, its head alone"),
            head(&[0x80 | opcode, 0x00]),
            PROTOCOL,
        ));
    }
    for opcode in [0x8, 0x9, 0xa] {
        cases.push((
            format!("the first fragment of opcode {opcode:x}"),
            masked(opcode, b""),
            PROTOCOL,
        ));
        cases.push((
            format!("opcode {opcode:x} of 126 bytes, its head alone"),
            head(&[0x80 | opcode, 0xfe]),
            PROTOCOL,
        ));
        cases.push((
            format!("opcode {opcode:x} of 126 bytes"),
            masked(0x80 | opcode, &[b'x'; 126]),
            PROTOCOL,
        ));
        cases.push((
            format!("opcode {opcode:x} with a length of 64 bits"),
            head(&[0x80 | opcode, 0xff]),
            PROTOCOL,
        ));
        cases.push((
            format!("opcode {opcode:x} with a short length written long"),
            head(&[0x80 | opcode, 0xfe, 0, 0, 0, 0, 0, 0]),
            PROTOCOL,
        ));
    }
    let huge = |highest: u8| head(&[0x82, 0xff, highest, 0, 0, 0x40, 0, 0, 0, 0]);
    cases.push((
        "a length of 64 bits, as far as it shows".into(),
        huge(0x80)[..3].to_vec(),
        PROTOCOL,
    ));
    cases.push(("a length of 64 bits".into(), huge(0xff), PROTOCOL));
    cases.push(("a length of 63 bits".into(), huge(0x7f), TOO_LARGE));
    cases.push(("256 GiB, its head alone".into(), huge(0x00), TOO_LARGE));
    cases.push((
        "a byte more than may be, its head alone".into(),
        head(&[0x81, 0xfe, 0x03, 0xe9]),
        TOO_LARGE,
    ));
    cases.push(("a fragment too large".into(), head(&[0x01, 0xfe, 0x03, 0xe9]), TOO_LARGE));
    cases.push((
        "fragments too large together".into(),
        [masked(0x01, &[b'x'; 600]), masked(0x80, &[b'x'; 401])].concat(),
        TOO_LARGE,
    ));
    cases.push((
        "fragments without an end".into(),
        [masked(0x01, b""), masked(0x00, b"").repeat(1024)].concat(),
        TOO_LARGE,
    ));
    cases.push(("a continuation of nothing".into(), masked(0x00, b""), PROTOCOL));
    cases.push(("the last continuation of nothing".into(), masked(0x80, b"x"), PROTOCOL));
    for (name, first) in [
        ("text", 0x81),
        ("bytes", 0x82),
        ("a first fragment of text", 0x01),
        ("a first fragment of bytes", 0x02),
    ] {
        cases.push((
            format!("{name} within fragments"),
            [masked(0x01, b"a"), masked(first, b"b")].concat(),
            PROTOCOL,
        ));
    }
    for (name, text) in [
        ("a byte that never is", &b"\xff"[..]),
        ("a lone continuation", b"\x80"),
        ("half a letter", b"4\xe2\x82"),
        ("overlong", b"\xc0\x80"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
    ] {
        cases.push((format!("text with {name}"), masked(0x81, text), NOT_UTF8));
        cases.push((
            format!("fragments of text with {name}"),
            [masked(0x01, b""), masked(0x80, text)].concat(),
            NOT_UTF8,
        ));
    }
    for (name, bytes, code) in cases {
        both(server.address, &name, &bytes, |raw| raw.ends(code));
    }
    let mut raw = Raw::socketio(server.address);
    raw.0.write_all(&[masked(0x01, b"5"), masked(0x80, b""), masked(0x80, b"")].concat()).unwrap();
    raw.ends(PROTOCOL);
    drop(raw);
    fresh_clients_are_served(&server);
}

#[test]
fn close_frames() {
    let server = server();
    // The client's code is answered, and none with none.
    let mut cases: Vec<(String, Vec<u8>, Option<u16>)> = Vec::new();
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 9999, 65535] {
        cases.push((format!("code {code}"), close(code, b""), Some(PROTOCOL)));
    }
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        cases.push((format!("code {code}"), close(code, b""), Some(code)));
    }
    cases.push(("one byte".into(), masked(0x88, &[0x03]), Some(PROTOCOL)));
    cases.push(("one byte, its head alone".into(), head(&[0x88, 0x81]), Some(PROTOCOL)));
    cases.push(("a reason that is not UTF-8".into(), close(1000, b"\xff"), Some(NOT_UTF8)));
    cases.push((
        "a reason that ends in half a letter".into(),
        close(1000, b"w\xc3"),
        Some(NOT_UTF8),
    ));
    cases.push(("a bad code and a bad reason".into(), close(1005, b"\xff"), Some(PROTOCOL)));
    cases.push(("nothing".into(), masked(0x88, b""), None));
    cases.push(("a reason".into(), close(1000, "wégen".as_bytes()), Some(1000)));
    cases.push(("the longest reason".into(), close(1000, &[b'x'; 123]), Some(1000)));
    // Nothing after a close frame is handled, valid or not.
    cases.push((
        "and then a ping".into(),
        [close(1000, b""), masked(0x89, b"late")].concat(),
        Some(1000),
    ));
    cases.push((
        "and then another".into(),
        [close(1000, b""), close(1005, b"")].concat(),
        Some(1000),
    ));
    cases.push((
        "and then what is no frame".into(),
        [close(1000, b""), vec![0xff; 20]].concat(),
        Some(1000),
    ));
    cases.push((
        "between fragments".into(),
        [masked(0x01, b"a"), close(1000, b"")].concat(),
        Some(1000),
    ));
    cases.push((
        "behind a fault".into(),
        [masked(0x83, b""), close(1000, b"")].concat(),
        Some(PROTOCOL),
    ));
    for (name, bytes, code) in cases {
        both(server.address, &name, &bytes, |raw| {
            let (first, payload) = raw.frame();
            let answer = payload.first_chunk().copied().map(u16::from_be_bytes);
            assert_eq!((first, answer), (0x88, code));
            assert_eq!(raw.0.read(&mut [0; 16]).unwrap_or(0), 0, "the end follows");
        });
    }
    fresh_clients_are_served(&server);
}

#[test]
fn unusual_frames_that_are_accepted() {
    let server = server();
    let most = [b'x'; 125];
    both(server.address, "a ping of 125 bytes", &masked(0x89, &most), |raw| {
        assert_eq!(raw.frame(), (0x8a, most.to_vec()));
        assert_open(raw);
    });
    both(
        server.address,
        "pongs that nobody asked for",
        &masked(0x8a, b"what").repeat(3),
        assert_open,
    );
    both(
        server.address,
        "a ping between fragments",
        &[masked(0x02, b"a"), masked(0x89, b"now")].concat(),
        |raw| {
            assert_eq!(raw.frame(), (0x8a, b"now".to_vec()));
        },
    );
    let mut raw = Raw::plain(server.address);
    let text = r#"{"event":"echo","data":"é","id":1}"#.as_bytes();
    let half = text.iter().position(|byte| *byte == 0xc3).unwrap() + 1;
    raw.0
        .write_all(
            &[masked(0x01, &text[..half]), masked(0x00, b""), masked(0x80, &text[half..])].concat(),
        )
        .unwrap();
    assert_eq!(raw.text(), r#"{"ack":1,"data":"é"}"#, "a fragment may end within a character");
    drop(raw);
    fresh_clients_are_served(&server);
}

#[test]
fn a_text_ping_is_answered_on_the_plain_protocol_also_before_the_sign_in() {
    let server = server();
    let mut waiting = Raw::request(server.address, "GET /ws?namespace=/closed", UPGRADE);
    waiting.head();
    for raw in [&mut waiting, &mut Raw::plain(server.address)] {
        for _ in 0..2 {
            raw.say("ping");
            assert_eq!(raw.text(), "pong");
        }
    }
    waiting.say(r#"{"event":"auth","data":{"token":"good"}}"#);
    waiting.hears(r#"{"event":"session""#);
    drop(waiting);
    fresh_clients_are_served(&server);
}

#[test]
fn plain_protocol_frames() {
    let server = server();
    let long_id = format!(r#"{{"event":"echo","id":"{}"}}"#, "x".repeat(127));
    for text in [
        "",
        " ",
        "hi",
        "1",
        "null",
        "true",
        "\"ping\"",
        "PING",
        "ping ",
        "pong",
        "[]",
        r#"["echo"]"#,
        "{",
        "{}",
        "}",
        r#"{"data":1}"#,
        r#"{"event":1}"#,
        r#"{"event":null}"#,
        r#"{"event":["echo"]}"#,
        r#"{"event":{}}"#,
        r#"{"event":"echo""#,
        r#"{"event":"echo"} x"#,
        r#"{"event":"echo"}{"event":"echo"}"#,
        r#"{"event":"echo",}"#,
        r#"{"event":"echo","data":}"#,
        r#"{"event":"echo","data":NaN}"#,
        r"{'event':'echo'}",
        r#"{event:"echo"}"#,
        r#"{"event":"a","event":"b"}"#,
        r#"{"event":"\ud800"}"#,
        r#"{"event":"echo","id":{}}"#,
        r#"{"event":"echo","id":[]}"#,
        r#"{"event":"echo","id":true}"#,
        r#"{"event":"echo","id":01}"#,
        "\u{feff}{\"event\":\"echo\"}",
        "40",
        "2",
        "{\"event\":\"a\nb\"}",
        "\0",
        long_id.as_str(),
    ] {
        println!("{text}");
        let mut raw = Raw::plain(server.address);
        raw.say(text);
        raw.ends(BAD_FRAME);
        let mut raw = Raw::request(server.address, "GET /ws?namespace=/closed", UPGRADE);
        raw.head();
        raw.say(text);
        raw.ends(BAD_FRAME);
    }
    for bytes in [&b""[..], b"\x01", br#"{"event":"echo"}"#] {
        let mut raw = Raw::plain(server.address);
        raw.send(0x82, bytes);
        raw.ends(BAD_FRAME);
    }
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    let error = |name: &str| {
        format!(r#"{{"error":{{"code":"invalid","message":"unknown event {name}"}},"ok":false}}"#)
    };
    for (text, answer) in [
        (r#" { "id" : 1 , "event" : "echo" } "#.to_owned(), r#"{"ack":1,"data":null}"#.to_owned()),
        (
            r#"{"event":"echo","data":1,"id":"x","more":{}}"#.into(),
            r#"{"ack":"x","data":1}"#.into(),
        ),
        (r#"{"event":"echo","data":1,"id":-1.5e3}"#.into(), r#"{"ack":-1.5e3,"data":1}"#.into()),
        (
            r#"{"event":"echo","data":"\ud800","id":1}"#.into(),
            r#"{"ack":1,"data":"\ud800"}"#.into(),
        ),
        (
            format!(r#"{{"event":"echo","data":{deep},"id":1}}"#),
            format!(r#"{{"ack":1,"data":{deep}}}"#),
        ),
        (r#"{"event":"","id":1}"#.into(), format!(r#"{{"ack":1,"data":{}}}"#, error(""))),
        (
            r#"{"event":"auth","data":{},"id":1}"#.into(),
            format!(r#"{{"ack":1,"data":{}}}"#, error("auth")),
        ),
    ] {
        let mut raw = Raw::plain(server.address);
        raw.say(&text);
        assert_eq!(raw.text(), answer, "{text}");
        assert_open(&mut raw);
    }
    fresh_clients_are_served(&server);
}

//! The wire, byte by byte: frames in any pieces, frames that break RFC 6455 or the protocols,
//! answers, rates and timeouts.

use crate::polling;
use crate::probe;
use crate::raw;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::Quota;
use hubcast::realtime::Settings;
use hubcast::realtime::admission::Policy;
use polling::Polling;
use probe::{serve, server};
use raw::{Raw, UPGRADE, masked};

#[test]
fn frames_may_arrive_in_any_pieces() {
    let mut raw = Raw::plain(server());
    let frame = masked(0x81, br#"{"event":"echo","data":"pieces","id":1}"#);
    for byte in &frame {
        raw.0.write_all(&[*byte]).unwrap();
        raw.0.flush().unwrap();
    }
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
    // Two and a half frames at once, then the rest.
    let all = [&frame[..], &frame[..], &frame[..]].concat();
    let (first, rest) = all.split_at(frame.len() * 5 / 2);
    raw.0.write_all(first).unwrap();
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
    raw.0.write_all(rest).unwrap();
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
}

#[test]
fn frames_directly_after_the_request_are_not_lost() {
    let address = server();
    let mut stream = TcpStream::connect(address).unwrap();
    let mut bytes = format!("GET /ws HTTP/1.1\r\nHost: {address}\r\n{UPGRADE}\r\n").into_bytes();
    bytes.extend(masked(0x81, br#"{"event":"echo","data":"early","id":1}"#));
    stream.write_all(&bytes).unwrap();
    let mut raw = Raw(stream);
    raw.head();
    assert!(raw.text().starts_with(r#"{"event":"session""#));
    assert_eq!(raw.text(), r#"{"ack":1,"data":"early"}"#);
}

#[test]
fn a_message_may_be_fragmented_with_a_ping_between() {
    let mut raw = Raw::plain(server());
    raw.send(0x01, br#"{"event":"echo","#);
    raw.send(0x89, b"hi");
    assert_eq!(raw.frame(), (0x8a, b"hi".to_vec()));
    raw.send(0x00, br#""data":"parts""#);
    raw.send(0x80, br#","id":"x"}"#);
    assert_eq!(raw.text(), r#"{"ack":"x","data":"parts"}"#);
}

#[test]
fn each_protocol_error_closes_with_its_code_and_disturbs_nobody() {
    let address = server();
    let unmasked = [0x81, 0x02, b'h', b'i'];
    let long = "x".repeat(1001);
    let cases: [(&str, bool, Vec<u8>, u16); 13] = [
        ("unmasked", false, unmasked.to_vec(), 1002),
        ("unknown opcode", false, masked(0x83, b""), 1002),
        ("continuation of nothing", false, masked(0x80, b""), 1002),
        ("not UTF-8", false, masked(0x81, &[0xff]), 1007),
        ("over the limit", false, masked(0x81, long.as_bytes()), 1009),
        (
            "over the limit in fragments",
            false,
            [masked(0x01, &[b'x'; 600]), masked(0x80, &[b'x'; 600])].concat(),
            1009,
        ),
        (
            "a fragment inside a fragment",
            false,
            [masked(0x01, b"a"), masked(0x01, b"b")].concat(),
            1002,
        ),
        ("plain: not JSON", false, masked(0x81, b"hi"), 4400),
        ("plain: binary", false, masked(0x82, b"hi"), 4400),
        ("not Engine.IO", true, masked(0x81, b"x"), 1002),
        ("a client's ping", true, masked(0x81, b"2"), 1002),
        ("a packet for a namespace not joined", true, masked(0x81, b"42[\"echo\"]"), 1002),
        ("two connects", true, [masked(0x81, b"40"), masked(0x81, b"40")].concat(), 1002),
    ];
    for (name, socketio, bytes, code) in cases {
        let mut raw = if socketio { Raw::socketio(address) } else { Raw::plain(address) };
        raw.0.write_all(&bytes).unwrap();
        let (mut head, mut payload) = raw.frame();
        while head == 0x81 {
            (head, payload) = raw.frame();
        }
        assert_eq!((head, u16::from_be_bytes([payload[0], payload[1]])), (0x88, code), "{name}");
        assert_eq!(raw.0.read(&mut [0; 16]).unwrap_or(0), 0, "{name}: the stream ends");
    }
    let mut raw = Raw::plain(address);
    raw.say(r#"{"event":"echo","data":1,"id":1}"#);
    assert_eq!(raw.text(), r#"{"ack":1,"data":1}"#);
}

#[test]
fn many_events_of_one_socket_are_answered_in_order() {
    let mut raw =
        Raw::plain(serve(Settings { event_rate: None, ..Settings::default() }, Policy::default()));
    let all: Vec<u8> = (0..300)
        .flat_map(|n| masked(0x81, format!(r#"{{"event":"slow","data":{n},"id":{n}}}"#).as_bytes()))
        .collect();
    raw.0.write_all(&all).unwrap();
    for n in 0..300 {
        assert_eq!(raw.text(), format!(r#"{{"ack":{n},"data":{n}}}"#));
    }
}

#[test]
fn events_over_the_rate_are_refused_one_by_one() {
    let rate = Quota::per_minute(NonZeroU32::MIN).allow_burst(NonZeroU32::new(3).unwrap());
    let mut raw = Raw::plain(serve(
        Settings { event_rate: Some(rate), ..Settings::default() },
        Policy::default(),
    ));
    let mut answers = Vec::new();
    for n in 0..5 {
        raw.say(&format!(r#"{{"event":"echo","data":{n},"id":{n}}}"#));
        answers.push(raw.text());
    }
    assert_eq!(answers[2], r#"{"ack":2,"data":2}"#);
    for (n, answer) in answers.iter().enumerate().skip(3) {
        assert_eq!(
            *answer,
            format!(
                r#"{{"ack":{n},"data":{{"error":{{"code":"rate_limited","message":"Too many requests"}},"ok":false}}}}"#
            )
        );
    }
}

/// A rate of frames, and a short patience with a client that stays over it.
fn impatient(per_second: u32, burst: u32) -> Settings {
    let rate = Quota::per_second(NonZeroU32::new(per_second).unwrap())
        .allow_burst(NonZeroU32::new(burst).unwrap());
    Settings {
        frame_rate: Some(rate),
        event_rate: None,
        intake_patience: Duration::from_millis(200),
        ..Settings::default()
    }
}

#[test]
fn a_flood_of_frames_of_any_kind_ends_the_connection() {
    let address = serve(impatient(100, 100), Policy::default());
    let floods: [(&str, u8, &[u8]); 7] = [
        ("no-ops", 0x81, b"6"),
        ("pongs", 0x81, b"3"),
        ("CONNECTs to a namespace that does not exist", 0x81, b"40/nowhere,"),
        ("events", 0x81, br#"42["what"]"#),
        ("acks of nothing", 0x81, b"431[]"),
        ("pings of the WebSocket", 0x89, b""),
        ("pongs of the WebSocket", 0x8a, b""),
    ];
    for (name, first, payload) in floods {
        let mut raw = Raw::socketio(address);
        raw.say("40");
        raw.hears("42[\"session\"");
        // The server closes before it has read all of them.
        let _ = raw.0.write_all(&masked(first, payload).repeat(2_000));
        assert_eq!(raw.next_close(), 1008, "{name}");
    }
    let mut raw = Raw::plain(address);
    let _ = raw.0.write_all(&masked(0x81, b"ping").repeat(2_000));
    assert_eq!(raw.next_close(), 1008);
    let mut raw = Raw::plain(address);
    let _ = raw.0.write_all(&[masked(0x01, b"\""), masked(0x00, b"").repeat(1_000)].concat());
    assert_eq!(raw.next_close(), 1008);
    let polling = Polling::open(address);
    assert_eq!(polling.post(b"40").0, 200);
    polling.hears("40");
    assert_eq!(polling.post(vec!["6"; 2_000].join("\x1e").as_bytes()).0, 400);
    polling.is_unknown();
}

#[test]
fn before_a_namespace_is_joined_a_client_may_send_little() {
    let settings = Settings { intake_patience: Duration::from_millis(200), ..Settings::default() };
    let address = serve(settings, Policy::default());
    let mut raw = Raw::socketio(address);
    let _ = raw.0.write_all(&masked(0x81, b"40/nowhere,").repeat(100));
    assert_eq!(raw.next_close(), 1008);
    let mut raw = Raw::socketio(address);
    raw.send(0x01, b"40{\"token\":\"");
    for first in [0x00, 0x00, 0x80] {
        raw.send(first, &vec![b'x'; 50_000]);
    }
    assert_eq!(raw.next_close(), 1009);
    let mut raw = Raw::socketio(address);
    raw.say("40");
    raw.hears("42[\"session\"");
    for n in 0..100 {
        raw.say(&format!("42{n}[\"echo\",{n}]"));
    }
    raw.hears("4399[99]");
}

#[test]
fn a_client_over_the_rate_is_slowed_down_and_loses_nothing() {
    let settings = Settings {
        intake_patience: Duration::from_secs(30),
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        ..impatient(50, 1)
    };
    let mut raw = Raw::socketio(serve(settings, Policy::default()));
    raw.say("40");
    raw.hears("42[\"session\"");
    let ask = |n| masked(0x81, format!("42{n}[\"echo\",{n}]").as_bytes());
    // The pong waits behind the events for longer than the ping time-out.
    let all: Vec<u8> = (0..25).flat_map(ask).chain(masked(0x81, b"3")).collect();
    raw.0.write_all(&all).unwrap();
    for n in 0..25 {
        raw.hears(&format!("43{n}[{n}]"));
    }
    raw.hears("2");
    raw.say("3");
    raw.say("4299[\"echo\",99]");
    raw.hears("4399[99]");
}

#[test]
fn a_failure_is_reported_in_the_ack_or_as_an_error_event() {
    let address = server();
    let mut raw = Raw::plain(address);
    raw.say(r#"{"event":"what","id":1}"#);
    assert_eq!(
        raw.text(),
        r#"{"ack":1,"data":{"error":{"code":"invalid","message":"unknown event what"},"ok":false}}"#
    );
    raw.say(r#"{"event":"what"}"#);
    assert_eq!(
        raw.text(),
        r#"{"event":"error","data":{"code":"invalid","event":"what","message":"unknown event what","status":"error"}}"#
    );
    let mut raw = Raw::socketio(address);
    raw.say("40");
    assert!(raw.text().starts_with(r#"40{"sid":""#));
    assert!(raw.text().starts_with(r#"42["session",{"#));
    raw.say(r#"427["what"]"#);
    assert_eq!(
        raw.text(),
        r#"437[{"error":{"code":"invalid","message":"unknown event what"},"ok":false}]"#
    );
    raw.say(r#"428["echo",[1,"two"]]"#);
    assert_eq!(raw.text(), r#"438[[1,"two"]]"#);
    raw.say("41");
    raw.say("40");
    assert!(raw.text().starts_with(r#"40{"sid":""#), "a namespace can be joined again");
}

#[test]
fn a_socket_that_misses_a_pong_or_joins_nothing_is_closed() {
    let times = Settings {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        connect_timeout: Duration::from_millis(450),
        ..Settings::default()
    };
    let address = serve(times, Policy::default());
    let began = Instant::now();
    let mut silent = Raw::socketio(address);
    assert_eq!(silent.text(), "2");
    assert_eq!(silent.close_code(), 1008);
    assert!(began.elapsed() >= Duration::from_millis(200));
    let mut idle = Raw::socketio(address);
    for _ in 0..4 {
        assert_eq!(idle.text(), "2");
        idle.say("3");
    }
    assert_eq!(idle.close_code(), 1008, "no namespace was joined in time");
    let mut alive = Raw::plain(address);
    for _ in 0..8 {
        assert_eq!(alive.frame(), (0x89, vec![]));
        alive.send(0x8a, b"");
    }
    assert_eq!(alive.frame(), (0x89, vec![]));
    assert_eq!(alive.close_code(), 1008);
}

#[test]
fn a_packet_while_a_pong_is_due_puts_off_the_time_out_once() {
    let times = Settings {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_secs(1),
        ..Settings::default()
    };
    let address = serve(times, Policy::default());
    for (open, ping, packet) in [
        (Raw::socketio as fn(_) -> _, (0x81, b"2".to_vec()), "6"),
        (Raw::plain, (0x89, vec![]), "ping"),
    ] {
        let mut raw = open(address);
        assert_eq!(raw.frame(), ping);
        std::thread::sleep(Duration::from_millis(500));
        let put_off = Instant::now();
        raw.say(packet);
        // Not by this one: without an end to it, a client that never answers would stay.
        raw.say(packet);
        raw.ends(1008);
        assert!(put_off.elapsed() >= Duration::from_millis(990));
    }
}

#[test]
fn a_frame_that_declares_too_much_is_refused_by_its_head() {
    let mut raw = Raw::plain(server());
    // A masked text of 256 GiB, without its payload.
    raw.0.write_all(&[0x81, 0xff, 0, 0, 0, 0x40, 0, 0, 0, 0]).unwrap();
    assert_eq!(raw.close_code(), 1009);
}

#[test]
fn events_after_a_connect_wait_for_it_and_a_refused_namespace_delays_nobody() {
    let mut raw = Raw::socketio(server());
    // All in one piece: two namespaces, one of which is refused, and more events than may wait.
    let mut all = [masked(0x81, b"40"), masked(0x81, b"40/closed,")].concat();
    for n in 0..100 {
        all.extend(masked(0x81, format!(r#"42{n}["echo",{n}]"#).as_bytes()));
    }
    raw.0.write_all(&all).unwrap();
    // Namespaces have no common order; within one, the answer to CONNECT comes first.
    let mut answers = [raw.text(), raw.text(), raw.text()];
    answers.sort_by_key(|answer| answer.starts_with("44/closed,"));
    assert!(answers[0].starts_with(r#"40{"sid":""#), "{answers:?}");
    assert!(answers[1].starts_with(r#"42["session","#), "{answers:?}");
    assert!(answers[2].starts_with("44/closed,"), "{answers:?}");
    for n in 0..100 {
        assert_eq!(raw.text(), format!("43{n}[{n}]"));
    }
}

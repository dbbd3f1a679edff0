//! Timeouts: for the rest of a message, over long-polling for pongs and polls, and of idle
//! connections; and how a polling client learns of the end.

use crate::echo;
use crate::polling;
use crate::raw;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use echo::Running;
use hubcast::realtime::Settings;
use polling::{Polling, TAKEN, answer};
use raw::{Raw, masked};

const LIMIT: Duration = Duration::from_millis(450);
const ANNOUNCED: &str = r#"451-7["echo",{"_placeholder":true,"num":0},1]"#;

/// Pings often. A pong may take long, a CONNECT may not.
fn server() -> Running {
    Running::start(Settings {
        ping_interval: Duration::from_millis(100),
        connect_timeout: LIMIT,
        ..Settings::default()
    })
}

fn is_short((status, body): &(u16, String), expected: (u16, &str)) -> bool {
    (*status, body.as_str()) == expected
}

/// Sends the first part of a message and answers pings, until the connection is closed.
fn is_closed_as_unfinished(raw: &mut Raw, first_part: &[u8]) {
    let began = Instant::now();
    raw.0.write_all(first_part).unwrap();
    let (head, payload) = loop {
        match raw.frame() {
            (0x89, payload) => raw.send(0x8a, &payload),
            (0x81, text) if text == b"2" => raw.say("3"),
            (0x81, _) => {}
            frame => break frame,
        }
    };
    assert_eq!(
        (head, payload.as_slice()),
        (0x88, &[&1008u16.to_be_bytes()[..], b"unfinished"].concat()[..])
    );
    assert!(began.elapsed() >= LIMIT);
}

#[test]
fn attachments_and_fragments_time_out() {
    let server = server();
    let mut raw = Raw::socketio(server.address);
    raw.say("40");
    raw.hears("40");
    is_closed_as_unfinished(&mut raw, &masked(0x81, ANNOUNCED.as_bytes()));
    let two =
        [masked(0x81, ANNOUNCED.replace("51-", "52-").as_bytes()), masked(0x82, b"one of two")]
            .concat();
    let mut raw = Raw::socketio(server.address);
    raw.say("40");
    raw.hears("40");
    is_closed_as_unfinished(&mut raw, &two);
    for first in [0x01, 0x02] {
        is_closed_as_unfinished(&mut Raw::plain(server.address), &masked(first, b"{"));
    }
    drop(raw);
    server.settle();
}

#[test]
fn the_timeout_starts_anew_with_each_message() {
    let server = server();
    let mut raw = Raw::socketio(server.address);
    raw.say("40");
    raw.hears("42[\"session\",");
    for _ in 0..3 {
        raw.say(ANNOUNCED);
        sleep(LIMIT / 2);
        raw.send(0x82, b"bytes");
        raw.hears("437[1]");
        raw.say("3");
    }
}

#[test]
fn attachments_time_out_over_polling() {
    let server = server();
    let polling = Polling::open(server.address);
    assert!(is_short(&polling.post(b"40"), TAKEN));
    polling.hears("42[\"session\",");
    assert!(is_short(&polling.post(ANNOUNCED.as_bytes()), TAKEN));
    answers_pings_until_the_end(&polling);
    server.settle();
}

#[test]
fn a_session_without_a_namespace_times_out_over_polling() {
    let server = server();
    answers_pings_until_the_end(&Polling::open(server.address));
    server.settle();
}

/// The open poll is answered with the end, and the next one finds no session.
fn answers_pings_until_the_end(polling: &Polling) {
    let began = Instant::now();
    loop {
        match polling.poll() {
            heard if is_short(&heard, (200, "2")) => assert!(is_short(&polling.post(b"3"), TAKEN)),
            heard => {
                assert!(is_short(&heard, (200, "1")), "{heard:?}");
                break;
            }
        }
    }
    assert!(began.elapsed() >= LIMIT.mul_f32(0.8));
    polling.is_unknown();
}

fn server_with_short_timeouts() -> Running {
    let (ping_interval, ping_timeout) = (Duration::from_millis(300), Duration::from_millis(200));
    Running::start(Settings { ping_interval, ping_timeout, ..Settings::default() })
}

#[test]
fn a_poll_after_the_ping_timeout_finds_no_session() {
    let server = server_with_short_timeouts();
    let polling = Polling::open(server.address);
    sleep(Duration::from_millis(500));
    polling.is_unknown();
    server.settle();
}

#[test]
fn an_open_poll_is_answered_at_the_ping_timeout() {
    let server = server_with_short_timeouts();
    let polling = Polling::open(server.address);
    assert!(is_short(&polling.poll(), (200, "2")));
    assert!(is_short(&polling.poll(), (200, "1")));
    polling.is_unknown();
    server.settle();
}

fn joined_session(address: SocketAddr) -> Polling {
    let polling = Polling::open(address);
    assert!(is_short(&polling.post(b"40"), TAKEN));
    polling.hears("42[\"session\",");
    polling
}

/// A poll that is open on the server, as far as this side can tell.
fn open_poll(polling: &Polling) -> std::net::TcpStream {
    let poll = polling.begin_poll();
    sleep(Duration::from_millis(50));
    poll
}

#[test]
fn a_close_packet_answers_the_open_poll() {
    let server = Running::start(Settings::default());
    for body in ["1", "3\x1e1", "1\x1e3"] {
        let polling = joined_session(server.address);
        let poll = open_poll(&polling);
        assert!(is_short(&polling.post(body.as_bytes()), TAKEN));
        assert!(is_short(&answer(poll), (200, "6")));
        polling.is_unknown();
    }
    server.settle();
}

#[test]
fn a_protocol_error_answers_the_open_poll() {
    let server = Running::start(Settings::default());
    for body in ["7", "42", "3\x1e2", "b!"] {
        let polling = joined_session(server.address);
        let poll = open_poll(&polling);
        assert_eq!(polling.post(body.as_bytes()).0, 400);
        assert!(is_short(&answer(poll), (200, "1")));
        polling.is_unknown();
    }
    server.settle();
}

#[test]
fn a_shutdown_is_reported_to_the_next_poll() {
    let server = Running::start(Settings::default());
    let polling = joined_session(server.address);
    let draining = server.server.clone();
    let drain = std::thread::spawn(move || {
        actix_rt::System::new().block_on(draining.drain(Duration::from_secs(5)));
    });
    // The drain closes the sessions that it informed; only then does this one poll.
    sleep(Duration::from_millis(200));
    let (status, body) = polling.poll();
    assert_eq!(
        (status, body.as_str()),
        (200, "42[\"server:shutdown\",{\"reconnectAfterMs\":1000}]\x1e1")
    );
    polling.is_unknown();
    drain.join().unwrap();
    server.settle();
}

#[test]
fn the_body_of_a_post_times_out() {
    let server = Running::start(Settings { body_timeout: LIMIT, ..Settings::default() });
    let polling = Polling::open(server.address);
    assert!(is_short(&polling.post(b"40"), TAKEN));
    polling.hears("42[\"session\",");
    let (began, mut stream) = (Instant::now(), TcpStream::connect(server.address).unwrap());
    stream
        .write_all(
            format!(
                "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n42[\"",
                polling.path()
            )
            .as_bytes(),
        )
        .unwrap();
    assert_eq!(answer(stream).0, 408);
    assert!(began.elapsed() >= LIMIT);
    polling.is_unknown();
    server.settle();
}

#[test]
fn an_idle_connection_is_kept_for_its_next_request_and_ends_with_the_drain() {
    let server = Running::start(Settings::default());
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 426 "), "{length} bytes");
    };
    ask(&mut stream);
    // Longer than the idle time of most clients that keep connections.
    sleep(Duration::from_secs(7));
    ask(&mut stream);
    actix_rt::System::new().block_on(server.server.drain(Duration::from_secs(5)));
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "the end");
    server.settle();
}

#[test]
fn an_idle_connection_ends_after_keep_alive() {
    let keep_alive = Duration::from_millis(200);
    let server = Running::start(Settings { keep_alive, ..Settings::default() });
    let mut raw = Raw::request(server.address, "GET /ws", "");
    let mut answer = String::new();
    raw.0.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    server.settle();
}

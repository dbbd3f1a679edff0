//! What goes over the wire, byte by byte: frames in pieces, frames that break RFC 6455 or the
//! protocols, the times, and who may come.

#[path = "support/raw.rs"]
mod raw;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::App;
use governor::Quota;
use hubcast::realtime::admission::{Origins, Policy};
use hubcast::realtime::gateway::LocalBoxFuture;
use hubcast::realtime::{AuthFailure, Error};
use hubcast::realtime::{
    Client, Gateway, Handshake, HubHandle, Incoming, Json, Reply, Server, Settings, Welcome,
};
use raw::{Raw, UPGRADE, masked};

/// Answers `echo` with its argument, `slow` after a while, refuses the rest. `/closed` wants
/// `{"token":"good"}`.
struct Probe {
    closed: bool,
}

impl Gateway for Probe {
    fn connect(
        &self,
        _: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let answer = match (self.closed, auth) {
            (false, _) => Ok(Welcome::anonymous()),
            (true, None) => Err(Error::Unauthorized(AuthFailure::Missing)),
            (true, Some(auth)) if auth.get() == r#"{"token":"good"}"# => Ok(Welcome::anonymous()),
            (true, Some(auth)) if auth.get() == r#"{"token":"other"}"# => Err(Error::Forbidden),
            (true, Some(_)) => Err(Error::Unauthorized(AuthFailure::Invalid)),
        };
        Box::pin(async { answer })
    }

    fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(async move {
            match event.name.as_str() {
                "echo" => Ok(event.into_payload()),
                "slow" => {
                    actix_rt::time::sleep(Duration::from_millis(5)).await;
                    Ok(event.into_payload())
                }
                name => Err(Error::BadRequest(format!("unknown event {name}"))),
            }
        })
    }
}

fn serve(settings: Settings, policy: Policy) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let hub = HubHandle::start(&settings);
            Server::builder(settings, hub)
                .namespace("/", Arc::new(Probe { closed: false }))
                .namespace("/closed", Arc::new(Probe { closed: true }))
                .policy(policy)
                .build()
                .listen(listener, 1, |sockets| App::new().configure(sockets))
                .unwrap()
                .await
                .unwrap();
        });
    });
    address
}

fn server() -> SocketAddr {
    serve(Settings { max_payload: 1000, ..Settings::default() }, Policy::default())
}

#[test]
fn the_handshake_is_rfc_6455s() {
    let head = Raw::request(server(), "GET /ws", UPGRADE).head();
    assert_eq!(
        head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn frames_may_come_in_any_pieces() {
    let mut raw = Raw::plain(server());
    let frame = masked(0x81, br#"{"event":"echo","data":"pieces","id":1}"#);
    for byte in &frame {
        raw.0.write_all(&[*byte]).unwrap();
        raw.0.flush().unwrap();
    }
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
    // Two and a half at once, then the rest.
    let all = [&frame[..], &frame[..], &frame[..]].concat();
    let (first, rest) = all.split_at(frame.len() * 5 / 2);
    raw.0.write_all(first).unwrap();
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
    raw.0.write_all(rest).unwrap();
    assert_eq!(raw.text(), r#"{"ack":1,"data":"pieces"}"#);
}

#[test]
fn frames_right_behind_the_request_are_not_lost() {
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
fn a_message_may_come_in_fragments_with_a_ping_between() {
    let mut raw = Raw::plain(server());
    raw.send(0x01, br#"{"event":"echo","#);
    raw.send(0x89, b"hi");
    assert_eq!(raw.frame(), (0x8a, b"hi".to_vec()));
    raw.send(0x00, br#""data":"parts""#);
    raw.send(0x80, br#","id":"x"}"#);
    assert_eq!(raw.text(), r#"{"ack":"x","data":"parts"}"#);
}

#[test]
fn what_breaks_a_protocol_closes_with_its_code_and_harms_nobody() {
    let address = server();
    let unmasked = [0x81, 0x02, b'h', b'i'];
    let long = "x".repeat(1001);
    let cases: [(&str, bool, Vec<u8>, u16); 14] = [
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
        ("a close frame", false, masked(0x88, &[]), 1000),
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
        assert_eq!(raw.0.read(&mut [0; 16]).unwrap_or(0), 0, "{name}: the end follows");
    }
    let mut raw = Raw::plain(address);
    raw.say(r#"{"event":"echo","data":1,"id":1}"#);
    assert_eq!(raw.text(), r#"{"ack":1,"data":1}"#);
}

#[test]
fn events_of_one_socket_are_answered_in_order_however_many_come() {
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
fn too_many_events_are_refused_one_by_one() {
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

#[test]
fn a_failure_is_answered_to_the_ack_or_as_an_error_event() {
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
fn namespaces_are_refused_in_each_protocols_words() {
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
fn a_socket_that_does_not_answer_pings_or_joins_nothing_is_closed() {
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
    assert_eq!(idle.close_code(), 1008, "it has joined no namespace in time");
    let mut alive = Raw::plain(address);
    for _ in 0..8 {
        assert_eq!(alive.frame(), (0x89, vec![]));
        alive.send(0x8a, b"");
    }
    assert_eq!(alive.frame(), (0x89, vec![]));
    assert_eq!(alive.close_code(), 1008);
}

#[test]
fn what_is_no_handshake_gets_an_answer_and_the_end() {
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
fn a_foreign_origin_is_refused_and_a_listed_one_is_not() {
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
fn an_address_that_connects_too_often_is_told_when_to_come_back() {
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
fn a_frame_that_declares_too_much_is_refused_before_it_comes() {
    let mut raw = Raw::plain(server());
    // Text, masked, 256 GiB; then not one byte of it.
    raw.0.write_all(&[0x81, 0xff, 0, 0, 0, 0x40, 0, 0, 0, 0]).unwrap();
    assert_eq!(raw.close_code(), 1009);
}

#[test]
fn events_behind_a_connect_wait_for_its_answer_and_a_refusal_does_not_hold_up_the_rest() {
    let mut raw = Raw::socketio(server());
    // All in one piece: two namespaces, one of which says no, and more events than may wait.
    let mut all = [masked(0x81, b"40"), masked(0x81, b"40/closed,")].concat();
    for n in 0..100 {
        all.extend(masked(0x81, format!(r#"42{n}["echo",{n}]"#).as_bytes()));
    }
    raw.0.write_all(&all).unwrap();
    // Namespaces have no order among each other; within one, the yes comes first.
    let mut answers = [raw.text(), raw.text(), raw.text()];
    answers.sort_by_key(|answer| answer.starts_with("44/closed,"));
    assert!(answers[0].starts_with(r#"40{"sid":""#), "{answers:?}");
    assert!(answers[1].starts_with(r#"42["session","#), "{answers:?}");
    assert!(answers[2].starts_with("44/closed,"), "{answers:?}");
    for n in 0..100 {
        assert_eq!(raw.text(), format!("43{n}[{n}]"));
    }
}

#[test]
fn joining_and_leaving_over_and_over_is_limited() {
    let rate = Quota::per_minute(NonZeroU32::MIN).allow_burst(NonZeroU32::new(5).unwrap());
    let mut raw = Raw::socketio(serve(
        Settings { event_rate: Some(rate), ..Settings::default() },
        Policy::default(),
    ));
    raw.send(0x81, b"40");
    assert!(raw.text().starts_with(r#"40{"sid":""#));
    let again = [masked(0x81, b"41"), masked(0x81, b"40")].concat();
    raw.0.write_all(&again.repeat(8)).unwrap();
    // The end may overtake answers that are still on their way, so of the five that are let in any
    // number is heard of.
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

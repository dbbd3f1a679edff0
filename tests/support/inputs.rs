//! Sends inputs of a client over a raw WebSocket and over raw long-polling, and checks their
//! outcome.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hubcast::realtime::Settings;

use crate::echo::Running;
use crate::polling::{Polling, REFUSED, TAKEN};
use crate::raw::Raw;

/// A message of a client.
#[derive(Clone)]
pub enum Say {
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

/// The state of the connection after an input.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Closed with this code; the POST is refused.
    Ends(u16),
    /// Closed with 1000; the POST is accepted.
    Leaves,
    /// No answer, and the connection goes on.
    Lives,
    /// An answer that begins with this, and the connection goes on.
    Answers(String),
    /// The namespace is left.
    Unjoined,
}
pub use Outcome::{Answers, Ends, Leaves, Lives, Unjoined};

/// Whether `/` is joined when the input is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    Before,
    After,
    Always,
}
pub use When::{After, Always, Before};

pub type Case = (When, Vec<Say>, Outcome);

pub fn text(packet: impl AsRef<[u8]>) -> Vec<Say> {
    vec![Say::Text(packet.as_ref().to_vec())]
}

/// A server with limits that an input can reach.
pub fn server() -> Running {
    Running::start(Settings { max_payload: 1000, ..Settings::default() })
}

pub fn run(server: &Running, cases: &[Case]) {
    for (when, input, outcome) in cases {
        for is_joined in [false, true] {
            if *when == Always || (*when == After) == is_joined {
                let shown: Vec<_> = input
                    .iter()
                    .map(|say| match say {
                        Say::Text(bytes) | Say::Binary(bytes) => {
                            String::from_utf8_lossy(bytes).chars().take(80).collect::<String>()
                        }
                    })
                    .collect();
                // Printed if the test fails.
                println!("{when:?} joined={is_joined} {shown:?} -> {outcome:?}");
                over_websocket(server.address, is_joined, input, outcome);
                over_polling(server.address, is_joined, input, outcome);
            }
        }
    }
    fresh_clients_are_served(server.address);
    server.settle();
}

fn over_websocket(address: SocketAddr, is_joined: bool, input: &[Say], outcome: &Outcome) {
    let mut raw = Raw::socketio(address);
    if is_joined {
        join(&mut raw);
    }
    for say in input {
        match say {
            Say::Text(bytes) => raw.send(0x81, bytes),
            Say::Binary(bytes) => raw.send(0x82, bytes),
        }
    }
    match outcome {
        Ends(code) => raw.ends(*code),
        Leaves => raw.ends(1000),
        Answers(begins) => {
            raw.hears(begins);
            // A joined namespace also sends its session event.
            let (say, hear) = alive(is_joined);
            raw.say(say);
            raw.hears(hear);
        }
        Lives => lives(&mut raw, is_joined),
        Unjoined => lives(&mut raw, false),
    }
}

/// A packet that any open connection answers, and the start of the answer.
fn alive(is_joined: bool) -> (&'static str, &'static str) {
    if is_joined {
        (r#"4299["echo","alive"]"#, r#"4399["alive"]"#)
    } else {
        ("40", r#"40{"sid":""#)
    }
}

fn join(raw: &mut Raw) {
    raw.say("40");
    assert!(raw.text().starts_with(r#"40{"sid":""#));
    assert!(raw.text().starts_with(r#"42["session","#));
}

/// Checks that the next packet answers this one.
fn lives(raw: &mut Raw, is_joined: bool) {
    let (say, hear) = alive(is_joined);
    raw.say(say);
    let text = raw.text();
    assert!(text.starts_with(hear), "{text}");
}

pub fn over_polling(address: SocketAddr, is_joined: bool, input: &[Say], outcome: &Outcome) {
    let polling = Polling::open(address);
    if is_joined {
        assert_eq!(polling.post(b"40"), (200, "ok".to_owned()));
        polling.hears(r#"42["session","#);
    }
    let packets: Vec<Vec<u8>> = input
        .iter()
        .map(|say| match say {
            Say::Text(bytes) => bytes.clone(),
            Say::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)).into_bytes(),
        })
        .collect();
    let (status, body) = polling.post(&packets.join(&0x1e));
    match outcome {
        Ends(_) => {
            assert_eq!((status, body.as_str()), REFUSED);
            polling.is_unknown();
        }
        Leaves => {
            assert_eq!((status, body.as_str()), TAKEN);
            polling.is_unknown();
        }
        Lives | Answers(_) | Unjoined => {
            assert_eq!((status, body.as_str()), TAKEN);
            if let Answers(begins) = outcome {
                polling.hears(begins);
            }
            polling_lives(&polling, is_joined && !matches!(outcome, Unjoined));
            polling.post(b"1");
            polling.is_unknown();
        }
    }
}

pub fn polling_lives(polling: &Polling, is_joined: bool) {
    let (say, hear) = alive(is_joined);
    assert_eq!(polling.post(say.as_bytes()), (200, "ok".to_owned()));
    polling.hears(hear);
}

pub fn fresh_clients_are_served(address: SocketAddr) {
    over_websocket(address, true, &[], &Lives);
    over_polling(address, true, &text("3"), &Lives);
}

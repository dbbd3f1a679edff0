//! Calls by which a program on `hubcast::realtime` acts on a socket whose client sends nothing:
//! wake it at a time, signal it, end it with an error. A server of `realtime` alone, with two
//! workers.

use crate::polling;
use crate::raw;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_web::App;
use hubcast::realtime::gateway::{LocalBoxFuture, query_value};
use hubcast::realtime::{AuthFailure, Error};
use hubcast::realtime::{
    Client, Event, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply, Server, Settings,
    SocketNotice, VersionKey, Welcome, Whom,
};
use polling::Polling;
use raw::{Raw, UPGRADE};
use serde_json::json;

/// Takes the user from `?user=`, and puts each into `lobby`. `late` is woken while it is
/// connecting. Events do what their names say.
struct Desk(HubHandle);

impl Gateway for Desk {
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        _: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let user = query_value(&handshake.query, "user").unwrap();
        let wake_at = (user == "late").then(SystemTime::now);
        let welcome = Welcome {
            identity: user.into(),
            rooms: vec!["lobby".into()],
            wake_at,
            ..Welcome::anonymous()
        };
        Box::pin(async move { Ok(welcome) })
    }

    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        Box::pin(async move {
            if client.user() == Some("\"late\"") {
                actix_rt::time::sleep(Duration::from_millis(100)).await;
                client.emit("in", Payload::none());
            }
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let hub = self.0.clone();
        Box::pin(async move {
            let signal = || -> SocketNotice { Arc::new(5_u8) };
            match event.name.as_str() {
                "wake" => client.wake_at(SystemTime::now() + Duration::from_millis(event.arg(0)?)),
                "tell all" => hub.notify("/", Whom::All, signal()),
                "tell room" => hub.notify("/", Whom::room(&event.arg::<String>(0)?), signal()),
                "tell user" => hub.notify("/", Whom::user(event.arg::<String>(0)?), signal()),
                "count" => {
                    let event = Event::new("/", "count", event.into_payload(), ["lobby"]);
                    hub.emit(event, None).await;
                }
                "greet" => {
                    let is_sent = client.handle().greet(event.arg(0)?, Payload::json("5")).await;
                    return Ok(Payload::json(is_sent.to_string()));
                }
                // Says so many things of 50 kB, as versions of one thing or under two names.
                "versions" | "pairs" => {
                    for n in 0..event.arg::<u64>(0)? {
                        let data = json!({"filler": "x".repeat(50_000), "n": n});
                        let said = Event::new("/", event.name.clone(), data, ["lobby"]);
                        let thing = VersionKey { kind: "thing", id: 1 };
                        let is_version = event.name == "versions";
                        let said = if is_version { said.version_of(thing) } else { said };
                        hub.emit(said, None).await;
                    }
                }
                "expel" => client.disconnect_with_error(Error::TokenExpired),
                "forbid" => client.disconnect_with_error(Error::Forbidden),
                "distrust" => {
                    client.disconnect_with_error(Error::Unauthorized(AuthFailure::Invalid));
                }
                _ => client.disconnect_with_error(Error::BadRequest("no such word".into())),
            }
            Ok(Payload::json("true"))
        })
    }

    fn woken(&self, client: &Client) {
        client.emit("woken", Payload::none());
    }

    fn notified(&self, client: &Client, notice: &SocketNotice) {
        client.emit("told", Payload::of(notice.downcast_ref::<u8>().unwrap()).unwrap());
    }
}

fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let settings = Settings {
                session_event: false,
                aliases: &[("error", "exception"), ("pairs", "pairs:old")],
                greeting: Some("count"),
                ..Settings::default()
            };
            let hub = HubHandle::start(&settings);
            let desk = Arc::new(Desk(hub.clone()));
            let server = Server::builder(settings, hub)
                .namespace("/", desk.clone())
                .namespace("/other", desk)
                .build();
            server
                .listen(listener, 2, |sockets| App::new().configure(sockets))
                .unwrap()
                .await
                .unwrap();
        });
    });
    address
}

fn come(address: SocketAddr, user: &str) -> Raw {
    let mut raw = Raw::request(
        address,
        &format!("GET /socket.io/?EIO=4&transport=websocket&user={user}"),
        UPGRADE,
    );
    raw.head();
    assert!(raw.text().starts_with(r#"0{"sid":""#));
    raw.say("40");
    assert!(raw.text().starts_with(r#"40{"sid":""#));
    raw
}

fn plain(address: SocketAddr, user: &str) -> Raw {
    let mut raw = Raw::request(address, &format!("GET /ws?user={user}"), UPGRADE);
    raw.head();
    // The socket has joined when this is answered.
    raw.say(r#"{"event":"wake","data":3600000,"id":0}"#);
    assert_eq!(raw.text(), r#"{"ack":0,"data":true}"#);
    raw
}

#[test]
fn a_greeting_is_sent_once_in_its_place_and_not_after_a_newer_event_of_its_name() {
    let address = server();
    let mut ann = come(address, "ann");
    for id in [1, 2] {
        ann.say(&format!(r#"42{id}["greet",0]"#));
        // A second one would come before the second answer.
        if id == 1 {
            assert_eq!(ann.text(), r#"42["count",5]"#);
        }
        assert_eq!(ann.text(), format!("43{id}[true]"));
    }
    let mut ben = come(address, "ben");
    ben.say(r#"421["count",7]"#);
    for text in [r#"42["count",7]"#, "431[true]"] {
        assert_eq!(ben.text(), text);
    }
    // The hub has routed nothing of the log, so the last one is ahead of it.
    for (id, position, is_sent) in [(2, 0, true), (3, 1, false)] {
        ben.say(&format!(r#"42{id}["greet",{position}]"#));
        assert_eq!(ben.text(), format!("43{id}[{is_sent}]"));
    }
    assert_eq!(ann.text(), r#"42["count",7]"#);
}

#[test]
fn a_socket_is_woken_once_at_the_last_time_that_was_set() {
    let mut raw = come(server(), "ann");
    let begun = Instant::now();
    for (id, millis) in [(1, 30), (2, 3_600_000), (3, 100), (4, 200)] {
        raw.say(&format!(r#"42{id}["wake",{millis}]"#));
        assert_eq!(raw.text(), format!("43{id}[true]"));
    }
    assert_eq!(raw.text(), r#"42["woken"]"#);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    raw.say(r#"425["wake",0]"#);
    assert_eq!([raw.text(), raw.text()], ["435[true]", r#"42["woken"]"#]);
}

#[test]
fn a_socket_is_woken_while_it_is_still_connecting() {
    let mut raw = come(server(), "late");
    assert_eq!([raw.text(), raw.text()], [r#"42["woken"]"#, r#"42["in"]"#]);
}

#[test]
fn a_signal_reaches_all_or_a_room_or_a_user_and_no_others() {
    let address = server();
    let (mut ann, mut bob, mut cat) =
        (come(address, "ann"), come(address, "bob"), plain(address, "cat"));
    let told = r#"42["told",5]"#;
    ann.say(r#"421["tell user","bob"]"#);
    assert_eq!([ann.text(), bob.text()], ["431[true]", told]);
    ann.say(r#"422["tell room","nowhere"]"#);
    assert_eq!(ann.text(), "432[true]");
    ann.say(r#"42["tell room","lobby"]"#);
    assert_eq!([ann.text(), bob.text()], [told, told]);
    assert_eq!(cat.text(), r#"{"event":"told","data":5}"#);
    bob.say(r#"42["tell all"]"#);
    assert_eq!([ann.text(), bob.text()], [told, told]);
    assert_eq!(cat.text(), r#"{"event":"told","data":5}"#);
}

#[test]
fn an_expelled_socket_learns_the_reason_and_other_namespaces_stay() {
    let address = server();
    let mut ann = come(address, "ann");
    ann.say("40/other,");
    assert!(ann.text().starts_with(r#"40/other,{"sid":""#));
    ann.say(r#"42["expel"]"#);
    let data = r#"{"code":"token_expired","message":"The token has expired","status":"error"}"#;
    assert_eq!(
        [ann.text(), ann.text(), ann.text()],
        [format!(r#"42["error",{data}]"#), format!(r#"42["exception",{data}]"#), "41".into()]
    );
    ann.say(r#"42/other,1["tell room","nowhere"]"#);
    assert_eq!(ann.text(), "43/other,1[true]");

    let polling = Polling::open_as(address, "bob");
    assert_eq!(polling.post(b"40").0, 200);
    polling.hears("40{");
    // No poll is open when the error occurs.
    assert_eq!(polling.post(br#"42["expel"]"#).0, 200);
    polling.hears(&format!(r#"42["error",{data}]"#));
}

#[test]
fn on_the_plain_protocol_the_close_code_gives_the_reason() {
    let address = server();
    for (event, code) in [("expel", 4401), ("distrust", 4401), ("forbid", 4403), ("nonsense", 1000)]
    {
        let mut raw = plain(address, "ann");
        raw.say(&format!(r#"{{"event":"{event}"}}"#));
        raw.ends(code);
    }
}

/// Returns the numbers of the next versions, up to `last`.
fn versions(raw: &mut Raw, last: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let text = raw.text();
        assert!(
            text.starts_with(r#"42["versions",{"filler":"x"#),
            "{}",
            &text[..text.len().min(100)]
        );
        let (_, n) = text.rsplit_once(r#","n":"#).unwrap();
        numbers.push(n.trim_end_matches("}]").parse().unwrap());
    }
    numbers
}

#[test]
fn a_client_that_reads_too_late_for_all_versions_gets_the_newest() {
    let address = server();
    let mut late = come(address, "idle");
    let mut sender = come(address, "sender");
    // Three times what the queue of one connection takes.
    sender.say(r#"42["versions",60]"#);
    assert!(versions(&mut sender, 59).is_sorted());
    let seen = versions(&mut late, 59);
    assert!(seen.is_sorted() && seen.len() < 60, "{seen:?}");
    late.say(r#"421["tell all"]"#);
    late.hears("431[true]");
}

#[test]
fn an_event_under_two_names_counts_once_in_the_queue() {
    let address = server();
    let mut late = come(address, "idle");
    let mut sender = come(address, "sender");
    // Under both names more than the queue and the kernel take, and less under one.
    sender.say(r#"421["pairs",18]"#);
    sender.hears("431[true]");
    for name in ["pairs", "pairs:old"].repeat(18) {
        assert!(late.text().starts_with(&format!(r#"42["{name}","#)));
    }
}

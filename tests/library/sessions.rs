//! Calls by which a program on `hubcast::realtime` handles sockets: request acks, send bytes, find
//! sockets, end them. A server of `realtime` alone, with two workers.

use crate::polling;
use crate::raw;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use hubcast::realtime::Error;
use hubcast::realtime::gateway::{LocalBoxFuture, query_value};
use hubcast::realtime::{
    AckError, Client, Close, Event, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply,
    Server, Settings, Welcome, Whom,
};
use polling::Polling;
use raw::{Raw, UPGRADE};

/// Takes the user from `?user=`, and puts each into `lobby`; `slow` takes a while to connect.
/// Events do what their names say.
struct Desk(HubHandle);

impl Gateway for Desk {
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        _: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let user = query_value(&handshake.query, "user").unwrap();
        Box::pin(async move {
            Ok(Welcome {
                identity: user.into(),
                rooms: vec!["lobby".into()],
                ..Welcome::anonymous()
            })
        })
    }

    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        Box::pin(async move {
            if client.user() == Some("\"slow\"") {
                client.hub().emit_to_user("/", &"watch".into(), "coming", Payload::none()).await;
                actix_rt::time::sleep(Duration::from_millis(300)).await;
                client.emit("in", Payload::none());
            }
        })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let hub = self.0.clone();
        Box::pin(async move {
            let word = event
                .args
                .first()
                .and_then(|arg| serde_json::from_str::<String>(arg.get()).ok())
                .unwrap_or_default();
            let whom = || match word.split_once(' ') {
                Some(("user", user)) => Whom::user(user),
                Some(("room", room)) => Whom::room(room),
                _ => Whom::All,
            };
            match event.name.as_str() {
                "room" => {
                    hub.emit(Event::new("/", "said", event.into_payload(), ["lobby"]), None).await;
                }
                "all" => hub.emit(Event::to_all("/", "said", event.into_payload()), None).await,
                "others" => {
                    hub.emit(
                        Event::new("/", "said", event.into_payload(), ["lobby"])
                            .except_socket(client.id()),
                        None,
                    )
                    .await;
                }
                "volatile" => {
                    hub.emit(
                        Event::new("/", "said", event.into_payload(), ["lobby"]).volatile(),
                        None,
                    )
                    .await;
                }
                "whisper" => client.emit_volatile("said", event.into_payload()),
                "to" => hub.emit_to_user("/", &word.into(), "said", Payload::json("1")).await,
                "join" => client.join(word).await,
                "rooms" => return Payload::of(&client.rooms()).map_err(|_| Error::Internal),
                "who" => {
                    let mut found: Vec<_> = hub
                        .sockets("/", whom())
                        .await
                        .iter()
                        .map(|socket| socket.user().unwrap_or_default().to_owned())
                        .collect();
                    found.sort_unstable();
                    return Ok(Payload::json(format!("[{}]", found.join(","))));
                }
                "ask" => {
                    let answer = client
                        .emit_with_ack("question", event.into_payload(), Duration::from_millis(300))
                        .await;
                    return Ok(match answer {
                        Ok(answer) => answer.into_payload(),
                        Err(why) => Payload::of(&why.to_string()).map_err(|_| Error::Internal)?,
                    });
                }
                "kick" => hub.disconnect_all("/", whom(), Close::Socket),
                "cut" => hub.disconnect_all("/", whom(), Close::Connection),
                "leave me" => client.disconnect(Close::Socket),
                _ => return Err(Error::BadRequest(format!("unknown event {}", event.shown()))),
            }
            Ok(Payload::json("true"))
        })
    }
}

fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let settings = Settings { session_event: false, ..Settings::default() };
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
    raw.say(r#"{"event":"rooms","id":0}"#);
    assert_eq!(raw.text(), r#"{"ack":0,"data":["lobby"]}"#);
    raw
}

/// Sends an event and returns its ack.
fn ask(raw: &mut Raw, event: &str, argument: &str) -> String {
    raw.say(&format!(r#"421["{event}","{argument}"]"#));
    raw.text()
}

#[test]
fn a_room_receives_any_arguments_and_bytes_in_each_protocol() {
    let address = server();
    let (mut ann, mut bob, mut cat) =
        (come(address, "ann"), come(address, "bob"), plain(address, "cat"));
    ann.say(r#"451-1["room",{"deep":[{"_placeholder":true,"num":0}]},2,"three"]"#);
    ann.send(0x82, &[0xff, 0]);
    for raw in [&mut ann, &mut bob] {
        assert_eq!(
            raw.text(),
            r#"451-["said",{"deep":[{"_placeholder":true,"num":0}]},2,"three"]"#
        );
        assert_eq!(raw.frame(), (0x82, vec![0xff, 0]));
    }
    assert_eq!(ann.text(), "431[true]");
    assert_eq!(cat.text(), r#"{"event":"said","data":[{"deep":["/wA="]},2,"three"]}"#);
    ann.say(r#"42["all"]"#);
    assert_eq!(
        [ann.text(), bob.text(), cat.text()],
        [r#"42["said"]"#, r#"42["said"]"#, r#"{"event":"said","data":null}"#]
    );
    cat.say(r#"{"event":"others","data":1}"#);
    assert_eq!([ann.text(), bob.text()], [r#"42["said",1]"#; 2]);
    ann.say(r#"42["volatile",2]"#);
    assert_eq!(
        [ann.text(), bob.text(), cat.text()],
        [r#"42["said",2]"#, r#"42["said",2]"#, r#"{"event":"said","data":2}"#]
    );
}

#[test]
fn a_volatile_event_is_dropped_if_the_socket_cannot_take_it_now() {
    let address = server();
    let (mut ann, polling) = (come(address, "ann"), Polling::open_as(address, "bob"));
    assert_eq!(polling.post(b"40"), (200, "ok".to_owned()));
    polling.hears("40{");
    // No poll is open now.
    ann.say(r#"42["volatile",1]"#);
    ann.say(r#"42["room",2]"#);
    assert_eq!([ann.text(), ann.text()], [r#"42["said",1]"#, r#"42["said",2]"#]);
    assert_eq!(polling.poll(), (200, r#"42["said",2]"#.to_owned()));
    assert_eq!(polling.post(br#"42["whisper",3]"#), (200, "ok".to_owned()));
    assert_eq!(polling.post(br#"421["rooms"]"#), (200, "ok".to_owned()));
    assert_eq!(polling.poll(), (200, r#"431[["lobby"]]"#.to_owned()));
    ann.say(r#"42["whisper",4]"#);
    assert_eq!(ann.text(), r#"42["said",4]"#);
}

#[test]
fn a_client_acks_an_event_with_bytes_or_times_out() {
    let mut ann = come(server(), "ann");
    ann.say(r#"427["ask",1,"two"]"#);
    assert_eq!(ann.text(), r#"421["question",1,"two"]"#);
    ann.say(r#"461-1["yes",{"_placeholder":true,"num":0}]"#);
    ann.send(0x82, &[7]);
    assert_eq!(ann.text(), r#"461-7["yes",{"_placeholder":true,"num":0}]"#);
    assert_eq!(ann.frame(), (0x82, vec![7]));
    ann.say(r#"428["ask"]"#);
    assert_eq!(ann.text(), r#"422["question"]"#);
    assert_eq!(ann.text(), format!("438[\"{}\"]", AckError::TimedOut));
    for nobodys in ["432[]", "4399[]", "431[1]"] {
        ann.say(nobodys);
    }
    assert_eq!(ask(&mut ann, "rooms", ""), r#"431[["lobby"]]"#);
}

#[test]
fn an_ack_request_ends_with_its_socket_and_is_refused_on_plain() {
    let address = server();
    let mut ann = come(address, "ann");
    ann.say(r#"42["ask"]"#);
    assert_eq!(ann.text(), r#"421["question"]"#);
    drop(ann);
    let mut cat = plain(address, "cat");
    cat.say(r#"{"event":"ask","id":1}"#);
    assert_eq!(cat.text(), format!(r#"{{"ack":1,"data":"{}"}}"#, AckError::NotSocketIo));
}

#[test]
fn sockets_are_found_by_room_by_user_and_all() {
    let address = server();
    let (mut ann, mut again, _bob, _cat) =
        (come(address, "ann"), come(address, "ann"), come(address, "bob"), plain(address, "cat"));
    assert_eq!(ask(&mut ann, "join", "attic"), "431[true]");
    for (whom, found) in [
        ("all", r#"["ann","ann","bob","cat"]"#),
        ("room lobby", r#"["ann","ann","bob","cat"]"#),
        ("room attic", r#"["ann"]"#),
        ("room none", "[]"),
        ("user ann", r#"["ann","ann"]"#),
        ("user none", "[]"),
    ] {
        assert_eq!(ask(&mut again, "who", whom), format!("431[{found}]"), "{whom}");
    }
    assert_eq!(ask(&mut again, "to", "ann"), r#"42["said",1]"#, "before the ack");
    assert_eq!([ann.text(), again.text()], [r#"42["said",1]"#, "431[true]"]);
}

#[test]
fn a_disconnected_socket_leaves_its_connection_open() {
    let address = server();
    let (mut ann, mut bob) = (come(address, "ann"), come(address, "bob"));
    ann.say("40/other,");
    assert!(ann.text().starts_with(r#"40/other,{"sid":""#));
    assert_eq!(ask(&mut bob, "kick", "user ann"), "431[true]");
    assert_eq!(ann.text(), "41");
    assert_eq!(ask(&mut bob, "who", "all"), r#"431[["bob"]]"#);
    ann.say(r#"42/other,1["rooms"]"#);
    assert_eq!(ann.text(), r#"43/other,1[["lobby"]]"#);
    ann.say("40");
    assert!(ann.text().starts_with(r#"40{"sid":""#), "the namespace can be joined again");
    ann.say(r#"42["leave me"]"#);
    assert_eq!(ann.text(), "41");
}

#[test]
fn closing_a_connection_disconnects_each_of_its_sockets_first() {
    let address = server();
    let (mut ann, mut bob, mut cat) =
        (come(address, "ann"), come(address, "bob"), plain(address, "cat"));
    ann.say("40/other,");
    assert!(ann.text().starts_with(r#"40/other,{"sid":""#));
    assert_eq!(ask(&mut ann, "join", "attic"), "431[true]");
    assert_eq!(ask(&mut bob, "cut", "room attic"), "431[true]");
    assert_eq!([ann.text(), ann.text()], ["41", "41/other,"]);
    assert_eq!(ann.close_code(), 1000);
    assert_eq!(ask(&mut bob, "kick", "user cat"), "431[true]");
    assert_eq!(cat.close_code(), 1000, "the plain protocol has one socket per connection");
    bob.say(r#"42["cut","all"]"#);
    assert_eq!((bob.text().as_str(), bob.close_code()), ("41", 1000));
}

#[test]
fn a_socket_can_be_ended_while_it_is_still_connecting() {
    let address = server();
    let mut watch = come(address, "watch");
    for (how, ends) in [("cut", true), ("kick", false)] {
        let mut slow = come(address, "slow");
        assert_eq!(watch.text(), r#"42["coming"]"#);
        assert_eq!(ask(&mut watch, how, "user slow"), "431[true]");
        assert_eq!(slow.text(), "41", "{how}: its first events are not sent");
        assert_eq!(ask(&mut watch, "who", "all"), r#"431[["watch"]]"#, "{how}");
        if ends {
            assert_eq!(slow.close_code(), 1000, "{how}");
        } else {
            slow.say("40/other,");
            assert!(
                slow.text().starts_with(r#"40/other,{"sid":""#),
                "{how}: the connection stays open"
            );
        }
    }
}

#[test]
fn a_socket_ended_during_an_upgrade_learns_of_it_on_the_websocket() {
    let address = server();
    let mut watch = come(address, "watch");
    let polling = Polling::open_as(address, "ann");
    assert_eq!(polling.post(b"40"), (200, "ok".to_owned()));
    polling.hears("40{");
    let mut raw = Raw::request(
        address,
        &format!("GET {}", polling.path().replace("polling", "websocket")),
        UPGRADE,
    );
    raw.head();
    raw.say("2probe");
    assert_eq!(raw.text(), "3probe");
    assert_eq!(polling.poll(), (200, "6".to_owned()));
    assert_eq!(ask(&mut watch, "cut", "user ann"), "431[true]");
    raw.say("5");
    assert_eq!((raw.text().as_str(), raw.close_code()), ("41", 1000));
}

#[test]
fn events_before_the_end_are_delivered() {
    let address = server();
    let (mut ann, mut bob) = (come(address, "ann"), come(address, "bob"));
    bob.say(r#"42["room",1]"#);
    bob.say(r#"42["kick","user ann"]"#);
    bob.say(r#"42["room",2]"#);
    assert_eq!([ann.text(), ann.text()], [r#"42["said",1]"#, "41"]);
    assert_eq!([bob.text(), bob.text()], [r#"42["said",1]"#, r#"42["said",2]"#]);
}

//! Rooms over the wire: delivery, eviction and presence. The server is one of `realtime` alone.

use crate::raw;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use hubcast::realtime::Error;
use hubcast::realtime::gateway::{LocalBoxFuture, query_value};
use hubcast::realtime::presence::PresenceSettings;
use hubcast::realtime::{
    Client, Event, Gateway, Handshake, HubHandle, Incoming, Json, Payload, Reply, Server, Settings,
    Welcome,
};
use raw::{Raw, UPGRADE};

/// Takes the user from `?user=`, and puts each into the room of that name. Handles `join`, `leave`,
/// `say`, `evict` and `who`.
struct Lobby {
    hub: HubHandle,
}

fn word(event: &Incoming, at: usize) -> String {
    let words: Vec<String> = serde_json::from_str(event.args[0].get()).unwrap();
    words.into_iter().nth(at).unwrap_or_default()
}

fn json(value: &impl serde::Serialize) -> Json {
    serde_json::value::to_raw_value(value).unwrap()
}

impl Gateway for Lobby {
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        _: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>> {
        let user = query_value(&handshake.query, "user").unwrap();
        Box::pin(async move {
            Ok(Welcome {
                identity: user.clone().into(),
                rooms: vec![user.into()],
                ..Welcome::anonymous()
            })
        })
    }

    fn entered(&self, client: Client) -> LocalBoxFuture<()> {
        Box::pin(async move { client.handle().emit("welcome", Payload::json("1")) })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        let hub = self.hub.clone();
        Box::pin(async move {
            let room = word(&event, 0);
            Ok(Payload::from(match event.name.as_str() {
                "join" => {
                    let (done, present) = tokio::sync::oneshot::channel();
                    client.handle().enter(room, move |present| drop(done.send(present)));
                    json(&present.await.unwrap().to_json("it")["members"])
                }
                "leave" => json(&client.leave(room).await.count),
                "say" => {
                    let except = Some(word(&event, 1)).filter(|room| !room.is_empty());
                    hub.emit(
                        Event::new("/", "said", Payload::json("1"), [room]).except(except),
                        None,
                    )
                    .await;
                    json(&true)
                }
                "evict" => {
                    hub.remove_from_room("/", &word(&event, 1).into(), &room);
                    json(&true)
                }
                _ => json(&hub.present("/", &room).await.count),
            }))
        })
    }
}

fn server(presence: PresenceSettings) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let settings = Settings { presence, ..Settings::default() };
            let hub = HubHandle::start(&settings);
            // Two workers, because everything has to hold across them.
            Server::builder(settings, hub.clone())
                .namespace("/", Arc::new(Lobby { hub }))
                .build()
                .listen(listener, 2, |sockets| App::new().configure(sockets))
                .unwrap()
                .await
                .unwrap();
        });
    });
    address
}

const PROMPT: PresenceSettings = PresenceSettings {
    limit: 200,
    collect: Duration::from_millis(30),
    linger: Duration::from_secs(3600),
};

/// A socket, and the frames that it received while it waited for something else.
struct Guest {
    raw: Raw,
    heard: VecDeque<String>,
}

impl Guest {
    fn come(address: SocketAddr, user: &str) -> Self {
        let mut raw = Raw::request(address, &format!("GET /ws?user={user}"), UPGRADE);
        raw.head();
        assert!(raw.text().starts_with(r#"{"event":"session""#));
        assert_eq!(raw.text(), r#"{"event":"welcome","data":1}"#);
        Self { raw, heard: VecDeque::new() }
    }

    /// Sends an event and returns its ack.
    fn ask(&mut self, event: &str, words: &[&str]) -> String {
        self.raw.say(&format!(r#"{{"event":"{event}","data":{words:?},"id":1}}"#));
        loop {
            let frame = self.raw.text();
            match frame.strip_prefix(r#"{"ack":1,"data":"#) {
                Some(answer) => return answer.trim_end_matches('}').to_owned(),
                None => self.heard.push_back(frame),
            }
        }
    }

    /// The next frame.
    fn hears(&mut self) -> String {
        self.heard.pop_front().unwrap_or_else(|| self.raw.text())
    }

    /// The next frame that contains the text.
    fn hears_of(&mut self, text: &str) -> String {
        std::iter::from_fn(|| Some(self.hears())).find(|frame| frame.contains(text)).unwrap()
    }

    /// All frames received so far, without presence.
    fn received(&mut self) -> Vec<String> {
        self.ask("who", &["nowhere"]);
        self.heard.drain(..).filter(|frame| !frame.contains("presence:")).collect()
    }
}

fn presence_event(name: &str, room: &str, users: &[&str]) -> String {
    format!(r#"{{"event":"presence:{name}","data":{{"room":"{room}","userIds":{users:?}}}}}"#)
        .replace(", ", ",")
}

const SAID: &str = r#"{"event":"said","data":1}"#;

#[test]
fn presence_reports_each_user_once_whatever_the_number_of_sockets() {
    let address = server(PROMPT);
    let mut ann = Guest::come(address, "ann");
    assert_eq!(ann.ask("join", &["hall"]), r#"["ann"]"#);
    assert_eq!(ann.hears(), presence_event("join", "hall", &["ann"]));
    let (mut bob, mut bob_again) = (Guest::come(address, "bob"), Guest::come(address, "bob"));
    assert_eq!(bob.ask("join", &["hall"]), r#"["ann","bob"]"#);
    assert_eq!(bob_again.ask("join", &["hall"]), r#"["ann","bob"]"#);
    assert_eq!(ann.hears(), presence_event("join", "hall", &["bob"]));
    assert_eq!(bob.ask("leave", &["hall"]), "2");
    assert_eq!(bob.ask("leave", &["hall"]), "0");
    assert_eq!(bob_again.ask("leave", &["hall"]), "1");
    assert_eq!(ann.hears(), presence_event("leave", "hall", &["bob"]));
}

#[test]
fn joins_within_one_collection_are_reported_together() {
    let address = server(PresenceSettings { collect: Duration::from_secs(2), ..PROMPT });
    let mut guests = ["ann", "bob", "cora"].map(|user| Guest::come(address, user));
    for guest in &mut guests {
        guest.ask("join", &["hall"]);
    }
    for mut guest in guests {
        assert_eq!(guest.hears(), presence_event("join", "hall", &["ann", "bob", "cora"]));
    }
}

#[test]
fn a_close_counts_as_a_leave_at_once_and_a_lost_connection_does_not() {
    let address = server(PROMPT);
    let mut ann = Guest::come(address, "ann");
    ann.ask("join", &["hall"]);
    let [mut lost, mut away, mut gone] =
        ["lost", "away", "gone"].map(|user| Guest::come(address, user));
    for (name, guest) in [("lost", &mut lost), ("away", &mut away), ("gone", &mut gone)] {
        guest.ask("join", &["hall"]);
        ann.hears_of(name);
    }
    drop(lost);
    away.raw.send(0x88, &1001_u16.to_be_bytes());
    gone.raw.send(0x88, &1000_u16.to_be_bytes());
    assert_eq!(ann.hears_of("presence:leave"), presence_event("leave", "hall", &["gone"]));
    assert_eq!(ann.ask("who", &["hall"]), "3");
}

#[test]
fn a_lost_connection_counts_as_a_leave_after_a_while() {
    let address = server(PresenceSettings { linger: Duration::from_millis(50), ..PROMPT });
    let (mut ann, mut bob) = (Guest::come(address, "ann"), Guest::come(address, "bob"));
    for guest in [&mut ann, &mut bob] {
        guest.ask("join", &["hall"]);
        guest.hears_of("presence:join");
    }
    drop(bob);
    assert_eq!(ann.hears_of("presence:leave"), presence_event("leave", "hall", &["bob"]));
    assert_eq!(ann.ask("who", &["hall"]), "1");
}

#[test]
fn above_the_limit_presence_is_not_reported() {
    let address = server(PresenceSettings { limit: 1, ..PROMPT });
    let (mut ann, mut bob) = (Guest::come(address, "ann"), Guest::come(address, "bob"));
    ann.ask("join", &["hall"]);
    assert_eq!(ann.hears(), presence_event("join", "hall", &["ann"]));
    assert_eq!(bob.ask("join", &["hall"]), r#"["ann","bob"]"#);
    // The next report does not mention bob.
    assert_eq!(ann.ask("join", &["den"]), r#"["ann"]"#);
    assert_eq!(ann.hears(), presence_event("join", "den", &["ann"]));
}

#[test]
fn an_evicted_user_receives_nothing_more_on_any_socket() {
    let address = server(PROMPT);
    let mut guests = ["ann", "bob", "bob"].map(|user| Guest::come(address, user));
    for guest in &mut guests {
        guest.ask("join", &["hall"]);
    }
    let [ann, bob, bob_again] = &mut guests;
    ann.hears_of("\"bob\"");
    ann.ask("evict", &["hall", "bob"]);
    ann.ask("say", &["hall"]);
    assert_eq!(ann.hears_of("said"), SAID);
    assert_eq!(ann.ask("who", &["hall"]), "1");
    assert_eq!(ann.hears_of("presence:leave"), presence_event("leave", "hall", &["bob"]));
    // Ann got the event before they could have got it.
    for guest in [bob, bob_again] {
        assert_eq!(guest.received(), [""; 0]);
    }
}

#[test]
fn sockets_in_an_excluded_room_receive_nothing() {
    let address = server(PROMPT);
    let (mut ann, mut bob) = (Guest::come(address, "ann"), Guest::come(address, "bob"));
    for guest in [&mut ann, &mut bob] {
        guest.ask("join", &["hall"]);
    }
    ann.ask("say", &["hall", "ann"]);
    assert_eq!(bob.received(), [SAID]);
    assert_eq!(ann.received(), [""; 0]);
}

//! A model of resuming, driven through random schedules: one session, a log that survives crashes
//! (or loses its end with the power), a line that is cut between any two frames, and the official
//! client's rule. Offsets, pids, frames, pages, the tail in memory and the replay are the real
//! ones.
//!
//! Held each time: a client that is told `recovered: true` in the end has heard each event that is
//! for it once, under each of its names, in order; else it knows that it was not.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::replay::Replay;
use crate::core::event::Event;
use crate::core::payload::Payload;
use crate::core::protocol::Protocol;
use crate::core::recovery::{Offset, Pid, PidKey, Position, RoomMembership};
use crate::core::settings::Aliases;
use crate::hub::tail::{LogPage, Tail};
use crate::wire::{socketio, websocket};

const PROTOCOL: Protocol = Protocol::SocketIo { offsets: true };
const ALIASES: Aliases = &[("two", "two:older")];

/// socket.io-client 4.8, `Socket.onconnect` and `Socket.emitEvent`.
#[derive(Default)]
struct Client {
    pid: Option<String>,
    last_offset: Option<String>,
    recovered: bool,
    /// Names and numbers of stored events, since it was last not recovered.
    heard: Vec<(String, i64)>,
}

impl Client {
    fn on_packet(&mut self, text: &str) {
        if let Some(connect) = text.strip_prefix("40") {
            let connect: Value = serde_json::from_str(connect).unwrap();
            let pid = connect["pid"].as_str().map(ToOwned::to_owned);
            self.recovered = pid.is_some() && self.pid == pid;
            self.pid = pid;
            if !self.recovered {
                self.heard.clear();
            }
            return;
        }
        let args: Vec<Value> = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
        if args[0] != "session"
            && let Some(number) = args[1].as_i64()
        {
            self.heard.push((args[0].as_str().unwrap().to_owned(), number));
        }
        if self.pid.is_some()
            && let Some(Value::String(last)) = args.last()
        {
            self.last_offset = Some(last.clone());
        }
    }
}

/// What goes over the line.
enum Packet {
    Frame(Bytes),
    /// A ping: the client's pong says that it has all up to there.
    Ping(Position),
}

struct Session {
    sid: Arc<str>,
    first: Position,
    stays: Vec<RoomMembership>,
    confirmed: Option<Position>,
    /// What is to be heard, in order.
    due: Vec<(String, i64)>,
}

enum Stage {
    CatchingUp(Replay),
    /// In, up to that event; what has come since is held.
    Entered(Replay, i64, Vec<Bytes>),
    Live,
}

struct Line {
    stage: Stage,
    entered_at: i64,
    pipe: VecDeque<Packet>,
}

struct World {
    random: StdRng,
    key: PidKey,
    epochs: Vec<(i64, i64)>,
    log: Vec<Arc<Event>>,
    pruned: i64,
    tail: Tail,
    session: Option<Session>,
    sessions: i64,
    line: Option<Line>,
    client: Client,
}

fn room(name: &str) -> Arc<str> {
    name.into()
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            key: PidKey::new([7; 32]),
            epochs: vec![(100, 1)],
            log: Vec::new(),
            pruned: 0,
            tail: Tail::default(),
            session: None,
            sessions: 0,
            line: None,
            client: Client::default(),
        }
    }

    fn head(&self) -> Position {
        let epoch = self.epochs.last().unwrap().0;
        Position { epoch, id: i64::try_from(self.log.len()).unwrap() }
    }

    /// An event, stored or not, for some rooms.
    fn emit(&mut self) {
        let rooms: Vec<Arc<str>> = ["user", "a", "b"]
            .into_iter()
            .filter(|_| self.random.random_bool(0.5))
            .map(room)
            .collect();
        let except: Vec<Arc<str>> =
            ["a"].into_iter().filter(|_| self.random.random_bool(0.2)).map(room).collect();
        if rooms.is_empty() {
            return;
        }
        let name = if self.random.random_bool(0.3) { "two" } else { "one" };
        if self.random.random_bool(0.2) {
            // Not stored, and ends in a string.
            let event = Event::new("/", name, Payload::json("\"7.7\""), rooms);
            event.routed_at(self.head());
            self.deliver(&Arc::new(event), |stay, event| {
                stay.until.is_none() && event.rooms.contains(&stay.room)
            });
            return;
        }
        let place = Position { id: self.head().id + 1, ..self.head() };
        let event = Arc::new(
            Event::new("/", name, Payload::json(place.id.to_string()), rooms)
                .except(except)
                .stored(place),
        );
        self.log.push(Arc::clone(&event));
        self.tail.push(place.id, &event);
        if let Some(session) = &mut self.session
            && event.is_for(&session.stays)
        {
            session.due.push((name.to_owned(), place.id));
            if name == "two" {
                session.due.push(("two:older".to_owned(), place.id));
            }
        }
        self.deliver(&event, |stay, event| {
            stay.until.is_none() && event.rooms.contains(&stay.room)
        });
    }

    /// As the outlets do: to who is in one of the rooms now, and in none of those left out.
    fn deliver(&mut self, event: &Arc<Event>, hears: impl Fn(&RoomMembership, &Event) -> bool) {
        let (Some(session), Some(line)) = (&self.session, &mut self.line) else { return };
        let is_out =
            |stay: &RoomMembership| stay.until.is_none() && event.except.contains(&stay.room);
        if !session.stays.iter().any(|stay| hears(stay, event)) || session.stays.iter().any(is_out)
        {
            return;
        }
        let frame = event.frame(PROTOCOL, ALIASES).clone();
        match &mut line.stage {
            Stage::CatchingUp(_) => {}
            Stage::Entered(_, _, held) => held.push(frame),
            Stage::Live => line.pipe.push_back(Packet::Frame(frame)),
        }
    }

    /// The client comes, with what it has.
    fn connect(&mut self) {
        let pid = self.client.pid.clone().and_then(|text| Some((self.key.read(&text)?, text)));
        let offset = self.client.last_offset.as_deref().and_then(|text| text.parse().ok());
        let mut pipe = VecDeque::new();
        if let (Some((pid, text)), Some(session)) = (&pid, &self.session)
            && pid.sid == session.sid
            && let Some(replay) = self.resume(session, offset)
        {
            Self::hello(&mut pipe, &pid.sid, text, replay.at());
            self.line = Some(Line { stage: Stage::CatchingUp(replay), entered_at: i64::MAX, pipe });
            return;
        }
        self.sessions += 1;
        let (sid, first): (Arc<str>, _) = (format!("s{}", self.sessions).into(), self.head());
        let pid = Pid { sid: Arc::clone(&sid), namespace: "/".into(), user: "5".into(), first };
        Self::hello(&mut pipe, &sid, &self.key.sign(&pid), Offset::whole(first));
        let stays = vec![RoomMembership { room: room("user"), since: first.id, until: None }];
        self.session = Some(Session { sid, first, stays, confirmed: None, due: Vec::new() });
        self.line = Some(Line { stage: Stage::Live, entered_at: first.id, pipe });
    }

    fn resume(&self, session: &Session, offset: Option<Offset>) -> Option<Replay> {
        let is_good = |position: Position| {
            let at = self.epochs.iter().position(|(epoch, _)| *epoch == position.epoch);
            let later =
                at.map(|at| self.epochs[at + 1..].iter().all(|(_, first)| position.id < *first));
            later == Some(true) && position.id <= self.head().id
        };
        let confirmed = session.confirmed.filter(|confirmed| is_good(*confirmed));
        let replay =
            Replay::new("/".into(), session.first, offset, confirmed, session.stays.clone());
        let is_whole = is_good(session.first)
            && offset.is_none_or(|offset| is_good(offset.position))
            && self.pruned <= replay.after();
        is_whole.then_some(replay)
    }

    fn hello(pipe: &mut VecDeque<Packet>, sid: &str, pid: &str, offset: Offset) {
        pipe.push_back(Packet::Frame(websocket::text(&socketio::connect("/", sid, Some(pid)))));
        pipe.push_back(Packet::Frame(PROTOCOL.event(
            "/",
            "session",
            &Payload::json("{}"),
            Some(&offset.to_string()),
        )));
    }

    /// One step of a socket that is on its way in.
    fn step(&mut self) {
        let (head, Some(line)) = (self.head().id, &mut self.line) else { return };
        match std::mem::replace(&mut line.stage, Stage::Live) {
            Stage::Live => {}
            Stage::CatchingUp(replay) if !replay.is_behind(head) => {
                line.stage = Stage::Entered(replay, head, Vec::new())
            }
            Stage::CatchingUp(mut replay) => {
                let most = self.random.random_range(1..4);
                if send_page(
                    &mut replay,
                    head,
                    most,
                    &self.log,
                    self.pruned,
                    &self.tail,
                    &mut line.pipe,
                ) {
                    line.stage = Stage::CatchingUp(replay);
                } else {
                    self.line = None;
                }
            }
            Stage::Entered(mut replay, end, kept) => {
                while replay.is_behind(end) {
                    if !send_page(
                        &mut replay,
                        end,
                        2,
                        &self.log,
                        self.pruned,
                        &self.tail,
                        &mut line.pipe,
                    ) {
                        self.line = None;
                        return;
                    }
                }
                line.entered_at = end;
                line.pipe.extend(kept.into_iter().map(Packet::Frame));
            }
        }
    }

    /// The client gets the next packet; or, of a frame with two, only the first before the line is
    /// cut.
    fn receive(&mut self) {
        let Some(line) = &mut self.line else { return };
        match line.pipe.pop_front() {
            None => {}
            Some(Packet::Ping(mark)) => {
                if let Some(session) = &mut self.session
                    && mark.id > line.entered_at
                {
                    session.confirmed = Some(mark);
                }
            }
            Some(Packet::Frame(frame)) => {
                for text in texts(&frame) {
                    self.client.on_packet(&text);
                    if self.random.random_bool(0.02) {
                        self.line = None;
                        return;
                    }
                }
            }
        }
    }

    /// A join or a leave, when the line is quiet, so that both sides know the same. A room is
    /// joined once.
    fn move_about(&mut self) {
        let last = self.head().id;
        let (Some(session), Some(Line { stage: Stage::Live, pipe, .. })) =
            (&mut self.session, &self.line)
        else {
            return;
        };
        if !pipe.is_empty() {
            return;
        }
        match session.stays.iter_mut().find(|stay| &*stay.room == "a") {
            Some(stay) => stay.until = Some(stay.until.unwrap_or(last)),
            None => {
                session.stays.push(RoomMembership { room: room("a"), since: last, until: None })
            }
        }
    }

    /// The server dies and starts again, with the power perhaps, which takes the end of the log.
    fn crash(&mut self) {
        self.line = None;
        if self.random.random_bool(0.3) {
            let left = self.log.len() - self.random.random_range(0..=self.log.len().min(3));
            self.log.truncate(left.max(usize::try_from(self.pruned).unwrap()));
            let head = self.head().id;
            // What was written later is lost too.
            self.session = self.session.take().filter(|session| session.first.id <= head);
            if let Some(session) = &mut self.session {
                session.due.retain(|(_, id)| *id <= head);
                session.stays.retain(|stay| stay.since <= head);
                session
                    .stays
                    .iter_mut()
                    .for_each(|stay| stay.until = stay.until.filter(|until| *until <= head));
                // What a client surely has, it has: also what the log has lost.
            }
        }
        let next = (self.epochs.last().unwrap().0 + 1, self.head().id + 1);
        self.epochs.push(next);
        self.tail.begin(self.head().id);
    }

    fn act(&mut self) {
        match self.random.random_range(0..100) {
            0..35 => self.emit(),
            35..65 => self.receive(),
            65..78 => self.step(),
            78..84 if self.line.is_some() => self.line = None,
            78..90 if self.line.is_none() => self.connect(),
            90..93 => self.move_about(),
            93..95 => self.crash(),
            95..97 => self.tail.begin(self.head().id),
            97 => self.pruned = self.pruned.max(self.head().id - self.random.random_range(0..20)),
            _ => {
                let mark = self.head();
                if let Some(Line { stage: Stage::Live, pipe, .. }) = &mut self.line {
                    pipe.push_back(Packet::Ping(mark));
                }
            }
        }
    }

    /// Lets everything come to rest, and looks at what the client has heard.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            match &self.line {
                None => self.connect(),
                Some(Line { stage: Stage::Live, pipe, .. }) if pipe.is_empty() => break,
                Some(Line { stage: Stage::Live, .. }) => self.receive(),
                Some(_) => self.step(),
            }
        }
        let due = self.session.as_ref().map(|session| session.due.clone()).unwrap_or_default();
        assert_eq!(self.client.heard, due);
    }
}

/// Sends a page; false: what follows is not kept any more.
fn send_page(
    replay: &mut Replay,
    end: i64,
    most: usize,
    log: &[Arc<Event>],
    pruned: i64,
    tail: &Tail,
    pipe: &mut VecDeque<Packet>,
) -> bool {
    let page = replay.known(tail).unwrap_or_else(|| {
        let skip = usize::try_from(replay.after()).unwrap();
        let looked = &log[skip..log.len().min(skip + most)];
        let events = looked.iter().filter(|event| event.is_for(replay.stays())).cloned().collect();
        LogPage { events, end: replay.after() + i64::try_from(looked.len()).unwrap() }
    });
    if pruned > replay.after() {
        return false;
    }
    let frames = replay.take(&page, end, PROTOCOL, ALIASES).expect("a page brings something new");
    pipe.extend(frames.into_iter().map(Packet::Frame));
    true
}

/// The texts of WebSocket frames, one after another.
fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (head, length) = match bytes[1] {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            short => (2, usize::from(short)),
        };
        texts.push(String::from_utf8(bytes[head..head + length].to_vec()).unwrap());
        bytes = &bytes[head + length..];
    }
    texts
}

fn run(seeds: std::ops::Range<u64>) {
    let (mut recovered, mut heard) = (0, 0);
    for seed in seeds.clone() {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..80).for_each(|_| world.act());
            world.settle();
            (world.client.recovered, world.client.heard.len())
        });
        let (is_recovered, count) =
            outcome.unwrap_or_else(|_| panic!("the schedule of seed {seed} went wrong"));
        recovered += u32::from(is_recovered);
        heard += count;
    }
    println!(
        "{} schedules, {recovered} ended recovered, {heard} events heard",
        seeds.end - seeds.start
    );
    assert!(recovered > 0 && heard > 0);
}

#[test]
fn no_schedule_loses_doubles_or_disorders_an_event() {
    run(0..20_000);
}

#[test]
#[ignore = "long: a million schedules"]
fn no_schedule_of_a_million_loses_doubles_or_disorders_an_event() {
    let seed = rand::random::<u32>();
    println!("from seed {seed}");
    run(u64::from(seed)..u64::from(seed) + 1_000_000);
}

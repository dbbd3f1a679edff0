//! A model of recovery, driven through random schedules: one session, a log that survives crashes
//! (but a power loss may take its end), a connection that is cut between any two frames, and the
//! official client's rules. Offsets, pids, frames, pages, the tail and the replay are the real
//! code.
//!
//! The checked property: a client that is `recovered` in the end has received each event for it
//! once, under each of its names, in order. Otherwise it knows that it was not recovered.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::replay::Replay;
use crate::core::event::Event;
use crate::core::payload::Payload;
use crate::core::protocol::Protocol;
use crate::core::recovery::{PidKey, Position, RoomMembership};
use crate::core::settings::Aliases;
use crate::hub::tail::Tail;

mod client;
mod server;

use client::{Client, texts};

const PROTOCOL: Protocol = Protocol::SocketIo { offsets: true };
const ALIASES: Aliases = &[("two", "two:older")];

/// A message in flight to the client.
enum Packet {
    Frame(Bytes),
    /// A ping. The pong confirms that the client has everything up to the position.
    Ping(Position),
}

struct Session {
    sid: Arc<str>,
    began_at: Position,
    memberships: Vec<RoomMembership>,
    confirmed: Option<Position>,
    /// The events that the client has to receive, in order.
    expected: Vec<(String, i64)>,
}

enum Stage {
    CatchingUp(Replay),
    /// The socket entered after that event; later frames are held.
    Entered(Replay, i64, Vec<Bytes>),
    Live,
}

struct Connection {
    stage: Stage,
    entered_at: i64,
    in_flight: VecDeque<Packet>,
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
    connection: Option<Connection>,
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
            connection: None,
            client: Client::default(),
        }
    }

    fn head(&self) -> Position {
        let epoch = self.epochs.last().unwrap().0;
        Position { epoch, id: i64::try_from(self.log.len()).unwrap() }
    }

    /// Publishes an event, stored or transient, to some rooms.
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
            // A transient event whose last argument is a string, like an offset.
            let event = Event::new("/", name, Payload::json("\"7.7\""), rooms);
            event.routed_at(self.head());
            self.deliver(&Arc::new(event), |membership, event| {
                membership.until.is_none() && event.rooms.contains(&membership.room)
            });
            return;
        }
        let position = Position { id: self.head().id + 1, ..self.head() };
        let event = Arc::new(
            Event::new("/", name, Payload::json(position.id.to_string()), rooms)
                .except(except)
                .stored(position),
        );
        self.log.push(Arc::clone(&event));
        self.tail.push(position.id, &event);
        if let Some(session) = &mut self.session
            && event.is_for(&session.memberships)
        {
            session.expected.push((name.to_owned(), position.id));
            if name == "two" {
                session.expected.push(("two:older".to_owned(), position.id));
            }
        }
        self.deliver(&event, |membership, event| {
            membership.until.is_none() && event.rooms.contains(&membership.room)
        });
    }

    /// Delivers like a worker: to members of one of the rooms, but of none of the excluded rooms.
    fn deliver(&mut self, event: &Arc<Event>, is_member: impl Fn(&RoomMembership, &Event) -> bool) {
        let (Some(session), Some(connection)) = (&self.session, &mut self.connection) else {
            return;
        };
        let is_excluded = |membership: &RoomMembership| {
            membership.until.is_none() && event.except.contains(&membership.room)
        };
        if !session.memberships.iter().any(|membership| is_member(membership, event))
            || session.memberships.iter().any(is_excluded)
        {
            return;
        }
        let frame = event.frame(PROTOCOL, ALIASES).clone();
        match &mut connection.stage {
            Stage::CatchingUp(_) => {}
            Stage::Entered(_, _, held) => held.push(frame),
            Stage::Live => connection.in_flight.push_back(Packet::Frame(frame)),
        }
    }

    /// The client receives the next packet. A frame with two packets may be cut after the first.
    fn receive(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        match connection.in_flight.pop_front() {
            None => {}
            Some(Packet::Ping(mark)) => {
                if let Some(session) = &mut self.session
                    && mark.id > connection.entered_at
                {
                    session.confirmed = Some(mark);
                }
            }
            Some(Packet::Frame(frame)) => {
                for text in texts(&frame) {
                    self.client.on_packet(&text);
                    if self.random.random_bool(0.02) {
                        self.connection = None;
                        return;
                    }
                }
            }
        }
    }

    /// Enters or leaves a room while nothing is in flight, so that both sides agree. A room is
    /// entered only once.
    fn change_room(&mut self) {
        let last = self.head().id;
        let (Some(session), Some(Connection { stage: Stage::Live, in_flight, .. })) =
            (&mut self.session, &self.connection)
        else {
            return;
        };
        if !in_flight.is_empty() {
            return;
        }
        match session.memberships.iter_mut().find(|membership| &*membership.room == "a") {
            Some(membership) => membership.until = Some(membership.until.unwrap_or(last)),
            None => {
                session.memberships.push(RoomMembership {
                    room: room("a"),
                    since: last,
                    until: None,
                });
            }
        }
    }

    /// The server crashes and restarts. A loss of power may also take the end of the log.
    fn crash(&mut self) {
        self.connection = None;
        if self.random.random_bool(0.3) {
            let left = self.log.len() - self.random.random_range(0..=self.log.len().min(3));
            self.log.truncate(left.max(usize::try_from(self.pruned).unwrap()));
            let head = self.head().id;
            // A session that was written later is lost too.
            self.session = self.session.take().filter(|session| session.began_at.id <= head);
            if let Some(session) = &mut self.session {
                session.expected.retain(|(_, id)| *id <= head);
                session.memberships.retain(|membership| membership.since <= head);
                session.memberships.iter_mut().for_each(|membership| {
                    membership.until = membership.until.filter(|until| *until <= head);
                });
                // A confirmed position remains, even of events that the log has lost.
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
            78..84 if self.connection.is_some() => self.connection = None,
            78..90 if self.connection.is_none() => self.connect(),
            90..93 => self.change_room(),
            93..95 => self.crash(),
            95..97 => self.tail.begin(self.head().id),
            97 => self.pruned = self.pruned.max(self.head().id - self.random.random_range(0..20)),
            _ => {
                let mark = self.head();
                if let Some(Connection { stage: Stage::Live, in_flight, .. }) = &mut self.connection
                {
                    in_flight.push_back(Packet::Ping(mark));
                }
            }
        }
    }

    /// Runs until nothing is in flight, then compares what the client received.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            match &self.connection {
                None => self.connect(),
                Some(Connection { stage: Stage::Live, in_flight, .. }) if in_flight.is_empty() => {
                    break;
                }
                Some(Connection { stage: Stage::Live, .. }) => self.receive(),
                Some(_) => self.step(),
            }
        }
        let expected =
            self.session.as_ref().map(|session| session.expected.clone()).unwrap_or_default();
        assert_eq!(self.client.received, expected);
    }
}

fn run(seeds: std::ops::Range<u64>) {
    let (mut recovered, mut received) = (0, 0);
    for seed in seeds.clone() {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..80).for_each(|_| world.act());
            world.finish();
            (world.client.recovered, world.client.received.len())
        });
        let (is_recovered, count) =
            outcome.unwrap_or_else(|_| panic!("the schedule of seed {seed} failed"));
        recovered += u32::from(is_recovered);
        received += count;
    }
    println!(
        "{} schedules, {recovered} ended recovered, {received} events received",
        seeds.end - seeds.start
    );
    assert!(recovered > 0 && received > 0);
}

#[test]
fn no_schedule_loses_duplicates_or_reorders_an_event() {
    run(0..20_000);
}

#[test]
#[ignore = "long: a million schedules"]
fn no_schedule_of_a_million_loses_duplicates_or_reorders_an_event() {
    let seed = rand::random::<u32>();
    println!("from seed {seed}");
    run(u64::from(seed)..u64::from(seed) + 1_000_000);
}

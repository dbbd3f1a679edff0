//! The server of the model: a client connects, afresh or resumed, and catches up page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{ALIASES, Connection, PROTOCOL, Packet, Session, Stage, World, room};
use crate::core::event::Event;
use crate::core::payload::Payload;
use crate::core::recovery::{Offset, Pid, Position, RoomMembership};
use crate::hub::tail::{LogPage, Tail};
use crate::session::replay::Replay;
use crate::wire::{socketio, websocket};
use rand::Rng;

impl World {
    /// The client connects with its pid and offset.
    pub(crate) fn connect(&mut self) {
        let pid = self.client.pid.clone().and_then(|text| Some((self.key.read(&text)?, text)));
        let offset = self.client.last_offset.as_deref().and_then(|text| text.parse().ok());
        let mut in_flight = VecDeque::new();
        if let (Some((pid, text)), Some(session)) = (&pid, &self.session)
            && pid.sid == session.sid
            && let Some(replay) = self.resume(session, offset)
        {
            Self::send_connect(&mut in_flight, &pid.sid, text, replay.at());
            self.connection = Some(Connection {
                stage: Stage::CatchingUp(replay),
                entered_at: i64::MAX,
                in_flight,
            });
            return;
        }
        self.sessions += 1;
        let (sid, began_at): (Arc<str>, _) = (format!("s{}", self.sessions).into(), self.head());
        let pid = Pid { sid: Arc::clone(&sid), namespace: "/".into(), user: "5".into(), began_at };
        Self::send_connect(&mut in_flight, &sid, &self.key.sign(&pid), Offset::whole(began_at));
        let memberships =
            vec![RoomMembership { room: room("user"), since: began_at.id, until: None }];
        self.session =
            Some(Session { sid, began_at, memberships, confirmed: None, expected: Vec::new() });
        self.connection =
            Some(Connection { stage: Stage::Live, entered_at: began_at.id, in_flight });
    }

    fn resume(&self, session: &Session, offset: Option<Offset>) -> Option<Replay> {
        let is_good = |position: Position| {
            let at = self.epochs.iter().position(|(epoch, _)| *epoch == position.epoch);
            let later =
                at.map(|at| self.epochs[at + 1..].iter().all(|(_, first)| position.id < *first));
            later == Some(true) && position.id <= self.head().id
        };
        let confirmed = session.confirmed.filter(|confirmed| is_good(*confirmed));
        let replay = Replay::new(
            "/".into(),
            session.began_at,
            offset,
            confirmed,
            session.memberships.clone(),
        );
        let is_whole = is_good(session.began_at)
            && offset.is_none_or(|offset| is_good(offset.position))
            && self.pruned <= replay.after();
        is_whole.then_some(replay)
    }

    fn send_connect(in_flight: &mut VecDeque<Packet>, sid: &str, pid: &str, offset: Offset) {
        in_flight.push_back(Packet::Frame(websocket::text(&socketio::connect(
            "/",
            sid,
            Some(pid),
        ))));
        in_flight.push_back(Packet::Frame(PROTOCOL.event(
            "/",
            "session",
            &Payload::json("{}"),
            Some(&offset.to_string()),
        )));
    }

    /// Advances a socket that is catching up by one step.
    pub(crate) fn step(&mut self) {
        let (head, Some(connection)) = (self.head().id, &mut self.connection) else { return };
        match std::mem::replace(&mut connection.stage, Stage::Live) {
            Stage::Live => {}
            Stage::CatchingUp(replay) if !replay.is_behind(head) => {
                connection.stage = Stage::Entered(replay, head, Vec::new());
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
                    &mut connection.in_flight,
                ) {
                    connection.stage = Stage::CatchingUp(replay);
                } else {
                    self.connection = None;
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
                        &mut connection.in_flight,
                    ) {
                        self.connection = None;
                        return;
                    }
                }
                connection.entered_at = end;
                connection.in_flight.extend(kept.into_iter().map(Packet::Frame));
            }
        }
    }
}

/// Sends one page. Returns false if the log no longer holds the events.
fn send_page(
    replay: &mut Replay,
    end: i64,
    most: usize,
    log: &[Arc<Event>],
    pruned: i64,
    tail: &Tail,
    in_flight: &mut VecDeque<Packet>,
) -> bool {
    let page = replay.page_from_memory(tail).unwrap_or_else(|| {
        let skip = usize::try_from(replay.after()).unwrap();
        let looked = &log[skip..log.len().min(skip + most)];
        let events =
            looked.iter().filter(|event| event.is_for(replay.memberships())).cloned().collect();
        LogPage { events, end: replay.after() + i64::try_from(looked.len()).unwrap() }
    });
    if pruned > replay.after() {
        return false;
    }
    let frames = replay.take(&page, end, PROTOCOL, ALIASES).expect("a page contains something new");
    in_flight.extend(frames.into_iter().map(Packet::Frame));
    true
}

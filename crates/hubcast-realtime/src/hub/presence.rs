//! Who is in a room: users, however many sockets each has there. Pure; the hub tells it what
//! happens and when, and sends what it has to say.
//!
//! Changes are collected, and what cancels out within one collection is not told. A user whose last
//! line broke is still there for a while: one who is back by then was never away. A room with more
//! users than the limit is told nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;

use crate::core::event::Event;
use crate::core::payload::Payload;
pub use crate::core::settings::PresenceSettings;

/// Most users that are listed by name.
pub const MOST_NAMED: usize = 200;

/// Who is in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// At most 200 users, each as JSON text, longest there first.
    pub users: Vec<Arc<str>>,
    /// All of them, listed or not.
    pub count: usize,
}

impl Present {
    /// `{room, members}`
    #[must_use]
    pub fn to_json(&self, room: &str) -> serde_json::Value {
        // Each is JSON text, made from a value.
        let members =
            self.users.iter().filter_map(|user| serde_json::from_str(user).ok()).collect();
        serde_json::json!({"room": room, "members": serde_json::Value::Array(members)})
    }
}

/// How a socket left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// On purpose: that counts at once.
    Left,
    /// Its line broke.
    Lost,
}

/// A namespace and a room of it.
pub(crate) type RoomKey = (Arc<str>, Arc<str>);

#[derive(Debug, Clone, Copy)]
enum Change {
    Joined,
    Left,
}

#[derive(Default)]
struct Room {
    users: IndexMap<Arc<str>, Here>,
    /// Since the last collection.
    changes: IndexMap<Arc<str>, Change>,
    /// So many of the changes, from the first, were told to somebody who has come since: with the
    /// list of who is there.
    seen: usize,
}

#[derive(Default)]
struct Here {
    sockets: u32,
    /// A line of this user broke; none of its sockets has come since.
    until: Option<Instant>,
}

impl Room {
    /// What undoes a change that nobody knows of yet is not told either. One that somebody has seen
    /// is taken back in words.
    fn note(&mut self, user: &Arc<str>, change: Change) {
        match self.changes.get_index_of(user) {
            Some(at) if at >= self.seen => {
                self.changes.shift_remove_index(at);
            }
            _ => {
                self.changes.insert(Arc::clone(user), change);
            }
        }
    }

    fn remove(&mut self, user: &Arc<str>) {
        if self.users.shift_remove(user).is_some() {
            self.note(user, Change::Left);
        }
    }

    fn is_idle(&self) -> bool {
        self.users.is_empty() && self.changes.is_empty()
    }
}

pub(crate) struct Presence {
    pub(crate) settings: PresenceSettings,
    rooms: HashMap<RoomKey, Room>,
    /// Rooms with changes.
    news: HashSet<RoomKey>,
    /// Lost lines by the time when they count as leaves; those whose users have come back stand
    /// here until then.
    lapses: VecDeque<(Instant, RoomKey, Arc<str>)>,
}

impl Presence {
    pub(crate) fn new(settings: PresenceSettings) -> Self {
        Self { settings, rooms: HashMap::new(), news: HashSet::new(), lapses: VecDeque::new() }
    }

    /// One more socket of that user is in the room; it is to be given the list of who is there.
    pub(crate) fn enter(&mut self, place: &RoomKey, user: &Arc<str>) {
        let room = self.rooms.entry(place.clone()).or_default();
        let is_new = !room.users.contains_key(user);
        let here = room.users.entry(Arc::clone(user)).or_default();
        here.sockets += 1;
        here.until = None;
        // What this user itself has changed last, nobody else has seen by this.
        let own = room.changes.get_index_of(user);
        let seen =
            room.changes.len() - usize::from(own.is_some_and(|at| at + 1 == room.changes.len()));
        room.seen = room.seen.max(seen);
        if is_new {
            room.note(user, Change::Joined);
            self.news.insert(place.clone());
        }
    }

    /// One socket of that user has gone from the room.
    pub(crate) fn leave(&mut self, place: &RoomKey, user: &Arc<str>, gone: Gone) {
        let Some(room) = self.rooms.get_mut(place) else { return };
        let Some(here) = room.users.get_mut(user) else { return };
        here.sockets = here.sockets.saturating_sub(1);
        if gone == Gone::Lost {
            let until = Instant::now() + self.settings.linger;
            here.until = Some(until);
            self.lapses.push_back((until, place.clone(), Arc::clone(user)));
        } else if here.sockets == 0 && here.until.is_none() {
            room.remove(user);
            self.news.insert(place.clone());
        }
    }

    /// The user is not in the room any more, whatever lines it had.
    pub(crate) fn forget(&mut self, place: &RoomKey, user: &Arc<str>) {
        if let Some(room) = self.rooms.get_mut(place) {
            room.remove(user);
            self.news.insert(place.clone());
        }
    }

    /// When the next lost line counts as a leave, if it has not come back.
    pub(crate) fn next_lapse(&self) -> Option<Instant> {
        self.lapses.front().map(|(at, ..)| *at)
    }

    /// Lost lines whose time has come count as leaves.
    pub(crate) fn lapse(&mut self, now: Instant) {
        while self.next_lapse().is_some_and(|at| at <= now)
            && let Some((at, place, user)) = self.lapses.pop_front()
        {
            let Some(room) = self.rooms.get_mut(&place) else { continue };
            let Some(here) = room.users.get_mut(&user).filter(|here| here.until == Some(at)) else {
                continue;
            };
            here.until = None;
            if here.sockets == 0 {
                room.remove(&user);
                self.news.insert(place);
            }
        }
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is to be told to the rooms, and from now on counts as told.
    pub(crate) fn news(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for place in std::mem::take(&mut self.news) {
            let Some(room) = self.rooms.get_mut(&place) else { continue };
            let changes = std::mem::take(&mut room.changes);
            room.seen = 0;
            if room.users.len() <= self.settings.limit {
                let users = |wanted: fn(&Change) -> bool| {
                    let users: Vec<&str> = changes
                        .iter()
                        .filter(|(_, change)| wanted(change))
                        .map(|(user, _)| &**user)
                        .collect();
                    users.join(",")
                };
                let left = users(|change| matches!(change, Change::Left));
                let joined = users(|change| matches!(change, Change::Joined));
                events.extend(
                    [("presence:leave", left), ("presence:join", joined)].into_iter().filter_map(
                        |(name, users)| {
                            let data = format!(
                                r#"{{"room":{},"userIds":[{users}]}}"#,
                                serde_json::Value::from(&*place.1)
                            );
                            (!users.is_empty()).then(|| {
                                Event::new(
                                    Arc::clone(&place.0),
                                    name,
                                    Payload::json(data),
                                    [Arc::clone(&place.1)],
                                )
                            })
                        },
                    ),
                );
            }
            if room.is_idle() {
                self.rooms.remove(&place);
            }
        }
        events
    }

    /// Who is in the room now, told or not.
    pub(crate) fn of(&self, place: &RoomKey) -> Present {
        let Some(room) = self.rooms.get(place) else { return Present::default() };
        Present {
            users: room.users.keys().take(MOST_NAMED).cloned().collect(),
            count: room.users.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::protocol::Protocol;

    fn place() -> RoomKey {
        ("/".into(), "project:1".into())
    }

    fn presence(limit: usize) -> Presence {
        Presence::new(PresenceSettings {
            limit,
            linger: Duration::from_secs(5),
            ..PresenceSettings::default()
        })
    }

    fn user(id: u32) -> Arc<str> {
        id.to_string().into()
    }

    /// What is told now: `join 1,2` and the like.
    fn told(presence: &mut Presence) -> Vec<String> {
        let text = |event: &Event| {
            let frame =
                String::from_utf8_lossy(&event.frame(Protocol::Plain, &[])[2..]).into_owned();
            let (_, name) = frame.split_once(r#""event":"presence:"#).expect("a presence event");
            let (name, rest) = name.split_once('"').expect("its end");
            let (_, users) = rest.split_once(r#""room":"project:1","userIds":["#).expect("users");
            format!("{name} {}", users.trim_end_matches("]}}"))
        };
        presence.news().iter().map(text).collect()
    }

    #[test]
    fn a_user_comes_with_the_first_socket_and_goes_with_the_last() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(2));
        assert_eq!(told(&mut presence), ["join 1,2"]);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(told(&mut presence), [""; 0]);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(told(&mut presence), ["leave 1"]);
        assert_eq!(presence.of(&place()), Present { users: vec![user(2)], count: 1 });
    }

    #[test]
    fn what_cancels_out_is_not_told() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.leave(&place(), &user(1), Gone::Left);
        presence.enter(&place(), &user(2));
        assert_eq!(told(&mut presence), ["join 2"]);
        presence.leave(&place(), &user(2), Gone::Left);
        presence.enter(&place(), &user(2));
        assert_eq!(told(&mut presence), [""; 0]);
        assert!(!presence.has_news());
    }

    #[test]
    fn who_came_in_between_is_told_what_undoes_what_it_saw() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        // 2 is given a list with 1 in it.
        presence.enter(&place(), &user(2));
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(told(&mut presence), ["leave 1", "join 2"]);
        presence.enter(&place(), &user(1));
        told(&mut presence);
        presence.leave(&place(), &user(1), Gone::Left);
        // 3 is given one without it.
        presence.enter(&place(), &user(3));
        presence.enter(&place(), &user(1));
        assert_eq!(told(&mut presence), ["join 1,3"]);
    }

    #[test]
    fn a_lost_line_counts_later_unless_the_user_is_back() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(2));
        told(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.leave(&place(), &user(2), Gone::Lost);
        let at = presence.next_lapse().expect("a time");
        assert_eq!(presence.of(&place()).count, 2);
        presence.enter(&place(), &user(2));
        presence.lapse(at + Duration::from_secs(1));
        assert_eq!(told(&mut presence), ["leave 1"]);
        assert_eq!(presence.next_lapse(), None);
    }

    #[test]
    fn while_one_line_is_lost_another_that_leaves_does_not_end_the_stay() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(1));
        told(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(presence.of(&place()).count, 1);
        let at = presence.next_lapse().expect("a time");
        presence.lapse(at);
        assert_eq!(told(&mut presence), ["leave 1"]);
    }

    #[test]
    fn who_is_put_out_is_gone_at_once_lost_lines_too() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        told(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.forget(&place(), &user(1));
        assert_eq!(told(&mut presence), ["leave 1"]);
        presence.lapse(Instant::now() + Duration::from_secs(10));
        assert_eq!(told(&mut presence), [""; 0]);
    }

    #[test]
    fn above_the_limit_nothing_is_told() {
        let mut presence = presence(2);
        for id in 1..=3 {
            presence.enter(&place(), &user(id));
        }
        assert_eq!(told(&mut presence), [""; 0]);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(told(&mut presence), ["leave 1"]);
        assert_eq!(presence.of(&place()).count, 2);
    }

    #[test]
    fn nothing_stays_of_a_room_that_is_empty() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        told(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.lapse(Instant::now() + Duration::from_secs(6));
        told(&mut presence);
        assert!(
            presence.rooms.is_empty() && presence.news.is_empty() && presence.lapses.is_empty()
        );
    }
}

//! Tracks which users are in a room, with any number of sockets each. No I/O: the hub reports what
//! happens, and sends the events that this module makes.
//!
//! Changes are collected, and changes that cancel out within one collection are not reported. A
//! user whose last connection was lost counts as present for a while, so a quick return is not
//! reported at all. A room with more users than the limit gets no reports.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;

use crate::core::event::Event;
use crate::core::payload::Payload;
pub use crate::core::settings::PresenceSettings;

/// The most users that are listed by name.
pub const MAX_NAMED: usize = 200;

/// The users in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// At most 200 users, each as JSON text, in the order of arrival.
    pub users: Vec<Arc<str>>,
    /// The number of all users, listed or not.
    pub count: usize,
}

impl Present {
    /// Returns `{room, members}`.
    #[must_use]
    pub fn to_json(&self, room: &str) -> serde_json::Value {
        // Every text was serialized from a value, so it parses.
        let members =
            self.users.iter().filter_map(|user| serde_json::from_str(user).ok()).collect();
        serde_json::json!({"room": room, "members": serde_json::Value::Array(members)})
    }
}

/// How a socket left a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The socket left on purpose, which counts at once.
    Left,
    /// The connection was lost, which counts after a while.
    Lost,
}

/// A namespace and one of its rooms.
pub(crate) type RoomKey = (Arc<str>, Arc<str>);

#[derive(Debug, Clone, Copy)]
enum Change {
    Joined,
    Left,
}

#[derive(Default)]
struct RoomPresence {
    users: IndexMap<Arc<str>, UserInRoom>,
    /// The changes since the last report.
    changes: IndexMap<Arc<str>, Change>,
    /// How many of the first changes some user has already seen in the list of users that it got on
    /// entering.
    seen: usize,
}

#[derive(Default)]
struct UserInRoom {
    sockets: u32,
    /// Set when a connection of this user was lost and no socket of it has entered since.
    until: Option<Instant>,
}

impl RoomPresence {
    /// Records a change. It cancels out with the opposite change if nobody has seen that one;
    /// otherwise both are reported.
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
    rooms: HashMap<RoomKey, RoomPresence>,
    /// Rooms with unreported changes.
    news: HashSet<RoomKey>,
    /// The lost connections by the time at which they count as leaves, including those of users
    /// that have returned.
    lapses: VecDeque<(Instant, RoomKey, Arc<str>)>,
}

impl Presence {
    pub(crate) fn new(settings: PresenceSettings) -> Self {
        Self { settings, rooms: HashMap::new(), news: HashSet::new(), lapses: VecDeque::new() }
    }

    /// Adds a socket of a user to a room. The caller gives the socket the list of users.
    pub(crate) fn enter(&mut self, place: &RoomKey, user: &Arc<str>) {
        let room = self.rooms.entry(place.clone()).or_default();
        let is_new = !room.users.contains_key(user);
        let here = room.users.entry(Arc::clone(user)).or_default();
        here.sockets += 1;
        here.until = None;
        // The list reveals this user's own last change to no other user.
        let own = room.changes.get_index_of(user);
        let seen =
            room.changes.len() - usize::from(own.is_some_and(|at| at + 1 == room.changes.len()));
        room.seen = room.seen.max(seen);
        if is_new {
            room.note(user, Change::Joined);
            self.news.insert(place.clone());
        }
    }

    /// Removes a socket of a user from a room.
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

    /// Removes a user with all its sockets and lost connections.
    pub(crate) fn forget(&mut self, place: &RoomKey, user: &Arc<str>) {
        if let Some(room) = self.rooms.get_mut(place) {
            room.remove(user);
            self.news.insert(place.clone());
        }
    }

    /// Returns the time at which the next lost connection may count as a leave.
    pub(crate) fn next_lapse(&self) -> Option<Instant> {
        self.lapses.front().map(|(at, ..)| *at)
    }

    /// Turns lost connections whose time has expired into leaves.
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

    /// Returns the events that report the collected changes, and clears them.
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

    /// Returns the users in the room now, reported or not.
    pub(crate) fn of(&self, place: &RoomKey) -> Present {
        let Some(room) = self.rooms.get(place) else { return Present::default() };
        Present {
            users: room.users.keys().take(MAX_NAMED).cloned().collect(),
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

    /// Returns the reports of the changes, in the form `join 1,2`.
    fn reports(presence: &mut Presence) -> Vec<String> {
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
    fn a_user_joins_with_the_first_socket_and_leaves_with_the_last() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(2));
        assert_eq!(reports(&mut presence), ["join 1,2"]);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(reports(&mut presence), [""; 0]);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(reports(&mut presence), ["leave 1"]);
        assert_eq!(presence.of(&place()), Present { users: vec![user(2)], count: 1 });
    }

    #[test]
    fn changes_that_cancel_out_are_not_reported() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.leave(&place(), &user(1), Gone::Left);
        presence.enter(&place(), &user(2));
        assert_eq!(reports(&mut presence), ["join 2"]);
        presence.leave(&place(), &user(2), Gone::Left);
        presence.enter(&place(), &user(2));
        assert_eq!(reports(&mut presence), [""; 0]);
        assert!(!presence.has_news());
    }

    #[test]
    fn a_change_that_a_new_user_has_seen_is_reported_when_undone() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        // User 2 gets a list with user 1 in it.
        presence.enter(&place(), &user(2));
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(reports(&mut presence), ["leave 1", "join 2"]);
        presence.enter(&place(), &user(1));
        reports(&mut presence);
        presence.leave(&place(), &user(1), Gone::Left);
        // User 3 gets a list without user 1.
        presence.enter(&place(), &user(3));
        presence.enter(&place(), &user(1));
        assert_eq!(reports(&mut presence), ["join 1,3"]);
    }

    #[test]
    fn a_lost_connection_counts_later_unless_the_user_is_back() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(2));
        reports(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.leave(&place(), &user(2), Gone::Lost);
        let at = presence.next_lapse().expect("a time");
        assert_eq!(presence.of(&place()).count, 2);
        presence.enter(&place(), &user(2));
        presence.lapse(at + Duration::from_secs(1));
        assert_eq!(reports(&mut presence), ["leave 1"]);
        assert_eq!(presence.next_lapse(), None);
    }

    #[test]
    fn a_user_with_a_lost_connection_stays_when_another_socket_leaves() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        presence.enter(&place(), &user(1));
        reports(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(presence.of(&place()).count, 1);
        let at = presence.next_lapse().expect("a time");
        presence.lapse(at);
        assert_eq!(reports(&mut presence), ["leave 1"]);
    }

    #[test]
    fn a_removed_user_is_gone_at_once_with_its_lost_connections() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        reports(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.forget(&place(), &user(1));
        assert_eq!(reports(&mut presence), ["leave 1"]);
        presence.lapse(Instant::now() + Duration::from_secs(10));
        assert_eq!(reports(&mut presence), [""; 0]);
    }

    #[test]
    fn above_the_limit_nothing_is_reported() {
        let mut presence = presence(2);
        for id in 1..=3 {
            presence.enter(&place(), &user(id));
        }
        assert_eq!(reports(&mut presence), [""; 0]);
        presence.leave(&place(), &user(1), Gone::Left);
        assert_eq!(reports(&mut presence), ["leave 1"]);
        assert_eq!(presence.of(&place()).count, 2);
    }

    #[test]
    fn an_empty_room_leaves_nothing_behind() {
        let mut presence = presence(200);
        presence.enter(&place(), &user(1));
        reports(&mut presence);
        presence.leave(&place(), &user(1), Gone::Lost);
        presence.lapse(Instant::now() + Duration::from_secs(6));
        reports(&mut presence);
        assert!(
            presence.rooms.is_empty() && presence.news.is_empty() && presence.lapses.is_empty()
        );
    }
}

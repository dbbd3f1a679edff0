//! Every server event of hubcast: its declaration, its audience and its payload.
//!
//! Service functions build events here and hand them to a transaction. This module knows no query,
//! no socket and no wire format. One file per domain; each declares its events with
//! `server_events!` and has one function per event that fills the payload.

mod conversations;
mod external;
mod invitations;
mod notifications;
mod orders;
mod products;
mod projects;
mod rooms;
mod schemas;
mod server_event;
mod stats;
mod tokens;

use std::borrow::Cow;
use std::fmt;

pub use conversations::*;
pub use external::*;
pub use invitations::*;
pub use notifications::*;
pub use orders::*;
pub use products::*;
pub use projects::*;
pub use rooms::*;
pub use schemas::{generator, reference, schema_of};
pub(crate) use server_event::server_events;
pub use server_event::{EventDescription, ServerEvent};
pub use stats::*;
pub use tokens::*;

use crate::model::{ConversationId, ProjectId, UserId};

/// The namespace of customers and admins.
pub const MAIN: &str = "/";
/// The namespace of admins only.
pub const ADMIN: &str = "/admin";

/// Events that are sent a second time under an older name, unless `EVENT_ALIASES=off`.
pub const ALIASES: &[(&str, &str)] =
    &[("notification", "notification:new"), ("error", "exception")];

/// Every event that a service function sends.
pub fn all() -> impl Iterator<Item = &'static EventDescription> {
    [
        products::EVENTS,
        orders::EVENTS,
        notifications::EVENTS,
        projects::EVENTS,
        conversations::EVENTS,
        invitations::EVENTS,
        rooms::EVENTS,
        stats::EVENTS,
        tokens::EVENTS,
    ]
    .into_iter()
    .flatten()
}

/// An audience within a namespace. [`Display`](fmt::Display) writes the name that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// All sockets of one user.
    User(UserId),
    /// All sockets of all admins.
    Admin,
    /// The sockets that joined a project.
    Project(ProjectId),
    /// The sockets that joined a conversation.
    Conversation(ConversationId),
    /// All sockets of a conversation's members. No socket joins this room: the event names the
    /// members at its commit ([`NewEvent::members`]), and the log keeps them with it.
    Members(ConversationId),
}

impl Room {
    /// The room of that name; `None` also for [`Room::Members`], which has no sockets.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name.split_once(':') {
            Some(("user", id)) => id.parse().ok().map(Self::User),
            None if name == "admin" => Some(Self::Admin),
            _ => Joinable::by_name(name).map(Self::from),
        }
    }
}

/// A room that a client may join and leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joinable {
    Project(ProjectId),
    Conversation(ConversationId),
}

impl Joinable {
    /// The room of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let (kind, id) = name.split_once(':')?;
        match kind {
            "project" => id.parse().ok().map(Self::Project),
            "conversation" => id.parse().ok().map(Self::Conversation),
            _ => None,
        }
    }
}

/// Fails with the room itself when clients cannot join it.
impl TryFrom<Room> for Joinable {
    type Error = Room;

    fn try_from(room: Room) -> Result<Self, Room> {
        match room {
            Room::Project(id) => Ok(Self::Project(id)),
            Room::Conversation(id) => Ok(Self::Conversation(id)),
            Room::User(_) | Room::Admin | Room::Members(_) => Err(room),
        }
    }
}

impl From<Joinable> for Room {
    fn from(room: Joinable) -> Self {
        match room {
            Joinable::Project(id) => Self::Project(id),
            Joinable::Conversation(id) => Self::Conversation(id),
        }
    }
}

impl fmt::Display for Joinable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Room::from(*self).fmt(f)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Admin => f.write_str("admin"),
            Self::Project(id) => write!(f, "project:{id}"),
            Self::Conversation(id) => write!(f, "conversation:{id}"),
            Self::Members(id) => write!(f, "members:{id}"),
        }
    }
}

/// What happens to an event besides its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Written to the log in the transaction of its write; a resumed socket gets it later.
    Stored,
    /// The event is not stored: it reaches the sockets that are connected now.
    Transient,
}

/// An event of a write that is not committed yet. A socket in several of the rooms gets it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// [`MAIN`] or [`ADMIN`].
    pub namespace: &'static str,
    /// The name that clients listen for.
    pub name: Cow<'static, str>,
    pub kind: EventKind,
    /// The rooms whose sockets get the event; if empty, all sockets of the namespace.
    pub rooms: Vec<Room>,
    /// Sockets in one of these rooms do not get the event.
    pub except: Vec<Room>,
    /// The members that [`Room::Members`] means.
    pub members: Vec<UserId>,
    /// The payload as JSON text; empty for an event without arguments.
    pub data: String,
}

impl NewEvent {
    fn except(self, except: Vec<Room>) -> Self {
        Self { except, ..self }
    }

    fn with_members(self, members: Vec<UserId>) -> Self {
        Self { members, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_have_the_names_of_the_contract() {
        let rooms = [
            Room::User(UserId(5)),
            Room::Admin,
            Room::Project(ProjectId(3)),
            Room::Conversation(ConversationId(9)),
            Room::Members(ConversationId(9)),
        ];
        assert_eq!(
            rooms.map(|room| room.to_string()),
            ["user:5", "admin", "project:3", "conversation:9", "members:9"]
        );
    }

    #[test]
    fn a_room_is_found_by_its_name() {
        for room in [
            Room::User(UserId(5)),
            Room::Admin,
            Room::Project(ProjectId(3)),
            Room::Conversation(ConversationId(9)),
        ] {
            assert_eq!(Room::by_name(&room.to_string()), Some(room));
        }
        for name in ["", "admin:1", "user", "user:", "user:x", "user:05x", "members:9", "lobby"] {
            assert_eq!(Room::by_name(name), None, "{name}");
        }
    }

    #[test]
    fn clients_join_projects_and_conversations_by_name_and_nothing_else() {
        assert_eq!(Joinable::by_name("project:3"), Some(Joinable::Project(ProjectId(3))));
        assert_eq!(
            Joinable::by_name("conversation:9"),
            Some(Joinable::Conversation(ConversationId(9)))
        );
        for name in [
            "",
            "admin",
            "user:5",
            "members:9",
            "project:",
            "project:x",
            "project:-1",
            "project:3:4",
            "Project:3",
        ] {
            assert_eq!(Joinable::by_name(name), None, "{name}");
        }
    }
}

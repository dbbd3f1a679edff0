//! Every event of the product, one constructor each: its name, its audience and its payload,
//! exactly as the contract writes them.
//!
//! Services build events here and give them to a transaction. This module knows no query, no socket
//! and no wire format. A file per family of verbs.

mod conversations;
mod emit;
mod notifications;
mod orders;
mod products;
mod projects;
mod rooms;
mod stats;
mod tokens;
mod told;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

pub use conversations::{conversation_read, new_message};
pub use emit::{Foreign, foreign};
pub use notifications::{
    notification, notification_read, notifications_all_read, notifications_unread,
};
pub use orders::{new_order, order_shipped, order_update};
pub use products::{ProductAction, product_updated};
pub use projects::{ProjectChange, project_update, stage_completed};
pub use rooms::typing;
pub use stats::{ConnectionCount, ServerStats, server_stats};
pub use tokens::token_expiring;
pub use told::{Told, schema_of, told};

use crate::model::{ConversationId, ProjectId, UserId};

/// Where customers and admins meet.
pub const MAIN: &str = "/";
/// Admins only.
pub const ADMIN: &str = "/admin";

/// The older names: who listens for one of these hears the event under it too. `EVENT_ALIASES=off`
/// stops that.
pub const ALIASES: &[(&str, &str)] =
    &[("notification", "notification:new"), ("error", "exception")];

/// An audience within a namespace. [`Display`](fmt::Display) gives the name that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// All sockets of one user.
    User(UserId),
    /// All sockets of all admins.
    Admin,
    /// Those who joined a project.
    Project(ProjectId),
    /// Those who joined a conversation.
    Conversation(ConversationId),
    /// All sockets of a conversation's members, wherever they are. Nobody joins it: who they are is
    /// told with the event ([`NewEvent::members`]), and found again from the membership when the
    /// log is read.
    Members(ConversationId),
}

impl Room {
    /// The one of that name; None also for [`Room::Members`], in which no socket is.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name.split_once(':') {
            Some(("user", id)) => id.parse().ok().map(Self::User),
            None if name == "admin" => Some(Self::Admin),
            _ => Joinable::by_name(name).map(Self::from),
        }
    }
}

/// A room that clients join and leave by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joinable {
    Project(ProjectId),
    Conversation(ConversationId),
}

impl Joinable {
    /// The one of that name.
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

/// The room itself, when it is none that clients join.
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

/// Whether an event is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the log, with its write's rows: who is away gets it later.
    Stored,
    /// For who is there now: the next one says all that this one says.
    Ephemeral,
}

/// An event of a write that is not committed yet. A socket in several of the rooms gets it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// [`MAIN`] or [`ADMIN`].
    pub namespace: &'static str,
    /// The name that clients listen for.
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// None: it is for all sockets of the namespace.
    pub rooms: Vec<Room>,
    /// Sockets in one of these do not get it.
    pub except: Vec<Room>,
    /// Whom [`Room::Members`] stands for at this moment.
    pub members: Vec<UserId>,
    /// JSON text.
    pub data: String,
}

impl NewEvent {
    fn stored(
        namespace: &'static str,
        name: &'static str,
        rooms: Vec<Room>,
        payload: &impl Serialize,
    ) -> Self {
        // Payloads are the plain structs of these files, with text keys and nothing that can fail
        // to serialise.
        let data = serde_json::to_string(payload).unwrap_or_else(|_| "null".into());
        Self {
            namespace,
            name: name.into(),
            kind: Kind::Stored,
            rooms,
            except: Vec::new(),
            members: Vec::new(),
            data,
        }
    }

    fn ephemeral(
        namespace: &'static str,
        name: &'static str,
        rooms: Vec<Room>,
        payload: &impl Serialize,
    ) -> Self {
        Self { kind: Kind::Ephemeral, ..Self::stored(namespace, name, rooms, payload) }
    }

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

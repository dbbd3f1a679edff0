//! Certain sockets of a namespace: all, a room's or a user's. The hub knows a user's sockets
//! itself; only the workers know a room's.

use std::sync::Arc;

use serde_json::Value;

use crate::core::ids::{SocketId, WorkerId};
use crate::hub::hub::Hub;
use crate::hub::workers::{SelectSockets, SocketAction};

/// Sockets of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// All of them.
    All,
    /// Those in a room.
    Room(Arc<str>),
    /// Those of a user, by its [`Welcome::identity`](crate::Welcome::identity).
    User(Value),
}

impl Whom {
    /// Those in a room.
    #[must_use]
    pub fn room(name: &str) -> Self {
        Self::Room(name.into())
    }

    /// Those of a user, by its identity: `5`, `"ann"`.
    #[must_use]
    pub fn user(identity: impl Into<Value>) -> Self {
        Self::User(identity.into())
    }
}

impl Hub {
    /// Does one thing with certain sockets: `to_socket` for each of a user's, also while it is
    /// entering; else `action` on the workers that may have them.
    pub(super) fn select(
        &self,
        namespace: &Arc<str>,
        whom: &Whom,
        to_socket: impl Fn(&Self, SocketId),
        action: impl Fn() -> SocketAction,
    ) {
        let room = match whom {
            Whom::User(user) => {
                for socket in self.sockets_of_user(namespace, &user.to_string()) {
                    to_socket(self, socket);
                }
                return;
            }
            Whom::Room(room) => Some(room),
            Whom::All => None,
        };
        for worker in self.workers_of(namespace, room.map(|room| &**room)) {
            if let Some(worker) = self.workers.get(&worker) {
                let (namespace, room) = (Arc::clone(namespace), room.cloned());
                worker.select.do_send(SelectSockets { namespace, room, action: action() });
            }
        }
    }

    fn workers_of(&self, namespace: &str, room: Option<&str>) -> Vec<WorkerId> {
        match room {
            None => self.workers.keys().copied().collect(),
            Some(room) => {
                let counts = self.rooms.get(namespace).and_then(|rooms| rooms.get(room));
                counts.into_iter().flatten().map(|(worker, _)| *worker).collect()
            }
        }
    }
}

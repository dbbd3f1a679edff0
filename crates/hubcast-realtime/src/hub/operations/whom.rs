//! Selects sockets of a namespace: all of them, those of a room or those of a user. The hub itself
//! knows a user's sockets; only the workers know a room's.

use std::sync::Arc;

use serde_json::Value;

use crate::core::ids::{SocketId, WorkerId};
use crate::hub::hub::Hub;
use crate::hub::workers::{SelectSockets, SocketAction};

/// A selection of sockets in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// All sockets.
    All,
    /// The sockets in a room.
    Room(Arc<str>),
    /// The sockets of a user, by its [`Welcome::identity`](crate::Welcome::identity).
    User(Value),
}

impl Whom {
    /// Selects the sockets in a room.
    #[must_use]
    pub fn room(name: &str) -> Self {
        Self::Room(name.into())
    }

    /// Selects the sockets of a user by its identity, such as `5` or `"ann"`.
    #[must_use]
    pub fn user(identity: impl Into<Value>) -> Self {
        Self::User(identity.into())
    }
}

impl Hub {
    /// Acts on the selected sockets: calls `to_socket` for each socket of a user, also while it is
    /// entering; otherwise sends `action` to the workers that may have the sockets.
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

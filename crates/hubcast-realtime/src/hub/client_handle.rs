//! A handle on one socket, for any thread.

use std::sync::Arc;

use super::handle::HubHandle;
use super::hub::Visibility;
use super::presence::Present;
use super::workers::{Close, Disconnect, Outgoing};
use crate::core::ids::SocketId;
use crate::core::payload::Payload;

/// A handle on one socket, for any thread. Its calls pass through the hub, so they are in order
/// with all events that are published.
#[derive(Clone)]
pub struct ClientHandle {
    pub(crate) socket: SocketId,
    pub(crate) sid: Arc<str>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) connection_no: Option<i64>,
    pub(crate) hub: HubHandle,
}

impl ClientHandle {
    /// Returns the socket's id in this process.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.socket
    }

    /// Returns the socket's public id.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Returns the socket's user, if it has one: the
    /// [`Welcome::identity`](crate::Welcome::identity) as JSON text.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the same as [`Client::session`](crate::Client::session).
    #[must_use]
    pub fn session(&self) -> Option<(&str, i64)> {
        self.connection_no.map(|connection_no| (&*self.sid, connection_no))
    }

    /// Puts the socket into a room, where its user is then present. `done` gets the users of the
    /// room; it runs on the hub's thread and must not wait. It is not called if the socket has
    /// left.
    pub fn enter(&self, room: impl Into<Arc<str>>, done: impl FnOnce(Present) + Send + 'static) {
        self.hub.join(self.socket, room.into(), Visibility::Visible, done);
    }

    /// Removes the socket from a room. `done` gets the remaining users, or none if the socket was
    /// not in the room; it runs as in [`ClientHandle::enter`].
    pub fn leave(&self, room: impl Into<Arc<str>>, done: impl FnOnce(Present) + Send + 'static) {
        self.hub.leave(self.socket, room.into(), done);
    }

    /// Sends a transient event to this socket only.
    pub fn emit(&self, name: &str, payload: impl Into<Payload>) {
        self.hub.send_to(self.socket, Outgoing::event(name, payload));
    }

    /// Disconnects the socket after everything that was sent to it before.
    pub fn disconnect(&self, close: Close) {
        self.hub.send_to(self.socket, Outgoing::Disconnect(Disconnect::new(close)));
    }
}

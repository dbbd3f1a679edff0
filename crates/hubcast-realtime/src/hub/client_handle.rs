//! A handle on one socket, for any thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::handle::HubHandle;
use super::hub::Visibility;
use super::presence::Present;
use super::workers::{Close, Disconnect, Outgoing};
use crate::core::ids::SocketId;
use crate::core::payload::Payload;

/// How often and how long a greeting waits for the hub: 100 times 5 ms.
const CATCHING_UP: (u32, Duration) = (100, Duration::from_millis(5));

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

    /// Sends the server's [greeting](crate::Settings::greeting) to this socket, unless it was sent
    /// an event of that name since it entered. `as_of` is the id of the last event of the log that
    /// the payload takes into account, both read after the socket has entered. This waits until the
    /// hub has routed the log up to there. So the payload takes all events before the greeting into
    /// account, and none after it, if each event that changes it is followed by one of that name.
    ///
    /// Returns false if the hub does not get there in time. Then nothing is sent.
    pub async fn greet(&self, as_of: i64, payload: impl Into<Payload>) -> bool {
        let (mut patience, step) = CATCHING_UP;
        while self.hub.tail().last() < as_of {
            let Some(rest) = patience.checked_sub(1) else { return false };
            patience = rest;
            tokio::time::sleep(step).await;
        }
        // The hub handles this after the event that it was waited for.
        let (queued, waiting) = oneshot::channel();
        self.hub.send_to(self.socket, Outgoing::Greeting(payload.into(), queued));
        // Only then does what the caller sends next come after it. The sender is never used.
        let _ = waiting.await;
        true
    }

    /// Disconnects the socket after everything that was sent to it before.
    pub fn disconnect(&self, close: Close) {
        self.hub.send_to(self.socket, Outgoing::Disconnect(Disconnect::new(close)));
    }
}

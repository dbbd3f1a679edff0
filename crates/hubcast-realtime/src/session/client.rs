//! The gateway's handle on one socket, on the socket's worker thread.

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::acks::{Ack, AckError, PendingAcks};
use crate::connection::connection::Connection;
use crate::core::activity::Activity;
use crate::core::error::Error;
use crate::core::ids::SocketId;
use crate::core::payload::Payload;
use crate::core::protocol::Protocol;
use crate::core::settings::MAX_ROOMS;
use crate::hub::client_handle::ClientHandle;
use crate::hub::handle::HubHandle;
use crate::hub::hub::Visibility;
use crate::hub::presence::Present;
use crate::hub::workers::{Close, Disconnect, Outgoing};
use crate::worker::alarms::Alarm;
use crate::worker::worker::Worker;

/// A handle on one socket, for its gateway. Cheap to clone; it lives on the socket's worker thread.
#[derive(Clone)]
pub struct Client(pub(super) Rc<ClientParts>);

pub(super) struct ClientParts {
    pub socket: SocketId,
    pub sid: Arc<str>,
    /// The identity as JSON text, if the socket has one.
    pub user: Option<Arc<str>>,
    /// A random number for this connection period of the session; `None` if the session cannot be
    /// resumed.
    pub connection_no: Option<i64>,
    /// The log's last event when the socket entered.
    pub entered_at: Cell<i64>,
    pub namespace: Arc<str>,
    pub activity: Activity,
    pub data: Rc<dyn Any>,
    pub worker: Rc<Worker>,
    pub connection: Rc<Connection>,
    pub acks: PendingAcks,
    /// Set once the server disconnects the socket. A socket that is entering leaves after it has
    /// entered.
    pub ending: OnceCell<Disconnect>,
    pub alarm: Alarm,
}

impl Client {
    /// Returns the socket's id in this process, for
    /// [`Event::except_socket`](crate::Event::except_socket).
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.0.socket
    }

    /// Returns the socket's public id.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// Returns the socket's user, if it has one: the
    /// [`Welcome::identity`](crate::Welcome::identity) as JSON text.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// Returns the gateway's own data, if it is of that type.
    #[must_use]
    pub fn data<T: 'static>(&self) -> Option<&T> {
        self.0.data.downcast_ref()
    }

    /// Returns a handle on the server's hub.
    #[must_use]
    pub fn hub(&self) -> &HubHandle {
        &self.0.worker.hub
    }

    /// Puts the socket into a room. Once this returns, the socket gets every event that is
    /// published to the room. Its user is not present there; see [`ClientHandle::enter`].
    pub async fn join(&self, room: impl Into<Arc<str>>) {
        let (done, joined) = oneshot::channel();
        self.0.worker.hub.join(self.0.socket, room.into(), Visibility::Hidden, move |_| {
            // The caller may have stopped waiting.
            let _ = done.send(());
        });
        let _ = joined.await;
    }

    /// Returns the session's name in the [`Log`](crate::Log) and its connection number, or `None`
    /// if the session cannot be resumed.
    #[must_use]
    pub fn session(&self) -> Option<(Arc<str>, i64)> {
        self.0.connection_no.map(|connection_no| (Arc::clone(&self.0.sid), connection_no))
    }

    /// Returns the socket's rooms.
    #[must_use]
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.worker.sockets.rooms(self.0.socket)
    }

    /// Returns true if the socket is in the room.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.0.worker.sockets.is_in(self.0.socket, room)
    }

    /// Returns true if the socket is in [`MAX_ROOMS`] rooms already. A gateway checks this before
    /// it lets a client join one more.
    #[must_use]
    pub fn has_all_rooms(&self) -> bool {
        self.0.worker.sockets.rooms(self.0.socket).len() >= MAX_ROOMS
    }

    /// Returns a handle for any thread.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        let ClientParts { socket, sid, user, connection_no, worker, .. } = &*self.0;
        ClientHandle {
            socket: *socket,
            sid: Arc::clone(sid),
            user: user.clone(),
            connection_no: *connection_no,
            hub: worker.hub.clone(),
        }
    }

    /// Removes the socket from a room. Returns the remaining users, or none if the socket was not
    /// in the room.
    pub async fn leave(&self, room: impl Into<Arc<str>>) -> Present {
        let (done, left) = oneshot::channel();
        self.handle().leave(room, move |present| {
            // The caller may have stopped waiting.
            let _ = done.send(present);
        });
        left.await.unwrap_or_default()
    }

    /// Sends a transient event to this socket only.
    pub fn emit(&self, name: &str, payload: impl Into<Payload>) {
        self.0.worker.send(self.0.socket, Outgoing::event(name, payload));
    }

    /// Does the same as [`Client::emit`], but drops the event if it cannot be written at once.
    pub fn emit_volatile(&self, name: &str, payload: impl Into<Payload>) {
        self.0.worker.send(self.0.socket, Outgoing::volatile(name, payload));
    }

    /// Sends an event that asks for an ack, and waits for the ack. Do not call it within
    /// [`Gateway::entered`](crate::Gateway::entered): the client's packets are read only after
    /// that. Within [`Gateway::event`](crate::Gateway::event) the client's next events wait
    /// meanwhile; when 64 of them wait, nothing more is read, the ack included. If a client sends
    /// many events, call it from a separate task.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use hubcast_realtime::{Client, Payload};
    /// # async fn example(client: Client) -> Result<(), hubcast_realtime::AckError> {
    /// let five = Duration::from_secs(5);
    /// let ack = client.emit_with_ack("delivered?", Payload::json("5"), five).await?;
    /// println!("{:?}", ack.args);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails if no ack has arrived in time, the socket has left, too many acks are outstanding, or
    /// the protocol has no acks from clients.
    pub async fn emit_with_ack(
        &self,
        name: &str,
        payload: impl Into<Payload>,
        within: Duration,
    ) -> Result<Ack, AckError> {
        if !matches!(self.0.connection.protocol, Protocol::SocketIo { .. }) {
            return Err(AckError::NotSocketIo);
        }
        if !self.0.worker.sockets.contains(self.0.socket) {
            return Err(AckError::Gone);
        }
        let waiter = self.0.acks.begin()?;
        let id = waiter.id;
        self.0.worker.send(
            self.0.socket,
            Outgoing::RequestAck { name: name.into(), payload: payload.into(), id },
        );
        waiter.wait(within).await
    }

    /// Disconnects the socket after everything that was sent to it before. Its session is not
    /// resumed.
    pub fn disconnect(&self, close: Close) {
        self.0.worker.send(self.0.socket, Outgoing::Disconnect(Disconnect::new(close)));
    }

    /// Does the same as [`Client::disconnect`] with [`Close::Socket`], and sends the cause:
    /// Socket.IO clients get an `error` event before the DISCONNECT, plain clients a close code.
    pub fn disconnect_with_error(&self, error: Error) {
        let disconnect = Disconnect::with_error(error);
        self.0.worker.send(self.0.socket, Outgoing::Disconnect(disconnect));
    }

    /// Calls [`Gateway::woken`](crate::Gateway::woken) at that time of the wall clock, or soon if
    /// it has passed. A socket has one such time, which another call replaces.
    pub fn wake_at(&self, at: SystemTime) {
        self.0.worker.alarms.set(self.0.socket, &self.0.alarm, at);
    }
}

//! Handles on one socket: the gateway's own, on the socket's worker thread, and one that any thread
//! may hold.

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::Reason;
use super::alarms::Alarm;
use super::asks::{Answer, Asks, Unanswered};
use super::frame::Protocol;
use super::hub::{Entrance, HubHandle, SocketId};
use super::link::Link;
use super::outlet::{Outgoing, Worker};
use super::payload::Payload;
use super::presence::Present;
use super::settings::MAX_ROOMS;
use crate::error::Error;

/// A gateway's handle on one socket: one connection in one namespace. Cheap to clone; lives on the
/// socket's worker thread.
#[derive(Clone)]
pub struct Client(pub(super) Rc<ClientParts>);

pub(super) struct ClientParts {
    pub socket: SocketId,
    pub sid: Arc<str>,
    /// The identity as JSON text; none for no one.
    pub user: Option<Arc<str>>,
    /// Which stay of its session this is; none of one that can not be resumed.
    pub attachment: Option<i64>,
    /// The log's last event when it came in.
    pub entered_at: Cell<i64>,
    pub namespace: Arc<str>,
    pub data: Rc<dyn Any>,
    pub worker: Rc<Worker>,
    pub link: Rc<Link>,
    pub asks: Asks,
    /// It is to leave; while it is on its way in, as soon as that has ended.
    pub kicked: OnceCell<Goodbye>,
    pub alarm: Alarm,
}

/// How much ends when the server ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The socket: Socket.IO's DISCONNECT, after which the official client does not come back by
    /// itself. The connection stays, for other namespaces; it has no other use on the plain
    /// protocol and on Engine.IO alone, and is closed there.
    Socket,
    /// All sockets of its connection, and the connection.
    Connection,
}

/// The end of a socket, as its session is told it.
#[derive(Debug, Clone)]
pub(super) struct Goodbye {
    pub close: Close,
    /// What the client is told of it.
    error: Option<Box<Error>>,
}

impl Goodbye {
    pub(super) fn kick(close: Close) -> Self {
        Self { close, error: None }
    }

    pub(super) fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    pub(super) fn reason(&self) -> Reason {
        match self.error() {
            Some(Error::TokenExpired) => Reason::TokenExpired,
            Some(Error::Unauthorized(_)) => Reason::Unauthorized,
            Some(Error::Forbidden) => Reason::Forbidden,
            _ => Reason::Kicked,
        }
    }
}

impl Client {
    /// The public id of this socket.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// Whose it is: the [`Welcome::identity`](super::Welcome::identity) as JSON text; none for no
    /// one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The gateway's own data, if it is of that type.
    #[must_use]
    pub fn data<T: 'static>(&self) -> Option<&T> {
        self.0.data.downcast_ref()
    }

    /// The hub of its server.
    #[must_use]
    pub fn hub(&self) -> &HubHandle {
        &self.0.worker.hub
    }

    /// Puts the socket into a room; once this returns it hears every event that is published to the
    /// room. Its user does not show there; see [`ClientHandle::enter`].
    pub async fn join(&self, room: impl Into<Arc<str>>) {
        let (done, joined) = oneshot::channel();
        self.0.worker.hub.join(self.0.socket, room.into(), Entrance::Silent, move |_| {
            // Who asked may have gone.
            let _ = done.send(());
        });
        let _ = joined.await;
    }

    /// The session's name in the [`Log`](super::Log), and which stay of it this is; none of one
    /// that can not be resumed.
    #[must_use]
    pub fn session(&self) -> Option<(Arc<str>, i64)> {
        self.0.attachment.map(|attachment| (Arc::clone(&self.0.sid), attachment))
    }

    /// The rooms that the socket is in.
    #[must_use]
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.worker.rooms(self.0.socket)
    }

    /// Whether the socket is in a room.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.0.worker.is_in(self.0.socket, room)
    }

    /// Whether the socket is in as many rooms as one may be ([`MAX_ROOMS`]). Asked before a
    /// client's wish is granted.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.0.worker.rooms(self.0.socket).len() >= MAX_ROOMS
    }

    /// A handle that may be held by any thread.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        let ClientParts { socket, sid, user, attachment, worker, .. } = &*self.0;
        ClientHandle {
            socket: *socket,
            sid: Arc::clone(sid),
            user: user.clone(),
            attachment: *attachment,
            hub: worker.hub.clone(),
        }
    }

    /// Takes the socket out of a room; who is still there, if it was in it.
    pub async fn leave(&self, room: impl Into<Arc<str>>) -> Present {
        let (done, left) = oneshot::channel();
        self.handle().leave(room, move |present| {
            // Who asked may have gone.
            let _ = done.send(present);
        });
        left.await.unwrap_or_default()
    }

    /// Sends an event to this socket alone.
    pub fn emit(&self, name: &str, payload: impl Into<Payload>) {
        self.0.worker.send(self.0.socket, Outgoing::event(name, payload));
    }

    /// As [`Client::emit`], unless it can not be written at once: then it is dropped.
    pub fn emit_volatile(&self, name: &str, payload: impl Into<Payload>) {
        self.0.worker.send(self.0.socket, Outgoing::volatile(name, payload));
    }

    /// Sends an event that asks for an ack, and waits for that. Not from
    /// [`Gateway::entered`](super::Gateway::entered): the client's packets are read behind that.
    /// Within [`Gateway::event`](super::Gateway::event) the client's next events wait meanwhile,
    /// and when there are 64 of them nothing more is read, the ack too: who asks a client that
    /// talks much does so from a task of its own.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use hubcast_realtime::{Client, Payload};
    /// # async fn example(client: Client) -> Result<(), hubcast_realtime::Unanswered> {
    /// let answer = client.ask("delivered?", Payload::json("5"), Duration::from_secs(5)).await?;
    /// println!("{:?}", answer.args);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When no ack has come within that time, the socket has left meanwhile, there are too many
    /// questions, or its protocol knows no acks from clients.
    pub async fn ask(
        &self,
        name: &str,
        payload: impl Into<Payload>,
        within: Duration,
    ) -> Result<Answer, Unanswered> {
        if !matches!(self.0.link.protocol, Protocol::SocketIo { .. }) {
            return Err(Unanswered::NotSocketIo);
        }
        if !self.0.worker.has(self.0.socket) {
            return Err(Unanswered::Gone);
        }
        let asked = self.0.asks.begin()?;
        let id = asked.id;
        self.0.worker.send(
            self.0.socket,
            Outgoing::Question { name: name.into(), payload: payload.into(), id },
        );
        asked.wait(within).await
    }

    /// Ends the socket, behind all that was sent to it.
    pub fn disconnect(&self, close: Close) {
        self.0.worker.send(self.0.socket, Outgoing::Goodbye(Goodbye::kick(close)));
    }

    /// As [`Client::disconnect`] with [`Close::Socket`], because of that: Socket.IO's clients are
    /// told by an `error` event ahead of the DISCONNECT, those of the plain protocol by the close
    /// code. Its session is not resumed.
    pub fn expel(&self, error: Error) {
        let goodbye = Goodbye { close: Close::Socket, error: Some(Box::new(error)) };
        self.0.worker.send(self.0.socket, Outgoing::Goodbye(goodbye));
    }

    /// Has [`Gateway::woken`](super::Gateway::woken) called at that moment of the wall clock, or
    /// soon if it has passed. There is one such moment: another takes its place.
    pub fn wake_at(&self, at: SystemTime) {
        self.0.worker.alarms.set(self.0.socket, &self.0.alarm, at);
    }
}

/// Anyone's way to one socket. It goes through the hub, so what is done with it has its place among
/// all that is published.
#[derive(Clone)]
pub struct ClientHandle {
    pub(super) socket: SocketId,
    pub(super) sid: Arc<str>,
    pub(super) user: Option<Arc<str>>,
    pub(super) attachment: Option<i64>,
    pub(super) hub: HubHandle,
}

impl ClientHandle {
    /// The public id of this socket.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Whose it is: the [`Welcome::identity`](super::Welcome::identity) as JSON text; none for no
    /// one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// As [`Client::session`].
    #[must_use]
    pub fn session(&self) -> Option<(&str, i64)> {
        self.attachment.map(|attachment| (&*self.sid, attachment))
    }

    /// Puts the socket into a room, where its user is then present. `done` is told who is there; it
    /// runs on the hub's thread and must not wait. Not called when the socket has gone.
    pub fn enter(&self, room: impl Into<Arc<str>>, done: impl FnOnce(Present) + Send + 'static) {
        self.hub.join(self.socket, room.into(), Entrance::Seen, done);
    }

    /// Takes the socket out of a room; `done` is told who is still there, if it was in it. Like
    /// [`ClientHandle::enter`].
    pub fn leave(&self, room: impl Into<Arc<str>>, done: impl FnOnce(Present) + Send + 'static) {
        self.hub.leave(self.socket, room.into(), done);
    }

    /// Sends an event to this socket alone.
    pub fn emit(&self, name: &str, payload: impl Into<Payload>) {
        self.hub.tell(self.socket, Outgoing::event(name, payload));
    }

    /// As [`Client::disconnect`].
    pub fn disconnect(&self, close: Close) {
        self.hub.tell(self.socket, Outgoing::Goodbye(Goodbye::kick(close)));
    }
}

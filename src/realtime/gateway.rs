//! The upward edge: what a program implements per namespace, and what it is given.
//!
//! ```
//! use std::rc::Rc;
//! use hubcast::realtime::{Welcome, Client, Gateway, Handshake, Incoming, Json, Reply};
//! use hubcast::realtime::gateway::LocalBoxFuture;
//! use hubcast::error::Error;
//!
//! struct Echo;
//!
//! impl Gateway for Echo {
//!     fn connect(&self, _: Rc<Handshake>, _: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
//!         Box::pin(async { Ok(Welcome::anonymous()) })
//!     }
//!     fn event(&self, _: Client, mut event: Incoming) -> LocalBoxFuture<Reply> {
//!         Box::pin(async move { Ok(event.args.pop()) })
//!     }
//! }
//! ```

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::Reason;
use super::hub::{Entrance, HubHandle, SocketId};
use super::link::Link;
use super::outlet::{Outgoing, Worker};
use super::presence::Present;
use super::settings::{MAX_ROOMS, NAME_SHOWN};
use crate::error::Error;

/// A value as its JSON text.
pub type Json = Box<RawValue>;
/// What an event is answered with: the ack's argument, if an ack was asked for.
pub type Reply = Result<Option<Json>, Error>;
/// A future of one worker thread; it never moves to another.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What is kept of the HTTP request that opened the connection. Not to be printed: it holds tokens.
#[derive(Clone)]
pub struct Handshake {
    /// The client's address, behind trusted proxies the one they name.
    pub peer: IpAddr,
    /// The query string, without its question mark.
    pub query: String,
    /// The `Authorization` header, as it came.
    pub authorization: Option<Vec<u8>>,
    /// The `Cookie` header; `None` too when the request's Origin may not use our cookies.
    pub cookie: Option<Vec<u8>>,
}

/// A namespace's yes.
pub struct Welcome {
    /// Who this is, as the `session` event's `userId` and in presence; `null` for no one. All sockets of one identity are one user.
    pub identity: serde_json::Value,
    /// Rooms from the start.
    pub rooms: Vec<Arc<str>>,
    /// The gateway's own data, for [`Client::data`].
    pub data: Rc<dyn Any>,
}

impl Welcome {
    /// A socket without an identity, in no room.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { identity: serde_json::Value::Null, rooms: Vec::new(), data: Rc::new(()) }
    }
}

/// An event from a client.
#[derive(Debug)]
pub struct Incoming {
    pub name: String,
    /// Where bytes belong stands `{"_placeholder":true,"num":N}`: the Nth of `attachments`.
    pub args: Vec<Json>,
    /// Binary data that came with it.
    pub attachments: Vec<Bytes>,
    /// The ack's id as text, when one is asked for.
    pub(super) ack: Option<Box<str>>,
}

impl Incoming {
    /// The event's name, cut to what may be told back.
    #[must_use]
    pub fn shown(&self) -> &str {
        shown(&self.name)
    }
}

/// A name that a client has made up, cut to what may be told back.
pub(super) fn shown(name: &str) -> &str {
    name.char_indices().nth(NAME_SHOWN).map_or(name, |(end, _)| &name[..end]) // where a character begins
}

/// One namespace of a server. All futures of one socket in a namespace run one after another, in the order its events came.
pub trait Gateway: Send + Sync + 'static {
    /// May this connection join? `auth` is the payload of CONNECT (Socket.IO) or of the `auth` frame (plain). An
    /// [`Error::Unauthorized`] with reason `missing` on the plain protocol means: wait for an `auth` frame.
    fn connect(&self, handshake: Rc<Handshake>, auth: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>>;

    /// The socket is in; its events are handled after this. For what it is to be told first.
    fn entered(&self, _client: Client) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    /// An event has come. An error answers the ack with `{ok:false, error:{code, message}}`, or is sent as an `error` event.
    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply>;

    /// The socket has left; nothing can be sent to it any more.
    fn disconnect(&self, _client: &Client, _reason: Reason) {}
}

/// The first value of a key in a query string, decoded.
#[must_use]
pub fn query_value(query: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

/// A gateway's handle on one socket: one connection in one namespace. Cheap to clone; lives on the socket's worker thread.
#[derive(Clone)]
pub struct Client(pub(super) Rc<ClientParts>);

pub(super) struct ClientParts {
    pub socket: SocketId,
    pub sid: Arc<str>,
    /// Which stay of its session this is; none of one that can not be resumed.
    pub attachment: Option<i64>,
    /// The log's last event when it came in.
    pub entered_at: Cell<i64>,
    pub namespace: Arc<str>,
    pub data: Rc<dyn Any>,
    pub worker: Rc<Worker>,
    pub link: Rc<Link>,
}

impl Client {
    /// The public id of this socket.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// The gateway's own data, if it is of that type.
    #[must_use]
    pub fn data<T: 'static>(&self) -> Option<&T> {
        self.0.data.downcast_ref()
    }

    /// Puts the socket into a room; once this returns it hears every event that is published to the room.
    pub async fn join(&self, room: impl Into<Arc<str>>) {
        let (done, joined) = oneshot::channel();
        self.0.worker.hub.join(self.0.socket, room.into(), Entrance::Silent, move |_| {
            // Who asked may have gone.
            let _ = done.send(());
        });
        let _ = joined.await;
    }

    /// The session's name in the [`Log`](super::Log), and which stay of it this is; none of one that can not be resumed.
    #[must_use]
    pub fn session(&self) -> Option<(Arc<str>, i64)> {
        self.0.attachment.map(|attachment| (Arc::clone(&self.0.sid), attachment))
    }

    /// Whether the socket is in a room.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.0.worker.is_in(self.0.socket, room)
    }

    /// Whether the socket is in as many rooms as one may be ([`MAX_ROOMS`]). Asked before a client's wish is granted.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.0.worker.rooms(self.0.socket) >= MAX_ROOMS
    }

    /// A handle that may be held by any thread.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        let ClientParts { socket, worker, .. } = &*self.0;
        ClientHandle { socket: *socket, session: self.session(), hub: worker.hub.clone() }
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

    /// Sends an event, whose one argument is the JSON text `data`, to this socket alone.
    pub fn emit(&self, name: &str, data: &str) {
        self.emit_with(name, data, Vec::new());
    }

    /// As [`Client::emit`], with binary data where `data` has a placeholder for it, as in [`Incoming::args`]. The plain protocol has no binary data: there
    /// the placeholders go out as they are.
    pub fn emit_with(&self, name: &str, data: &str, attachments: Vec<Bytes>) {
        self.0.worker.send(self.0.socket, Outgoing::event(name, data, attachments));
    }
}

/// Anyone's way to one socket. It goes through the hub, so what is done with it has its place among all that is published.
#[derive(Clone)]
pub struct ClientHandle {
    socket: SocketId,
    session: Option<(Arc<str>, i64)>,
    hub: HubHandle,
}

impl ClientHandle {
    /// As [`Client::session`].
    #[must_use]
    pub fn session(&self) -> Option<(&str, i64)> {
        self.session.as_ref().map(|(sid, attachment)| (&**sid, *attachment))
    }

    /// Puts the socket into a room, where its user is then present. `done` is told who is there; it runs on the hub's thread and must not wait.
    /// Not called when the socket has gone.
    pub fn join(&self, room: impl Into<Arc<str>>, done: impl FnOnce(Present) + Send + 'static) {
        self.hub.join(self.socket, room.into(), Entrance::Seen, done);
    }

    /// Takes the socket out of a room; `done` is told who is still there, if it was in it. Like [`ClientHandle::join`].
    pub fn leave(&self, room: impl Into<Arc<str>>, done: impl FnOnce(Present) + Send + 'static) {
        self.hub.leave(self.socket, room.into(), done);
    }

    /// Sends an event, whose one argument is the JSON text `data`, to this socket alone.
    pub fn emit(&self, name: &str, data: &str) {
        self.hub.tell(self.socket, Outgoing::event(name, data, Vec::new()));
    }
}

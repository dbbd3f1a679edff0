//! The traits and types through which a program serves a namespace.
//!
//! ```
//! use std::rc::Rc;
//! use hubcast_realtime::{Client, Gateway, Handshake, Incoming, Json, Reply, Welcome};
//! use hubcast_realtime::gateway::LocalBoxFuture;
//! use hubcast_realtime::Error;
//!
//! struct Echo;
//!
//! impl Gateway for Echo {
//!     fn connect(
//!         &self,
//!         _: Rc<Handshake>,
//!         _: Option<Json>,
//!     ) -> LocalBoxFuture<Result<Welcome, Error>> {
//!         Box::pin(async { Ok(Welcome::anonymous()) })
//!     }
//!     fn event(&self, _: Client, event: Incoming) -> LocalBoxFuture<Reply> {
//!         Box::pin(async move { Ok(event.into_payload()) })
//!     }
//! }
//! ```

use std::any::Any;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::owner::Owner;
use crate::core::error::Error;
use crate::core::payload::Payload;
use crate::core::reason::DisconnectReason;
use crate::core::settings::NAME_SHOWN;
use crate::hub::workers::SocketNotice;

pub use crate::core::payload::Json;

/// The answer to an event: the arguments of its ack, if the client asked for one.
pub type Reply = Result<Payload, Error>;
/// A future that stays on its worker thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// The parts of the HTTP request that opened the connection. It holds tokens, so it has no `Debug`.
#[derive(Clone)]
pub struct Handshake {
    /// The client's address; behind trusted proxies, the address that they report.
    pub peer: IpAddr,
    /// The query string, without the question mark.
    pub query: Box<str>,
    /// The raw `Authorization` header. On the plain protocol also `Bearer TOKEN` of a pair of
    /// offered subprotocols, `bearer` and the token, unless the header has a `Bearer` token too.
    pub authorization: Option<Box<[u8]>>,
    /// The `Cookie` header. `None` also if cookies of the request's Origin do not count.
    pub cookie: Option<Box<[u8]>>,
}

impl Handshake {
    /// How many bytes of the request it keeps.
    pub(super) fn kept(&self) -> usize {
        let of = |header: &Option<Box<[u8]>>| header.as_deref().map_or(0, <[u8]>::len);
        self.query.len() + of(&self.authorization) + of(&self.cookie)
    }

    /// To whom a polling session that begins with this request belongs.
    pub(super) fn owner(&self) -> Owner {
        let (authorization, cookie) = (self.authorization.as_deref(), self.cookie.as_deref());
        Owner::new(self.peer, authorization, cookie, &self.query)
    }
}

/// The result of an accepted connection to a namespace.
pub struct Welcome {
    /// The user's identity, as in the `session` event's `userId` and in presence; `null` for none.
    /// All sockets with one identity are one user.
    pub identity: serde_json::Value,
    /// The rooms that the socket joins on entering.
    pub rooms: Vec<Arc<str>>,
    /// Whether the user may have any number of sockets, whatever
    /// [`Settings::sockets_per_user`](crate::Settings::sockets_per_user) is.
    pub is_trusted: bool,
    /// When to call [`Gateway::woken`], as [`Client::wake_at`] does, even if the socket is still
    /// connecting.
    pub wake_at: Option<SystemTime>,
    /// The gateway's data, for [`Client::data`].
    pub data: Rc<dyn Any>,
}

impl Welcome {
    /// Accepts a socket without an identity, in no room.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            identity: serde_json::Value::Null,
            rooms: Vec::new(),
            is_trusted: false,
            wake_at: None,
            data: Rc::new(()),
        }
    }
}

/// An event of a client.
#[derive(Debug)]
pub struct Incoming {
    pub name: String,
    /// The arguments. `{"_placeholder":true,"num":N}` marks where attachment N belongs.
    pub args: Vec<Json>,
    /// The bytes that belong to the arguments.
    pub attachments: Vec<Bytes>,
    /// The ack's id as text, if the client asked for one.
    pub(crate) ack: Option<Box<str>>,
}

impl Incoming {
    /// Returns the event's name, shortened for error messages.
    #[must_use]
    pub fn shown(&self) -> &str {
        shown(&self.name)
    }

    /// Reads one argument.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the argument is missing or of another type.
    pub fn arg<T: DeserializeOwned>(&self, at: usize) -> Result<T, Error> {
        let read = self.args.get(at).and_then(|arg| serde_json::from_str(arg.get()).ok());
        read.ok_or_else(|| Error::BadRequest(format!("{} has no such argument {at}", self.shown())))
    }

    /// Returns the arguments and attachments as a payload, for sending them on.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        Payload::from_client(&self.args, self.attachments)
    }
}

/// Shortens an event name of a client, for error messages.
pub(crate) fn shown(name: &str) -> &str {
    name.char_indices().nth(NAME_SHOWN).map_or(name, |(end, _)| &name[..end]) // a char boundary
}

/// Serves one namespace. The futures of one socket run one after another, in the order of its
/// events.
pub trait Gateway: Send + Sync + 'static {
    /// Decides whether a connection may join. `auth` is the payload of CONNECT (Socket.IO) or of
    /// the `auth` frame (plain). On the plain protocol, an [`Error::Unauthorized`] with reason
    /// `missing` means: wait for an `auth` frame.
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>>;

    /// Sends the socket's initial events, if it has any. Called once the socket has joined, before
    /// its first event.
    fn entered(&self, _client: Client) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    /// Handles an event. An error is sent in the ack as `{ok:false, error:{code, message}}`, or as
    /// an `error` event if there is no ack.
    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply>;

    /// Handles the alarm that [`Client::wake_at`] has set, when it is due.
    fn woken(&self, _client: &Client) {}

    /// Handles a notice that the program sent to this socket through
    /// [`HubHandle::notify`](crate::HubHandle::notify).
    fn notified(&self, _client: &Client, _notice: &SocketNotice) {}

    /// Handles the end of a socket, after it has left. No event can be sent to it any more.
    fn disconnect(&self, _client: &Client, _reason: DisconnectReason) {}
}

/// Returns the gateway of a namespace that every client may join and whose events one function
/// handles.
///
/// ```
/// use hubcast_realtime::{Client, Incoming, gateway};
///
/// let echo = gateway::open(|_: Client, event: Incoming| async move { Ok(event.into_payload()) });
/// ```
pub fn open<F, R>(event: F) -> Arc<dyn Gateway>
where
    F: Fn(Client, Incoming) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + 'static,
{
    Arc::new(OpenGateway(event))
}

struct OpenGateway<F>(F);

impl<F, R> Gateway for OpenGateway<F>
where
    F: Fn(Client, Incoming) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + 'static,
{
    fn connect(&self, _: Rc<Handshake>, _: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
        Box::pin(async { Ok(Welcome::anonymous()) })
    }

    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply> {
        Box::pin(self.0(client, event))
    }
}

/// Returns the first value of a key in a query string, percent-decoded.
#[must_use]
pub fn query_value(query: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

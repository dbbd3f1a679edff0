//! The upward edge: what a program implements per namespace, and what it is given.
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
//!     fn connect(&self, _: Rc<Handshake>, _: Option<Json>) -> LocalBoxFuture<Result<Welcome, Error>> {
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
use crate::core::error::Error;
use crate::core::payload::Payload;
use crate::core::reason::DisconnectReason;
use crate::core::settings::NAME_SHOWN;
use crate::hub::workers::Notice;

pub use crate::core::payload::Json;

/// What an event is answered with: the ack's arguments, if an ack was asked for.
pub type Reply = Result<Payload, Error>;
/// A future of one worker thread; it never moves to another.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What is kept of the HTTP request that opened the connection. Not to be printed: it holds tokens.
#[derive(Clone)]
pub struct Handshake {
    /// The client's address, behind trusted proxies the one they name.
    pub peer: IpAddr,
    /// The query string, without its question mark.
    pub query: Box<str>,
    /// The `Authorization` header, as it came.
    pub authorization: Option<Box<[u8]>>,
    /// The `Cookie` header; `None` too when the request's Origin may not use our cookies.
    pub cookie: Option<Box<[u8]>>,
}

/// A namespace's yes.
pub struct Welcome {
    /// Who this is, as the `session` event's `userId` and in presence; `null` for no one. All
    /// sockets of one identity are one user.
    pub identity: serde_json::Value,
    /// Rooms from the start.
    pub rooms: Vec<Arc<str>>,
    /// When [`Gateway::woken`] is to be called, also while the socket is still on its way in: as
    /// [`Client::wake_at`].
    pub wake_at: Option<SystemTime>,
    /// The gateway's own data, for [`Client::data`].
    pub data: Rc<dyn Any>,
}

impl Welcome {
    /// A socket without an identity, in no room.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            identity: serde_json::Value::Null,
            rooms: Vec::new(),
            wake_at: None,
            data: Rc::new(()),
        }
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
    pub(crate) ack: Option<Box<str>>,
}

impl Incoming {
    /// The event's name, cut to what may be told back.
    #[must_use]
    pub fn shown(&self) -> &str {
        shown(&self.name)
    }

    /// One of its arguments.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it is not there, or is none of that kind.
    pub fn arg<T: DeserializeOwned>(&self, at: usize) -> Result<T, Error> {
        let read = self.args.get(at).and_then(|arg| serde_json::from_str(arg.get()).ok());
        read.ok_or_else(|| Error::BadRequest(format!("{} has no such argument {at}", self.shown())))
    }

    /// All that came with it, to be sent on.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        Payload::from_client(&self.args, self.attachments)
    }
}

/// A name that a client has made up, cut to what may be told back.
pub(crate) fn shown(name: &str) -> &str {
    name.char_indices().nth(NAME_SHOWN).map_or(name, |(end, _)| &name[..end]) // where a character begins
}

/// One namespace of a server. All futures of one socket in a namespace run one after another, in
/// the order its events came.
pub trait Gateway: Send + Sync + 'static {
    /// May this connection join? `auth` is the payload of CONNECT (Socket.IO) or of the `auth`
    /// frame (plain). An [`Error::Unauthorized`] with reason `missing` on the plain protocol means:
    /// wait for an `auth` frame.
    fn connect(
        &self,
        handshake: Rc<Handshake>,
        auth: Option<Json>,
    ) -> LocalBoxFuture<Result<Welcome, Error>>;

    /// The socket is in; its events are handled after this. For what it is to be told first.
    fn entered(&self, _client: Client) -> LocalBoxFuture<()> {
        Box::pin(std::future::ready(()))
    }

    /// An event has come. An error answers the ack with `{ok:false, error:{code, message}}`, or is
    /// sent as an `error` event.
    fn event(&self, client: Client, event: Incoming) -> LocalBoxFuture<Reply>;

    /// The moment of [`Client::wake_at`] has come.
    fn woken(&self, _client: &Client) {}

    /// The program has said something about this socket, by
    /// [`HubHandle::notify`](crate::HubHandle::notify).
    fn notified(&self, _client: &Client, _notice: &Notice) {}

    /// The socket has left; nothing can be sent to it any more.
    fn disconnect(&self, _client: &Client, _reason: DisconnectReason) {}
}

/// A namespace that anyone may join, and what is done with the events that come.
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
    Arc::new(Open(event))
}

struct Open<F>(F);

impl<F, R> Gateway for Open<F>
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

/// The first value of a key in a query string, decoded.
#[must_use]
pub fn query_value(query: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

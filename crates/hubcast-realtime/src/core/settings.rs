//! The limits and timeouts of a server, as plain data. Defaults are Socket.IO's where Socket.IO has
//! one.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;

/// `(name, older name)` of each event that has an older name.
pub type Aliases = &'static [(&'static str, &'static str)];

/// Every limit of a [`crate::Server`], and the path of Socket.IO.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The path of Socket.IO, which clients name in their option `path`. A slash at its end makes
    /// no difference.
    pub socketio_path: Cow<'static, str>,
    /// The time between a pong and the next ping. Engine.IO's `pingInterval`.
    pub ping_interval: Duration,
    /// How long the server waits for a pong. Engine.IO's `pingTimeout`.
    pub ping_timeout: Duration,
    /// The largest message of a client in bytes, over all its fragments.
    pub max_payload: usize,
    /// How long a connection may exist without joining a namespace, and how long the rest of a
    /// message may take after its first fragment or before its attachments.
    pub connect_timeout: Duration,
    /// The most bytes that may be queued for one connection. Above it, the connection is aborted as
    /// a slow consumer.
    pub outbox_limit: usize,
    /// How long queued bytes may wait without any being written, before the connection is aborted.
    pub stall_timeout: Duration,
    /// How many events a session may send, or `None` for no limit.
    pub event_rate: Option<Quota>,
    /// How many frames a connection may send, or `None` for no limit. Over it, reading pauses.
    /// Every frame counts: a message, each of its fragments and attachments, a ping, a pong, a
    /// no-op, a packet of a POST.
    pub frame_rate: Option<Quota>,
    /// How many bytes a connection may send, or `None` for no limit. Over it, reading pauses.
    pub byte_rate: Option<Quota>,
    /// How long a client may stay over `frame_rate` or `byte_rate`, that is, without a rest in
    /// which half of the burst comes back. Then the connection is closed.
    pub intake_patience: Duration,
    /// How many new sessions an address may open, or `None` for no limit.
    pub connect_rate: Option<Quota>,
    /// The most bytes of events in flight between their publishers and the queues of the
    /// connections. Keep it well below `outbox_limit`, or a burst of publishers aborts connections
    /// of clients that do read.
    pub publish_budget: usize,
    /// How presence is reported to rooms.
    pub presence: PresenceSettings,
    /// Whether each socket first gets a `session` event {session, userId, recovered, serverTime}.
    /// Without it, a client that has received no event has no offset to resume from.
    pub session_event: bool,
    /// Events that are also sent under an older name.
    pub aliases: Aliases,
    /// The event that [`ClientHandle::greet`](crate::ClientHandle::greet) sends to a socket, unless
    /// the socket was sent one of that name since it entered.
    pub greeting: Option<&'static str>,
    /// How many connections may be open.
    pub connections: ConnectionLimits,
    /// The most sockets of one user, or `None` for no limit. When the user opens one more, the one
    /// without a client event for longest is disconnected. It does not count for those whose
    /// [`Welcome`](crate::Welcome) is trusted.
    pub sockets_per_user: Option<usize>,
    /// How long an HTTP connection without a request is kept open.
    pub keep_alive: Duration,
    /// How long the body of a request may take. A body that keeps [`BODY_RATE`] may take
    /// [`BODY_PATIENCE`] times as long.
    pub body_timeout: Duration,
    /// Certificate and key for https and wss, with `http/1.1` as the protocol. If `None`, the
    /// server speaks http and ws.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socketio_path: "/socket.io".into(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
            connect_timeout: Duration::from_secs(45),
            outbox_limit: 1 << 20,
            stall_timeout: Duration::from_secs(10),
            event_rate: Some(quota(100, 200)),
            frame_rate: Some(quota(1_200, 2_400)),
            byte_rate: Some(quota(2_000_000, 8_000_000)),
            intake_patience: Duration::from_secs(30),
            connect_rate: Some(quota(200, 20_000)),
            publish_budget: 512 << 10,
            presence: PresenceSettings::default(),
            session_event: true,
            aliases: &[],
            greeting: None,
            connections: ConnectionLimits::default(),
            sockets_per_user: None,
            keep_alive: Duration::from_secs(75),
            body_timeout: Duration::from_secs(10),
            tls: None,
        }
    }
}

/// Returns a rate of `per_second` with a burst.
const fn quota(per_second: u32, burst: u32) -> Quota {
    let least = NonZeroU32::MIN;
    Quota::per_second(least.saturating_add(per_second - 1))
        .allow_burst(least.saturating_add(burst - 1))
}

/// How many connections may be open.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The most connections, besides `reserved`.
    pub total: usize,
    /// The most connections of one address; an IPv6 network of 64 bits is one address.
    pub per_address: usize,
    /// Further connections when all others are taken, each for one request: for probes, and for
    /// those whom [`Builder::urgent`](crate::Builder::urgent) names.
    pub reserved: usize,
    /// How many more may be accepted that have no place yet, or have lost theirs and are not closed
    /// yet. Beyond it, connections wait to be accepted.
    pub crossing: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 100_000, per_address: 75_000, reserved: 64, crossing: 1024 }
    }
}

/// How presence is reported.
#[derive(Debug, Clone, Copy)]
pub struct PresenceSettings {
    /// The most users in a room for which joins and leaves are reported.
    pub limit: usize,
    /// How long changes are collected before they are reported together.
    pub collect: Duration,
    /// How long after losing its connection a user counts as gone.
    pub linger: Duration,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self { limit: 200, collect: Duration::from_millis(250), linger: Duration::from_secs(5) }
    }
}

/// The most events of one namespace that may wait for the current one. Above it, the connection is
/// not read.
pub(crate) const MAX_WAITING_EVENTS: usize = 64;
/// How long a refusal waits for its close frame: a client that tries again at once, as some loops
/// do, then does so once a second.
pub(crate) const REFUSAL_HOLD: Duration = Duration::from_secs(1);
/// The most refused connections that wait at the same time. Others are closed at once.
pub(crate) const MAX_HELD: usize = 1024;
/// The most fragments of one message.
pub(crate) const MAX_FRAGMENTS: usize = 1024;
/// The most namespaces that one connection may join.
pub(crate) const MAX_NAMESPACES: usize = 16;
/// How many frames a connection may send before it has joined a namespace: 20 a second.
pub(crate) const FRAMES_BEFORE_JOIN: Quota = quota(20, 40);
/// How many bytes a connection may send before it has joined a namespace: 16 KiB a second.
pub(crate) const BYTES_BEFORE_JOIN: Quota = quota(16 << 10, 256 << 10);
/// The largest message before a namespace is joined.
pub(crate) const MAX_BEFORE_JOIN: usize = 128 << 10;
/// A read counts as at least so many bytes.
pub(crate) const LEAST_READ: usize = 128;
/// How long reading pauses at most after an event over `event_rate`.
pub(crate) const MAX_EVENT_PAUSE: Duration = Duration::from_millis(100);
/// The most rooms that one socket may join.
pub const MAX_ROOMS: usize = 256;
/// How many characters of an unknown event's name an error message repeats.
pub(crate) const NAME_SHOWN: usize = 100;
/// How long to wait for the client's close frame after the server's.
pub(crate) const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// The least rate of a request's body, in bytes a second, after [`Settings::body_timeout`]: so much
/// has to arrive in each stretch of that length.
pub const BODY_RATE: u64 = 1024;
/// How many times [`Settings::body_timeout`] a body may take in the end.
pub const BODY_PATIENCE: u32 = 6;
/// The most bytes of HTTP answers that wait for clients that take none. Above it the connection
/// with the most is aborted.
pub(crate) const MAX_UNREAD: usize = 256 << 20;
/// The most bytes of bodies of requests of which the rest is awaited. Above it those go whose
/// clients have sent nothing for longest.
pub(crate) const MAX_BODIES: usize = 128 << 20;
/// The most bytes of polling sessions that have joined no namespace. Above it the oldest ones of
/// the address with the most are ended.
pub(crate) const MAX_NEWCOMERS: usize = 160 << 20;
/// What such a session counts besides what it keeps of its request.
pub(crate) const NEWCOMER: usize = 8 << 10;
/// How long the head of a request may take.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may still send after an answer that came before the end of its request.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// The kernel's send buffer of a connection that speaks HTTP. The rest of an answer waits where it
/// is counted.
pub(crate) const ANSWER_BUFFER: usize = 128 * 1024;
/// The kernel's send buffer per socket, which a slow reader can fill in addition to its queue.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;

//! The limits and times of a server, as plain data. Defaults are Socket.IO's where Socket.IO has
//! one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;

/// (name, older name) of each event that has one.
pub type Aliases = &'static [(&'static str, &'static str)];

/// Every limit of a [`crate::Server`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pause between a pong and the next ping. Engine.IO's `pingInterval`.
    pub ping_interval: Duration,
    /// How long a pong may take. Engine.IO's `pingTimeout`.
    pub ping_timeout: Duration,
    /// The largest message a client may send, in bytes, fragments added up.
    pub max_payload: usize,
    /// How long a connection may live without having joined a namespace; and how long the rest of a
    /// message may take whose first fragment, or whose text ahead of its attachments, has come.
    pub connect_timeout: Duration,
    /// Bytes that may wait for one socket. One more, and it is cut as a slow consumer.
    pub outbox_limit: usize,
    /// How long bytes may wait while not one can be written, before the socket is cut.
    pub stall_timeout: Duration,
    /// Events a socket may send. `None`: no limit.
    pub event_rate: Option<Quota>,
    /// New sessions an address may open. `None`: no limit.
    pub connect_rate: Option<Quota>,
    /// Bytes of events that may be between their publisher and the sockets' queues. Well below
    /// `outbox_limit`, or a crowd that publishes at once cuts those who read.
    pub publish_budget: usize,
    /// How rooms are told who comes and goes.
    pub presence: PresenceSettings,
    /// Whether each socket is told its `session` {session, userId, recovered, serverTime} as its
    /// first event. Without it, a client that has had no event yet has no offset to resume from.
    pub session_event: bool,
    /// Events that are also sent under a second, older name.
    pub aliases: Aliases,
    /// Certificate and key, with `http/1.1` as the protocol: https and wss instead of http and ws.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
            connect_timeout: Duration::from_secs(45),
            outbox_limit: 1 << 20,
            stall_timeout: Duration::from_secs(10),
            event_rate: Some(
                Quota::per_second(NonZeroU32::MIN.saturating_add(99))
                    .allow_burst(NonZeroU32::MIN.saturating_add(199)),
            ),
            connect_rate: Some(
                Quota::per_second(NonZeroU32::MIN.saturating_add(199))
                    .allow_burst(NonZeroU32::MIN.saturating_add(19_999)),
            ),
            publish_budget: 512 << 10,
            presence: PresenceSettings::default(),
            session_event: true,
            aliases: &[],
            tls: None,
        }
    }
}

/// How presence is told.
#[derive(Debug, Clone, Copy)]
pub struct PresenceSettings {
    /// Above so many users in a room, nobody is told who comes and goes.
    pub limit: usize,
    /// Changes are told together, after this long.
    pub collect: Duration,
    /// A lost line counts as a leave after this long.
    pub linger: Duration,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self { limit: 200, collect: Duration::from_millis(250), linger: Duration::from_secs(5) }
    }
}

/// Events of one namespace that may wait behind the one in hand; past it nothing more is read from
/// the connection.
pub(crate) const EVENTS_WAITING: usize = 64;
/// Fragments that one message may come in.
pub(crate) const MAX_FRAGMENTS: usize = 1024;
/// Namespaces that one connection may join.
pub(crate) const MAX_NAMESPACES: usize = 16;
/// Rooms that one socket may be in.
pub const MAX_ROOMS: usize = 256;
/// Characters of an unknown event's name that are told back.
pub(crate) const NAME_SHOWN: usize = 100;
/// How long a closed connection may take to say its own close.
pub(crate) const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// The kernel's send buffer per socket: what a slow reader can pin beside its outbox.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;

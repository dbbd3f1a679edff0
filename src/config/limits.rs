//! How much one client may ask of the server: rates, quotas and caps.

use std::time::Duration;

use clap::Args;

use super::parse::{self, ByteRate, Rate};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Most events that one socket may send: N/s or N/m, optionally ,BURST. All sockets of one
    /// customer together may send five times as many
    #[arg(long, env = "RATE_EVENTS", default_value = "100/s,200")]
    pub rate_events: Rate,
    /// Most frames of any kind that one connection may send: N/s or N/m, optionally ,BURST.
    /// Messages, their fragments and attachments, pings, pongs and no-ops count. Over it reading
    /// pauses, and after 30 s without a rest the connection is closed [default: 12 times
    /// RATE_EVENTS]
    #[arg(long, env = "RATE_FRAMES")]
    pub rate_frames: Option<Rate>,
    /// Most bytes that one connection may send: SIZE/s or SIZE/m, optionally ,BURST. Over it
    /// reading pauses, and after 30 s without a rest the connection is closed
    #[arg(long, env = "RATE_BYTES", default_value = "2MiB/s,8MiB")]
    pub rate_bytes: ByteRate,
    /// Most bytes of events that one customer may cause for each other user, over all its sockets
    /// and calls: SIZE/s or SIZE/m, optionally ,BURST. Over it: 429 with Retry-After, and on
    /// sockets the ack `rate_limited`. Keep the burst well below OUTBOX_LIMIT. For everyone, by
    /// changes of products, all customers together may cause four times the rate, with the same
    /// burst. Admins are not counted
    #[arg(long, env = "RATE_PUBLISH", default_value = "64KiB/s,512KiB")]
    pub rate_publish: ByteRate,
    /// Most sign-ins and registrations per account and address: N/s or N/m, optionally ,BURST. Of
    /// an account from all addresses together the same rate, with four times the burst, but from
    /// those where it has signed in before without it
    #[arg(long, env = "RATE_LOGIN", default_value = "30/m")]
    pub rate_login: Rate,
    /// Most sign-ins per address (of IPv6, per network of 64 bits) for all accounts together, but
    /// for those that have signed in there before: N/s or N/m, optionally ,BURST
    #[arg(long, env = "RATE_LOGIN_ADDRESS", default_value = "60/m,1000")]
    pub rate_login_address: Rate,
    /// Most registrations per address (of IPv6, per network of 64 bits): N/s or N/m, optionally
    /// ,BURST
    #[arg(long, env = "RATE_REGISTER", default_value = "20/m,50")]
    pub rate_register: Rate,
    /// Most REST requests per customer: N/s or N/m, optionally ,BURST. Over it: 429 with
    /// Retry-After. Admins are not counted. An address may send ten times as many without a good
    /// token
    #[arg(long, env = "RATE_REST", default_value = "50/s,200")]
    pub rate_rest: Rate,
    /// Most bytes in the bodies of a customer's REST requests: SIZE/s or SIZE/m, optionally ,BURST,
    /// with sizes in bytes, KiB or MiB. Over it: 429 with Retry-After. Admins are not counted
    #[arg(long, env = "RATE_REST_BYTES", default_value = "64KiB/s,4MiB")]
    pub rate_rest_bytes: ByteRate,
    /// Most things of one kind that a customer may have: products, projects, conversations,
    /// reviews, places on waitlists, unpaid orders, stages of a project. Over it: 409. Of the
    /// answers kept for Idempotency-Keys the oldest go. Admins have no quota
    #[arg(long, env = "QUOTA_ITEMS", default_value = "10000", value_parser = parse::count)]
    pub quota_items: usize,
    /// Most members of a conversation or a project to which a customer adds some. Over it: 409
    #[arg(long, env = "QUOTA_MEMBERS", default_value = "1000", value_parser = parse::count)]
    pub quota_members: usize,
    /// Most bytes of texts that are stored for a customer, each row counting 200 more: bytes, KiB
    /// or MiB. Over it: 409. Admins have no quota
    #[arg(long, env = "QUOTA_BYTES", default_value = "1024MiB", value_parser = parse::size)]
    pub quota_bytes: usize,
    /// Most new sessions of sockets per address: N/s or N/m, optionally ,BURST. A network of IPv6
    /// of 64 bits is one address
    #[arg(long, env = "RATE_CONNECT", default_value = "200/s,20000")]
    pub rate_connect: Rate,
    /// Most invitations that one user may have sent within 30 days without an answer of yes, and
    /// most open ones that one user may have received
    #[arg(long, env = "INVITATION_LIMIT", default_value = "100", value_parser = parse::count)]
    pub invitation_limit: usize,
    /// Most open connections, sockets and HTTP together [default: 100000, or what the limit of open
    /// files leaves, which the log names at the start]
    #[arg(long, env = "MAX_CONNECTIONS", value_parser = parse::positive)]
    pub max_connections: Option<usize>,
    /// Most open connections of one address. A network of IPv6 of 64 bits is one address;
    /// TRUSTED_PROXIES are none, and each of their clients is one [default: three quarters of
    /// MAX_CONNECTIONS]
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", value_parser = parse::positive)]
    pub connections_per_address: Option<usize>,
    /// Most sockets of one user on one server, admins excepted. When one more enters, the one whose
    /// client has sent no event for longest is disconnected, for good. Never more than a quarter of
    /// MAX_CONNECTIONS
    #[arg(
        long, env = "SOCKETS_PER_USER", default_value = "200", value_parser = parse::positive
    )]
    pub sockets_per_user: usize,
    /// Time within which the body of a request has to arrive: ms, s, m or h. Up to six times as
    /// long at 1 KiB a second or more
    #[arg(long, env = "BODY_TIMEOUT", default_value = "10s", value_parser = parse::duration)]
    pub body_timeout: Duration,
}

impl LimitSettings {
    /// How many frames an event can have: itself, ten attachments, and as much again for pings.
    const FRAMES_PER_EVENT: u32 = 12;

    /// RATE_EVENTS of all sockets of one customer.
    #[must_use]
    pub fn rate_events_of_user(&self) -> Rate {
        self.rate_events.times(5)
    }

    /// RATE_FRAMES, or what RATE_EVENTS needs.
    #[must_use]
    pub fn rate_frames(&self) -> Rate {
        self.rate_frames.unwrap_or(self.rate_events.times(Self::FRAMES_PER_EVENT))
    }
}

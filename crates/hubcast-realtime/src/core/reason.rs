//! Why a session ends: the one catalogue, with the WebSocket close code and whether the client
//! should come back.

use actix_web_actors::ws::{CloseCode, CloseReason};

/// Every way a session can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client is through: a DISCONNECT, on the plain protocol a close frame.
    ClientClosed,
    /// The line broke, or was closed as a page that is left closes it, or by Engine.IO's close
    /// packet: without a word that it is for good.
    TransportLost,
    /// No pong within the ping time-out.
    PingTimeout,
    /// No namespace was joined in time.
    ConnectTimeout,
    /// A message was begun, in fragments or with attachments, and the rest did not come in time.
    Unfinished,
    /// A packet or frame that breaks the protocol.
    ParseError,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A message over the limit, in bytes or in fragments.
    TooLarge,
    /// The client joins namespaces over and over.
    RateLimited,
    /// The client reads more slowly than events come.
    SlowConsumer,
    /// Plain protocol: no or a bad token. On either: the token was good, and is not any more.
    Unauthorized,
    /// The token's time is over.
    TokenExpired,
    /// Plain protocol: this namespace is not for this user.
    Forbidden,
    /// Plain protocol: no such namespace.
    UnknownNamespace,
    /// Plain protocol: not JSON, or a first frame other than `auth`.
    BadFrame,
    /// The server can not take it right now.
    Unavailable,
    /// The server is going down.
    Shutdown,
    /// The client has come back on another connection, and goes on there.
    TakenOver,
    /// A gateway asked for it.
    Kicked,
}

impl DisconnectReason {
    /// The name in logs and in the close frame's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::TransportLost => "transport_lost",
            Self::PingTimeout => "ping_timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::Unfinished => "unfinished",
            Self::ParseError => "parse_error",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::SlowConsumer => "slow_consumer",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::UnknownNamespace => "unknown_namespace",
            Self::BadFrame => "bad_frame",
            Self::Unavailable => "unavailable",
            Self::Shutdown => "server_shutdown",
            Self::TakenOver => "taken_over",
            Self::Kicked => "kicked",
        }
    }

    /// The close code (RFC 6455 section 7.4; 4xxx are the plain protocol's own).
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::ClientClosed | Self::TransportLost | Self::TakenOver | Self::Kicked => 1000,
            Self::PingTimeout
            | Self::ConnectTimeout
            | Self::Unfinished
            | Self::RateLimited
            | Self::SlowConsumer => 1008,
            Self::ParseError => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::Unauthorized | Self::TokenExpired => 4401,
            Self::Forbidden => 4403,
            Self::UnknownNamespace => 4404,
            Self::BadFrame => 4400,
            Self::Unavailable => 1013,
            Self::Shutdown => 1001,
        }
    }

    /// Whether the line broke, against an end that somebody wanted: the same client may be back in
    /// a moment, and resume its session.
    #[must_use]
    pub fn is_connection_loss(self) -> bool {
        matches!(
            self,
            Self::TransportLost
                | Self::PingTimeout
                | Self::Unfinished
                | Self::SlowConsumer
                | Self::Unavailable
                | Self::Shutdown
                | Self::TakenOver
        )
    }

    /// Whether a client that polls, and has no poll here, is to hear of the end by its next one:
    /// the server wanted it, and what it said last may still wait there. Else the session is
    /// unknown at once, as in the reference server when a client breaks the protocol or is not
    /// heard of in time.
    #[must_use]
    pub fn flushes_before_close(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Shutdown
                | Self::Kicked
                | Self::Unauthorized
                | Self::TokenExpired
        )
    }

    /// Whether the same client can expect better luck later.
    #[must_use]
    pub fn come_back(self) -> bool {
        !matches!(
            self,
            Self::ClientClosed
                | Self::Unauthorized
                | Self::TokenExpired
                | Self::Forbidden
                | Self::UnknownNamespace
                | Self::BadFrame
                | Self::TooLarge
                | Self::Kicked
        )
    }
}

impl From<DisconnectReason> for CloseReason {
    fn from(reason: DisconnectReason) -> Self {
        Self { code: CloseCode::from(reason.code()), description: Some(reason.as_str().to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_frame_codec() {
        for reason in [
            DisconnectReason::Unauthorized,
            DisconnectReason::TooLarge,
            DisconnectReason::Shutdown,
            DisconnectReason::BadFrame,
            DisconnectReason::Unavailable,
        ] {
            assert_eq!(u16::from(CloseReason::from(reason).code), reason.code());
        }
    }
}

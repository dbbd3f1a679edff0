//! The reasons for which a session ends, each with its WebSocket close code and whether the client
//! should reconnect.

use crate::core::ws::{CloseCode, CloseReason};

/// The reason for which a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client ended the session: a DISCONNECT, or on the plain protocol close code 1000.
    ClientClosed,
    /// The connection broke, or was closed without a DISCONNECT: the user left the page, the client
    /// sent Engine.IO's close packet, or an application gave a connection up (close codes from
    /// 3000).
    TransportLost,
    /// No pong arrived within the ping timeout.
    PingTimeout,
    /// The client joined no namespace in time.
    ConnectTimeout,
    /// The rest of a message, of fragments or with attachments, did not arrive in time.
    Unfinished,
    /// A packet or frame violates the protocol.
    ParseError,
    /// A text is not UTF-8.
    NotUtf8,
    /// A message exceeds the limit of bytes or fragments.
    TooLarge,
    /// The client sends too much: too many frames or bytes for too long, or too many CONNECTs.
    RateLimited,
    /// The client reads more slowly than events are sent.
    SlowConsumer,
    /// The client has no valid token (plain protocol), or its token was revoked (both protocols).
    Unauthorized,
    /// The token has expired.
    TokenExpired,
    /// The user may not join this namespace (plain protocol).
    Forbidden,
    /// The namespace is unknown (plain protocol).
    UnknownNamespace,
    /// A frame is not JSON, or the first frame is not `auth` (plain protocol).
    BadFrame,
    /// The server cannot serve the session right now.
    Unavailable,
    /// The server is shutting down.
    Shutdown,
    /// The client resumed the session on another connection.
    TakenOver,
    /// A gateway disconnected the socket.
    Kicked,
    /// The user has opened more sockets than one user may have.
    TooManySockets,
}

impl DisconnectReason {
    /// Returns the name in logs and in the text of the close frame.
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
            Self::TooManySockets => "too_many_sockets",
        }
    }

    /// Returns the close code (RFC 6455 section 7.4; the plain protocol defines 4xxx).
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
            Self::TooManySockets => 4429,
            Self::Unavailable => 1013,
            Self::Shutdown => 1001,
        }
    }

    /// Returns true if only the connection ended, and the client may return and resume its session.
    /// A fault on the way counts as that too: what breaks a frame may be a proxy, and an official
    /// client reconnects after any close. Only an end that somebody wanted ends the session.
    #[must_use]
    pub fn is_connection_loss(self) -> bool {
        !matches!(
            self,
            Self::ClientClosed
                | Self::Kicked
                | Self::Unauthorized
                | Self::TokenExpired
                | Self::Forbidden
                | Self::UnknownNamespace
                | Self::TooManySockets
        )
    }

    /// Returns true if a polling client without an open request should learn of the end with its
    /// next poll, because the server wanted it and frames may still wait there. Otherwise the
    /// session is unknown at once, as in the reference server after a protocol error or a timeout.
    #[must_use]
    pub fn flushes_before_close(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Shutdown
                | Self::Kicked
                | Self::TooManySockets
                | Self::Unauthorized
                | Self::TokenExpired
        )
    }

    /// Returns true if it makes sense for the same client to reconnect.
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
                | Self::TooManySockets
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
    fn a_fault_ends_the_connection_and_not_the_session() {
        for fault in [
            DisconnectReason::ParseError,
            DisconnectReason::NotUtf8,
            DisconnectReason::TooLarge,
            DisconnectReason::BadFrame,
            DisconnectReason::RateLimited,
        ] {
            assert!(fault.is_connection_loss(), "{fault:?}");
        }
        for end in [
            DisconnectReason::ClientClosed,
            DisconnectReason::Kicked,
            DisconnectReason::Unauthorized,
            DisconnectReason::TokenExpired,
            DisconnectReason::TooManySockets,
        ] {
            assert!(!end.is_connection_loss(), "{end:?}");
        }
    }

    #[test]
    fn codes_survive_the_frame_codec() {
        for reason in [
            DisconnectReason::Unauthorized,
            DisconnectReason::TooLarge,
            DisconnectReason::Shutdown,
            DisconnectReason::BadFrame,
            DisconnectReason::Unavailable,
            DisconnectReason::TooManySockets,
        ] {
            assert_eq!(u16::from(CloseReason::from(reason).code), reason.code());
        }
    }
}

//! The refusals of a gateway and the failures of a log, as clients see them.
//!
//! A program converts its own errors into [`Error`] where it implements
//! [`Gateway`](crate::Gateway) and [`Log`](crate::Log). The server sends [`Error::code`] and
//! [`Error::message`] in acks and in `error` events, and reads the variant to choose how a refused
//! connection closes.

use std::fmt;

/// The reason for which a client has no valid identity. On the wire it is the `reason` of
/// CONNECT_ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthFailure {
    /// The client sent no token.
    Missing,
    /// The token has expired.
    Expired,
    /// The token is invalid for another reason: a bad signature, bad claims, an unknown user.
    Invalid,
}

impl AuthFailure {
    /// Returns the wire form: `missing`, `expired` or `invalid`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }
}

/// The reason for which a socket or an event is refused. Its texts reach the client, so they
/// contain no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The client has no valid identity.
    Unauthorized(AuthFailure),
    /// The socket's token has expired.
    TokenExpired,
    /// The identity is valid, but not allowed here.
    Forbidden,
    /// The client's event or its arguments are wrong. The text explains the fault.
    BadRequest(String),
    /// The client sends events faster than the limit allows.
    RateLimited,
    /// The server cannot serve the request now; the client may try again.
    Unavailable(&'static str),
    /// The program has failed; its own log has the cause.
    Internal,
    /// Any other refusal, with a code of the program's own.
    Other { code: &'static str, message: String },
}

impl Error {
    /// Returns the code that clients see, in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::BadRequest(_) => "invalid",
            Self::RateLimited => "rate_limited",
            Self::Unavailable(_) | Self::Internal => "unavailable",
            Self::Other { code, .. } => code,
        }
    }

    /// Returns the text that clients see.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Unauthorized(_) => "Unauthorized",
            Self::TokenExpired => "The token has expired",
            Self::Forbidden => "Forbidden resource",
            Self::BadRequest(text) => text,
            Self::RateLimited => "Too many requests",
            Self::Unavailable(text) => text,
            Self::Internal => "Internal server error",
            Self::Other { message, .. } => message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

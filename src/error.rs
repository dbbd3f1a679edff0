//! The one error catalogue. Every verb, door and socket speaks of a failure in these terms; nothing
//! else names a status or a code.
//!
//! [`Error::code`] is what sockets get (`{ok:false, error:{code, message}}`), [`Error::status`]
//! what REST gets, in NestJS's shape (`http/error.rs` renders it). This module knows no transport,
//! no database and no domain.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Why no identity could be had from a request. On the wire: `reason` of CONNECT_ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthFailure {
    /// No token in any of the places.
    Missing,
    /// The token was ours once; its `exp` has passed.
    Expired,
    /// Anything else: bad signature, bad claims, unknown user.
    Invalid,
}

impl AuthFailure {
    /// The wire form: `missing`, `expired` or `invalid`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }
}

/// The codes that sockets see. One list; the contract names the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Unauthorized,
    Forbidden,
    NotFound,
    Invalid,
    RateLimited,
    Conflict,
    TooLarge,
    Unavailable,
    TokenExpired,
    /// In the close reason only: who reads too slowly is told nothing more.
    SlowConsumer,
}

impl Code {
    /// Every one, in the order of its declaration.
    pub const ALL: [Self; 10] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Invalid,
        Self::RateLimited,
        Self::Conflict,
        Self::TooLarge,
        Self::Unavailable,
        Self::TokenExpired,
        Self::SlowConsumer,
    ];

    /// The wire form, snake_case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::RateLimited => "rate_limited",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::TokenExpired => "token_expired",
            Self::SlowConsumer => "slow_consumer",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What can go wrong for a caller. Texts are for people and never hold a token, a password or
/// another's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// 401. No valid identity.
    Unauthorized(AuthFailure),
    /// 401. The time of a socket's token is over.
    TokenExpired,
    /// 401 on login. A wrong e-mail and a wrong password read the same.
    BadCredentials,
    /// 403. Known, but not allowed.
    Forbidden,
    /// 404. Also what another's thing looks like.
    NotFound(String),
    /// 400 with every fault found, as NestJS's validation pipe lists them.
    Faults(Vec<String>),
    /// 400 with one text: a path parameter, a body that is not JSON.
    BadRequest(String),
    /// 409. The state does not allow it.
    Conflict(String),
    /// 413.
    TooLarge,
    /// 422. The same Idempotency-Key with another body.
    KeyReused,
    /// 429, with the time after which a retry can succeed.
    RateLimited(Duration),
    /// 503. Nothing was written; a retry can succeed.
    Unavailable(&'static str),
    /// 501. This server is set up without it.
    NotImplemented(&'static str),
    /// 500. A fault of ours; the log has it.
    Internal,
}

impl Error {
    /// The socket code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unauthorized(_) | Self::BadCredentials => Code::Unauthorized,
            Self::TokenExpired => Code::TokenExpired,
            Self::Forbidden => Code::Forbidden,
            Self::NotFound(_) => Code::NotFound,
            Self::Faults(_) | Self::BadRequest(_) | Self::NotImplemented(_) => Code::Invalid,
            Self::Conflict(_) | Self::KeyReused => Code::Conflict,
            Self::TooLarge => Code::TooLarge,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Unavailable(_) | Self::Internal => Code::Unavailable,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Faults(_) | Self::BadRequest(_) => 400,
            Self::Unauthorized(_) | Self::TokenExpired | Self::BadCredentials => 401,
            Self::Forbidden => 403,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::TooLarge => 413,
            Self::KeyReused => 422,
            Self::RateLimited(_) => 429,
            Self::Internal => 500,
            Self::NotImplemented(_) => 501,
            Self::Unavailable(_) => 503,
        }
    }

    /// Each text on its own: all the faults, else the one [`Error::message`].
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        match self {
            Self::Faults(faults) => faults.clone(),
            _ => vec![self.message()],
        }
    }

    /// The text for people; several faults are joined.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Unauthorized(_) => "Unauthorized".into(),
            Self::TokenExpired => "The token has expired".into(),
            Self::BadCredentials => "Invalid email or password".into(),
            Self::Forbidden => "Forbidden resource".into(),
            Self::NotFound(text) | Self::BadRequest(text) | Self::Conflict(text) => text.clone(),
            Self::Faults(faults) => faults.join(", "),
            Self::TooLarge => "Payload too large".into(),
            Self::KeyReused => "Idempotency-Key was used with another body".into(),
            Self::RateLimited(_) => "Too many requests".into(),
            Self::NotImplemented(text) | Self::Unavailable(text) => (*text).into(),
            Self::Internal => "Internal server error".into(),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Error {}

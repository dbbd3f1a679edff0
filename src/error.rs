//! The error catalogue. All service functions and entry points report failures as [`Error`]; no
//! other module names a status or a code.
//!
//! Sockets get [`Error::code`] (`{ok:false, error:{code, message}}`), REST gets [`Error::status`]
//! in NestJS's format, which `http/error.rs` writes. This module knows no transport, no database
//! and no domain.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// Why a request has no valid identity. On the wire: `reason` of CONNECT_ERROR and of a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthFailure {
    /// The request has no token.
    Missing,
    /// The token is valid but for its `exp`, which has passed.
    Expired,
    /// Any other fault: the signature, the claims, an unknown user.
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

/// The error codes that sockets get.
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
    /// A close reason only: nothing more is sent to a client that reads too slowly.
    SlowConsumer,
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": Self::ALL.map(Self::as_str)})
    }
}

impl Code {
    /// All codes, in the order of their declaration.
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

/// A failure, as a caller sees it. The texts are for people, and never contain a token, a password
/// or another user's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// 401. No valid identity.
    Unauthorized(AuthFailure),
    /// 401. The token of a socket has expired.
    TokenExpired,
    /// 401 on login. The same for a wrong e-mail and a wrong password.
    BadCredentials,
    /// 403. The caller is known, but not allowed to do this.
    Forbidden,
    /// 403. The request was sent to a name that is not this server's.
    UnknownHost,
    /// 404. Also for things of other users, so that their existence is not revealed.
    NotFound(String),
    /// 400 with a text for each fault, like NestJS's validation pipe.
    Faults(Vec<String>),
    /// 400 with one text, for a path parameter or a body that is not JSON.
    BadRequest(String),
    /// 409. The present state does not allow this.
    Conflict(String),
    /// 408. The body did not arrive in time.
    TooSlow,
    /// 413.
    TooLarge,
    /// 422. The Idempotency-Key was used before, with another body.
    KeyReused,
    /// 429, with the time to wait before a retry.
    RateLimited(Duration),
    /// 503. Nothing was written; a retry can succeed.
    Unavailable(&'static str),
    /// 501. This server's settings exclude the operation.
    NotImplemented(&'static str),
    /// 500. A fault of the server, which is in the log.
    Internal,
}

/// The most faults that one answer names.
const MOST_FAULTS: usize = 20;
/// The most characters of a caller's own text that an error repeats.
const MOST_REPEATED: usize = 100;

/// The beginning of a caller's own text, as an error repeats it.
#[must_use]
pub fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl Error {
    /// [`Error::Faults`] with the first faults, and the number of the others.
    #[must_use]
    pub fn faults(faults: impl IntoIterator<Item = String>) -> Self {
        let mut faults = faults.into_iter();
        let mut named: Vec<String> = faults.by_ref().take(MOST_FAULTS).collect();
        match faults.count() {
            0 => {}
            more => named.push(format!("… and {more} more")),
        }
        Self::Faults(named)
    }

    /// The code for sockets.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unauthorized(_) | Self::BadCredentials => Code::Unauthorized,
            Self::TokenExpired => Code::TokenExpired,
            Self::Forbidden | Self::UnknownHost => Code::Forbidden,
            Self::NotFound(_) => Code::NotFound,
            Self::Faults(_) | Self::BadRequest(_) | Self::NotImplemented(_) => Code::Invalid,
            Self::Conflict(_) | Self::KeyReused => Code::Conflict,
            Self::TooSlow => Code::Unavailable,
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
            Self::Forbidden | Self::UnknownHost => 403,
            Self::NotFound(_) => 404,
            Self::TooSlow => 408,
            Self::Conflict(_) => 409,
            Self::TooLarge => 413,
            Self::KeyReused => 422,
            Self::RateLimited(_) => 429,
            Self::Internal => 500,
            Self::NotImplemented(_) => 501,
            Self::Unavailable(_) => 503,
        }
    }

    /// The texts of all faults, or else the one [`Error::message`].
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        match self {
            Self::Faults(faults) => faults.clone(),
            _ => vec![self.message()],
        }
    }

    /// The text for people, with several faults joined by commas.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Unauthorized(_) => "Unauthorized".into(),
            Self::TokenExpired => "The token has expired".into(),
            Self::BadCredentials => "Invalid email or password".into(),
            Self::Forbidden => "Forbidden resource".into(),
            Self::UnknownHost => "This Host is not this server's; call it by localhost or an \
                                  address, or name the host's Origin in CORS_ORIGINS"
                .into(),
            Self::NotFound(text) | Self::BadRequest(text) | Self::Conflict(text) => text.clone(),
            Self::Faults(faults) => faults.join(", "),
            Self::TooSlow => "The body did not arrive in time".into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_some_faults_and_repeats_the_beginning_of_a_text() {
        let faults = |count: usize| Error::faults((0..count).map(|n| n.to_string())).messages();
        assert_eq!(faults(2), ["0", "1"]);
        assert_eq!(faults(20).len(), 20);
        assert_eq!(faults(1_000).len(), 21);
        assert_eq!(faults(1_000)[19..], ["19", "… and 980 more"]);
        assert_eq!(excerpt("five"), "five");
        assert_eq!(excerpt(&"ä".repeat(100)), "ä".repeat(100));
        assert_eq!(excerpt(&"ä".repeat(101)), format!("{}…", "ä".repeat(100)));
    }
}

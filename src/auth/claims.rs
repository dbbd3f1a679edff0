//! The claims of a token: those that this server signs, and those that it reads from any issuer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::IssuedAt;
use crate::error::AuthFailure;
use crate::model::{ExternalIdentity, ExternalUser, Role, Timestamp};

/// The last second of the year 9999. RFC 3339 has no later year, so later times are cut to this
/// one.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims of a token that this server signs.
#[derive(Serialize)]
pub(super) struct SignedClaims<'a> {
    pub(super) sub: String,
    pub(super) role: Role,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
    /// The number of times that all tokens of the user have been ended.
    pub(super) generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<&'a str>,
}

/// The claims of a token from any issuer. The library checks the registered claims as well.
#[derive(Deserialize)]
pub(super) struct ReceivedClaims {
    sub: Subject,
    pub(super) role: Option<Role>,
    exp: f64,
    iat: Option<f64>,
    generation: Option<Value>,
    iss: Option<Value>,
    name: Option<Value>,
    email: Option<Value>,
    email_verified: Option<Value>,
}

/// RFC 7519 has a string only; a number is accepted too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Subject {
    Number(u64),
    Text(String),
}

impl ReceivedClaims {
    pub(super) fn subject(&self) -> String {
        match &self.sub {
            Subject::Number(number) => number.to_string(),
            Subject::Text(text) => text.clone(),
        }
    }

    pub(super) fn expires_at(&self, now: Timestamp) -> Result<Timestamp, AuthFailure> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number between 0 and LAST_SECOND"
        )]
        let exp = self.exp.clamp(0.0, LAST_SECOND).floor() as i64;
        let expires_at = Timestamp::from_unix_seconds(exp).ok_or(AuthFailure::Invalid)?;
        if expires_at <= now { Err(AuthFailure::Expired) } else { Ok(expires_at) }
    }

    /// The generation or the time of a token that is signed with JWT_SECRET, by this server or by
    /// another program.
    pub(super) fn generation_or_time(&self) -> Result<IssuedAt, AuthFailure> {
        match &self.generation {
            None => Ok(self.time()),
            Some(generation) => {
                generation.as_i64().map(IssuedAt::Generation).ok_or(AuthFailure::Invalid)
            }
        }
    }

    pub(super) fn time(&self) -> IssuedAt {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number between 0 and LAST_SECOND, in milliseconds"
        )]
        let time = (self.iat.unwrap_or_default().clamp(0.0, LAST_SECOND) * 1000.0).floor() as i64;
        IssuedAt::Time(time)
    }

    /// The user in the words of another issuer. A name or an e-mail that is not text is ignored,
    /// and so is an e-mail that the token calls unverified.
    pub(super) fn outsider(&self) -> Result<ExternalUser, AuthFailure> {
        let issuer = match &self.iss {
            None => "",
            Some(issuer) => issuer.as_str().ok_or(AuthFailure::Invalid)?,
        };
        let id =
            ExternalIdentity::new(issuer.to_owned(), self.subject()).ok_or(AuthFailure::Invalid)?;
        let is_unverified = self
            .email_verified
            .as_ref()
            .is_some_and(|verified| *verified == Value::Bool(false) || verified == "false");
        let email = self.email.as_ref().and_then(Value::as_str).filter(|_| !is_unverified);
        Ok(ExternalUser::new(id, self.name.as_ref().and_then(Value::as_str), email))
    }
}

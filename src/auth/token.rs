//! Tokens: JWT (RFC 7519) signed with HS256.
//!
//! The library's defaults are not ours: no leeway, `nbf` counts, `aud` and `iss` are asked for exactly when they are set, and a token is over
//! *at* its `exp`, not one second after it.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{Identity, Issue, Token, TokenId};
use crate::config::{AuthSettings, Secret};
use crate::error::{AuthFailure, Error};
use crate::model::{Role, Timestamp, UserId};

/// Longer ones are not looked at. Ours have about 250 bytes; headers allow a few KiB.
const MAX_TOKEN: usize = 8 * 1024;
/// The last second of the year 9999: RFC 3339 has no later year, so no token ends later for us.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Signs and checks tokens with the one key that this server was given.
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    rules: Validation,
    issuer: Option<String>,
    audience: Option<String>,
}

/// A fresh token.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    pub token: String,
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: String,
    role: Role,
    iat: i64,
    exp: i64,
    jti: String,
    /// How many times all of the user's tokens have ended before.
    generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// What is read of a token, ours or another's that holds the key. The registered claims are checked by the library besides.
#[derive(Deserialize)]
struct Read {
    sub: Subject,
    role: Option<Role>,
    exp: f64,
    iat: Option<f64>,
    generation: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Subject {
    Number(u64),
    Text(String),
}

impl Tokens {
    #[must_use]
    pub fn new(key: &Secret, settings: &AuthSettings) -> Self {
        let key = key.expose().as_bytes();
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.validate_nbf = true;
        // `sub` is asked for by `Read`: the library knows it as a string only.
        let mut required = vec!["exp"];
        if let Some(issuer) = &settings.jwt_issuer {
            rules.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &settings.jwt_audience {
            Some(audience) => {
                rules.set_audience(&[audience]);
                required.push("aud");
            }
            None => rules.validate_aud = false,
        }
        rules.set_required_spec_claims(&required);
        Self {
            signing: EncodingKey::from_secret(key),
            checking: DecodingKey::from_secret(key),
            rules,
            issuer: settings.jwt_issuer.clone(),
            audience: settings.jwt_audience.clone(),
        }
    }

    /// A token for this user that is good for `ttl`. `generation`: as the user's tokens have it now.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be signed, which HMAC does not do.
    pub fn issue(&self, user: UserId, role: Role, generation: i64, ttl: Duration) -> Result<Issued, Error> {
        let iat = Timestamp::now().unix_seconds();
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let expires_at = Timestamp::from_unix_seconds(iat.saturating_add(ttl)).ok_or(Error::Internal)?;
        let claims = Claims {
            sub: user.to_string(),
            role,
            iat,
            exp: expires_at.unix_seconds(),
            jti: format!("{:032x}", rand::random::<u128>()),
            generation,
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(|error| {
            tracing::error!(%error, "a token could not be signed");
            Error::Internal
        })?;
        Ok(Issued { token, expires_at })
    }

    /// Checks signature and claims. That the user exists, and that the token was not ended, is for the caller to ask.
    ///
    /// # Errors
    /// [`AuthFailure::Expired`] for a token that was good once, [`AuthFailure::Invalid`] for everything else.
    pub fn verify(&self, token: &str) -> Result<Token, AuthFailure> {
        if token.len() > MAX_TOKEN {
            return Err(AuthFailure::Invalid);
        }
        let data = jsonwebtoken::decode::<Read>(token, &self.checking, &self.rules).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => AuthFailure::Expired,
            _ => AuthFailure::Invalid,
        })?;
        // An extension that has to be understood (RFC 7515, 4.1.11); we understand none.
        if data.header.crit.is_some() {
            return Err(AuthFailure::Invalid);
        }
        let identity = identity(&data.claims, Timestamp::now())?;
        Ok(Token { identity, id: TokenId::of(token), issue: issue(&data.claims) })
    }
}

fn identity(claims: &Read, now: Timestamp) -> Result<Identity, AuthFailure> {
    let user = match &claims.sub {
        Subject::Number(number) => number.to_string().parse(),
        Subject::Text(text) => text.parse(),
    };
    let user = user.map_err(|_| AuthFailure::Invalid)?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number between 0 and LAST_SECOND")]
    let exp = claims.exp.clamp(0.0, LAST_SECOND).floor() as i64;
    let expires_at = Timestamp::from_unix_seconds(exp).ok_or(AuthFailure::Invalid)?;
    if expires_at <= now {
        return Err(AuthFailure::Expired);
    }
    Ok(Identity { user, role: claims.role.unwrap_or(Role::Customer), expires_at })
}

fn issue(claims: &Read) -> Issue {
    #[expect(clippy::cast_possible_truncation, reason = "a number between 0 and LAST_SECOND, in milliseconds")]
    let made = || (claims.iat.unwrap_or_default().clamp(0.0, LAST_SECOND) * 1000.0).floor() as i64;
    claims.generation.map_or_else(|| Issue::At(made()), Issue::Generation)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "a key for tests";

    fn settings(issuer: Option<&str>, audience: Option<&str>) -> AuthSettings {
        AuthSettings { jwt_secret: None, jwt_issuer: issuer.map(Into::into), jwt_audience: audience.map(Into::into) }
    }

    fn tokens() -> Tokens {
        Tokens::new(&Secret::from(KEY.to_owned()), &settings(None, None))
    }

    fn sign(claims: &Value, header: &Header) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(KEY.as_bytes())).expect("signs")
    }

    fn check(claims: &Value) -> Result<(i64, Role), AuthFailure> {
        tokens().verify(&sign(claims, &Header::default())).map(|token| (token.identity.user.0, token.identity.role))
    }

    fn now() -> i64 {
        Timestamp::now().unix_seconds()
    }

    #[test]
    fn what_was_issued_is_good() {
        let issued = tokens().issue(UserId(7), Role::Admin, 5, Duration::from_secs(60)).expect("issues");
        let identity = Identity { user: UserId(7), role: Role::Admin, expires_at: issued.expires_at };
        let token = Token { identity, id: TokenId::of(&issued.token), issue: Issue::Generation(5) };
        assert_eq!(tokens().verify(&issued.token), Ok(token));
    }

    #[test]
    fn sub_is_a_string_or_a_number_and_no_role_is_customer() {
        let exp = now() + 60;
        assert_eq!(check(&json!({"sub": "7", "exp": exp})), Ok((7, Role::Customer)));
        assert_eq!(check(&json!({"sub": 7, "exp": exp, "role": "admin"})), Ok((7, Role::Admin)));
        for sub in [json!("x"), json!(""), json!(-7), json!(0), json!(7.5), json!(null), json!(["7"])] {
            assert_eq!(check(&json!({"sub": sub, "exp": exp})), Err(AuthFailure::Invalid), "{sub}");
        }
        assert_eq!(check(&json!({"exp": exp})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": exp, "role": "root"})), Err(AuthFailure::Invalid));
    }

    #[test]
    fn a_token_ends_at_exp_without_leeway_and_needs_one() {
        assert_eq!(check(&json!({"sub": "7", "exp": now()})), Err(AuthFailure::Expired));
        assert_eq!(check(&json!({"sub": "7", "exp": now() - 1})), Err(AuthFailure::Expired));
        assert_eq!(check(&json!({"sub": "7"})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": "tomorrow"})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": 1e18})), Ok((7, Role::Customer)));
    }

    #[test]
    fn a_token_says_when_it_was_made_by_generation_or_iat() {
        let issue = |claims: Value| tokens().verify(&sign(&claims, &Header::default())).map(|token| token.issue);
        let exp = now() + 60;
        assert_eq!(issue(json!({"sub": 7, "exp": exp, "iat": 12, "generation": 3})), Ok(Issue::Generation(3)));
        assert_eq!(issue(json!({"sub": 7, "exp": exp, "iat": 12.5})), Ok(Issue::At(12_500)));
        assert_eq!(issue(json!({"sub": 7, "exp": exp})), Ok(Issue::At(0)));
        for claims in [json!({"sub": 7, "exp": exp, "generation": "3"}), json!({"sub": 7, "exp": exp, "iat": "12"})] {
            assert_eq!(issue(claims), Err(AuthFailure::Invalid));
        }
    }

    #[test]
    fn nbf_counts() {
        assert_eq!(check(&json!({"sub": "7", "exp": now() + 60, "nbf": now() + 30})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": now() + 60, "nbf": now()})), Ok((7, Role::Customer)));
    }

    #[test]
    fn a_foreign_key_another_algorithm_or_none_is_invalid() {
        let claims = json!({"sub": "7", "exp": now() + 60});
        let foreign = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"other")).expect("signs");
        let hs512 = sign(&claims, &Header::new(Algorithm::HS512));
        // {"alg":"none"}.{"sub":"7","exp":9999999999}.
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        let critical = sign(&claims, &Header { crit: Some(vec!["b64".into()]), ..Header::default() });
        for token in [foreign.as_str(), &hs512, none, &critical, "", "a.b.c", "nonsense", &"x".repeat(MAX_TOKEN + 1)] {
            assert_eq!(tokens().verify(token), Err(AuthFailure::Invalid));
        }
    }

    #[test]
    fn issuer_and_audience_are_checked_when_set() {
        let strict = Tokens::new(&Secret::from(KEY.to_owned()), &settings(Some("us"), Some("hub")));
        let verify = |claims: Value| strict.verify(&sign(&claims, &Header::default())).map(|token| token.identity.user.0);
        let exp = now() + 60;
        assert_eq!(verify(json!({"sub": "7", "exp": exp, "iss": "us", "aud": ["hub", "x"]})), Ok(7));
        assert_eq!(verify(json!({"sub": "7", "exp": exp, "iss": "us"})), Err(AuthFailure::Invalid));
        assert_eq!(verify(json!({"sub": "7", "exp": exp, "aud": "hub"})), Err(AuthFailure::Invalid));
        assert_eq!(verify(json!({"sub": "7", "exp": exp, "iss": "them", "aud": "hub"})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": exp, "iss": "them", "aud": "x"})), Ok((7, Role::Customer)));
        let own = strict.issue(UserId(7), Role::Customer, 0, Duration::from_secs(60)).expect("issues");
        assert!(strict.verify(&own.token).is_ok());
    }
}

//! Tokens: JWT (RFC 7519), signed with HS256 by us, or with a key of theirs by others.
//!
//! The library's defaults are not ours: no leeway, `nbf` counts, `aud` and `iss` are asked for
//! exactly when they are set, and a token is over *at* its `exp`, not one second after it.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keyring::Keyring;
use super::{Claimed, Holder, Issue, Key, KeyError, TokenId};
use crate::config::AuthSettings;
use crate::error::{AuthFailure, Error};
use crate::model::{OutsideId, Outsider, Role, Timestamp, UserId};

/// Longer ones are not looked at. Ours have about 250 bytes; headers allow a few KiB.
const MAX_TOKEN: usize = 8 * 1024;
/// The last second of the year 9999: RFC 3339 has no later year, so no token ends later for us.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Signs and checks tokens with the key that this server was given; with an outside one it only
/// checks.
pub struct Tokens {
    /// None: others sign.
    signing: Option<EncodingKey>,
    checking: Keyring,
    issuer: Option<String>,
    audience: Option<String>,
    provision: bool,
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

/// What is read of a token, ours or another's that holds the key. The registered claims are checked
/// by the library besides.
#[derive(Deserialize)]
struct Read {
    sub: Subject,
    role: Option<Role>,
    exp: f64,
    iat: Option<f64>,
    generation: Option<Value>,
    iss: Option<Value>,
    name: Option<Value>,
    email: Option<Value>,
    email_verified: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Subject {
    Number(u64),
    Text(String),
}

impl Tokens {
    /// # Errors
    /// [`KeyError::Empty`] for a secret without characters.
    pub fn new(key: &Key, settings: &AuthSettings) -> Result<Self, KeyError> {
        let signing = match key {
            Key::Own(secret) => {
                let key = EncodingKey::from_secret(secret.expose().as_bytes());
                Some(key.map_err(|_| KeyError::Empty)?)
            }
            Key::Outside(_) => None,
        };
        Ok(Self {
            signing,
            checking: Keyring::new(key, settings)?,
            issuer: settings.jwt_issuer.clone(),
            audience: settings.jwt_audience.clone(),
            provision: settings.jwt_provision,
        })
    }

    /// Asked by what ends with a token of ours, ahead of its work.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] where others sign.
    pub fn can_sign(&self) -> Result<(), Error> {
        self.signing().map(drop)
    }

    /// Whether one who is seen for the first time becomes a user.
    #[must_use]
    pub fn provisions(&self) -> bool {
        self.provision
    }

    fn signing(&self) -> Result<&EncodingKey, Error> {
        self.signing.as_ref().ok_or(Error::NotImplemented("Tokens are issued elsewhere"))
    }

    /// A token for this user that is good for `ttl`. `generation`: as the user's tokens have it
    /// now.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] where others sign; [`Error::Internal`] when it cannot be signed,
    /// which HMAC does not do.
    pub fn issue(
        &self,
        user: UserId,
        role: Role,
        generation: i64,
        ttl: Duration,
    ) -> Result<Issued, Error> {
        let signing = self.signing()?;
        let iat = Timestamp::now().unix_seconds();
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let expires_at =
            Timestamp::from_unix_seconds(iat.saturating_add(ttl)).ok_or(Error::Internal)?;
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
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, signing)
            .map_err(|error| {
                tracing::error!(%error, "a token could not be signed");
                Error::Internal
            })?;
        Ok(Issued { token, expires_at })
    }

    /// Checks signature and claims. Whose it is, and that it was not ended, is for the caller to
    /// look up.
    ///
    /// # Errors
    /// [`AuthFailure::Expired`] for a token that was good once, [`AuthFailure::Invalid`] for
    /// everything else.
    pub fn verify(&self, token: &str) -> Result<Claimed, AuthFailure> {
        if token.len() > MAX_TOKEN {
            return Err(AuthFailure::Invalid);
        }
        let read: Read = self.checking.decode(token)?;
        let expires_at = expires_at(&read, Timestamp::now())?;
        let (holder, issue) = if self.signing.is_some() {
            (
                Holder::User(read.sub.text().parse().map_err(|_| AuthFailure::Invalid)?),
                issue(&read)?,
            )
        } else {
            (Holder::Outside(outsider(&read)?), made_at(&read))
        };
        Ok(Claimed {
            holder,
            role: read.role.unwrap_or(Role::Customer),
            expires_at,
            id: TokenId::of(token),
            issue,
        })
    }
}

impl Subject {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

fn expires_at(read: &Read, now: Timestamp) -> Result<Timestamp, AuthFailure> {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number between 0 and LAST_SECOND")]
    let exp = read.exp.clamp(0.0, LAST_SECOND).floor() as i64;
    let expires_at = Timestamp::from_unix_seconds(exp).ok_or(AuthFailure::Invalid)?;
    if expires_at <= now { Err(AuthFailure::Expired) } else { Ok(expires_at) }
}

/// Of a token that is signed with our secret, by us or by another program that has it.
fn issue(read: &Read) -> Result<Issue, AuthFailure> {
    match &read.generation {
        None => Ok(made_at(read)),
        Some(generation) => generation.as_i64().map(Issue::Generation).ok_or(AuthFailure::Invalid),
    }
}

fn made_at(read: &Read) -> Issue {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number between 0 and LAST_SECOND, in milliseconds"
    )]
    let made = (read.iat.unwrap_or_default().clamp(0.0, LAST_SECOND) * 1000.0).floor() as i64;
    Issue::At(made)
}

/// Who it is for whoever has signed. A name and an e-mail that are no texts are none; so is an
/// e-mail that is said to be unverified.
fn outsider(read: &Read) -> Result<Outsider, AuthFailure> {
    let issuer = match &read.iss {
        None => "",
        Some(issuer) => issuer.as_str().ok_or(AuthFailure::Invalid)?,
    };
    let id = OutsideId::new(issuer.to_owned(), read.sub.text()).ok_or(AuthFailure::Invalid)?;
    let is_unverified = read
        .email_verified
        .as_ref()
        .is_some_and(|verified| *verified == Value::Bool(false) || verified == "false");
    let email = read.email.as_ref().and_then(Value::as_str).filter(|_| !is_unverified);
    Ok(Outsider::new(id, read.name.as_ref().and_then(Value::as_str), email))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Secret;

    const KEY: &str = "a key for tests";

    fn settings(issuer: Option<&str>, audience: Option<&str>) -> AuthSettings {
        AuthSettings {
            jwt_secret: None,
            jwt_public_key_file: None,
            jwt_issuer: issuer.map(Into::into),
            jwt_audience: audience.map(Into::into),
            jwt_provision: false,
        }
    }

    fn own_key() -> Key {
        Key::Own(Secret::from(KEY.to_owned()))
    }

    fn tokens() -> Tokens {
        Tokens::new(&own_key(), &settings(None, None)).expect("a key")
    }

    fn secret(text: &str) -> EncodingKey {
        EncodingKey::from_secret(text.as_bytes()).expect("is not empty")
    }

    fn sign(claims: &Value, header: &Header) -> String {
        jsonwebtoken::encode(header, claims, &secret(KEY)).expect("signs")
    }

    fn check(claims: &Value) -> Result<(i64, Role), AuthFailure> {
        tokens().verify(&sign(claims, &Header::default())).map(|token| (user(&token), token.role))
    }

    fn user(token: &Claimed) -> i64 {
        match &token.holder {
            Holder::User(user) => user.0,
            Holder::Outside(outsider) => panic!("{outsider:?}"),
        }
    }

    fn now() -> i64 {
        Timestamp::now().unix_seconds()
    }

    #[test]
    fn what_was_issued_is_good() {
        let issued =
            tokens().issue(UserId(7), Role::Admin, 5, Duration::from_secs(60)).expect("issues");
        let (id, issue) = (TokenId::of(&issued.token), Issue::Generation(5));
        let token = Claimed {
            holder: Holder::User(UserId(7)),
            role: Role::Admin,
            expires_at: issued.expires_at,
            id,
            issue,
        };
        assert_eq!(tokens().verify(&issued.token), Ok(token));
    }

    #[test]
    fn sub_is_a_string_or_a_number_and_no_role_is_customer() {
        let exp = now() + 60;
        assert_eq!(check(&json!({"sub": "7", "exp": exp})), Ok((7, Role::Customer)));
        assert_eq!(check(&json!({"sub": 7, "exp": exp, "role": "admin"})), Ok((7, Role::Admin)));
        for sub in
            [json!("x"), json!(""), json!(-7), json!(0), json!(7.5), json!(null), json!(["7"])]
        {
            assert_eq!(check(&json!({"sub": sub, "exp": exp})), Err(AuthFailure::Invalid), "{sub}");
        }
        assert_eq!(check(&json!({"exp": exp})), Err(AuthFailure::Invalid));
        assert_eq!(
            check(&json!({"sub": "7", "exp": exp, "role": "root"})),
            Err(AuthFailure::Invalid)
        );
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
        let issue = |claims: Value| {
            tokens().verify(&sign(&claims, &Header::default())).map(|token| token.issue)
        };
        let exp = now() + 60;
        assert_eq!(
            issue(json!({"sub": 7, "exp": exp, "iat": 12, "generation": 3})),
            Ok(Issue::Generation(3))
        );
        assert_eq!(issue(json!({"sub": 7, "exp": exp, "iat": 12.5})), Ok(Issue::At(12_500)));
        assert_eq!(issue(json!({"sub": 7, "exp": exp})), Ok(Issue::At(0)));
        for claims in [
            json!({"sub": 7, "exp": exp, "generation": "3"}),
            json!({"sub": 7, "exp": exp, "iat": "12"}),
        ] {
            assert_eq!(issue(claims), Err(AuthFailure::Invalid));
        }
    }

    #[test]
    fn nbf_counts() {
        assert_eq!(
            check(&json!({"sub": "7", "exp": now() + 60, "nbf": now() + 30})),
            Err(AuthFailure::Invalid)
        );
        assert_eq!(
            check(&json!({"sub": "7", "exp": now() + 60, "nbf": now()})),
            Ok((7, Role::Customer))
        );
    }

    #[test]
    fn a_foreign_key_another_algorithm_or_none_is_invalid() {
        let claims = json!({"sub": "7", "exp": now() + 60});
        let foreign =
            jsonwebtoken::encode(&Header::default(), &claims, &secret("other")).expect("signs");
        let hs512 = sign(&claims, &Header::new(Algorithm::HS512));
        // {"alg":"none"}.{"sub":"7","exp":9999999999}.
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        let critical =
            sign(&claims, &Header { crit: Some(vec!["b64".into()]), ..Header::default() });
        for token in [
            foreign.as_str(),
            &hs512,
            none,
            &critical,
            "",
            "a.b.c",
            "nonsense",
            &"x".repeat(MAX_TOKEN + 1),
        ] {
            assert_eq!(tokens().verify(token), Err(AuthFailure::Invalid));
        }
    }

    #[test]
    fn issuer_and_audience_are_checked_when_set() {
        let strict = Tokens::new(&own_key(), &settings(Some("us"), Some("hub"))).expect("a key");
        let verify = |claims: Value| {
            strict.verify(&sign(&claims, &Header::default())).map(|token| user(&token))
        };
        let exp = now() + 60;
        assert_eq!(
            verify(json!({"sub": "7", "exp": exp, "iss": "us", "aud": ["hub", "x"]})),
            Ok(7)
        );
        assert_eq!(verify(json!({"sub": "7", "exp": exp, "iss": "us"})), Err(AuthFailure::Invalid));
        assert_eq!(
            verify(json!({"sub": "7", "exp": exp, "aud": "hub"})),
            Err(AuthFailure::Invalid)
        );
        assert_eq!(
            verify(json!({"sub": "7", "exp": exp, "iss": "them", "aud": "hub"})),
            Err(AuthFailure::Invalid)
        );
        assert_eq!(
            check(&json!({"sub": "7", "exp": exp, "iss": "them", "aud": "x"})),
            Ok((7, Role::Customer))
        );
        let own =
            strict.issue(UserId(7), Role::Customer, 0, Duration::from_secs(60)).expect("issues");
        assert!(strict.verify(&own.token).is_ok());
    }

    #[test]
    fn an_issuer_or_audience_of_another_type_is_refused_when_it_is_checked() {
        let strict = Tokens::new(&own_key(), &settings(Some("7"), Some("8"))).expect("a key");
        let verify = |iss: Value, aud: Value| {
            let claims = json!({"sub": 7, "exp": now() + 60, "iss": iss, "aud": aud});
            strict.verify(&sign(&claims, &Header::default())).map(|token| user(&token))
        };
        assert_eq!(verify(json!("7"), json!("8")), Ok(7));
        for odd in [json!(null), json!(7), json!(8), json!(true), json!({"7": 7}), json!([7, 8])] {
            assert_eq!(verify(odd.clone(), json!("8")), Err(AuthFailure::Invalid), "iss {odd}");
            assert_eq!(verify(json!("7"), odd.clone()), Err(AuthFailure::Invalid), "aud {odd}");
        }
    }

    #[test]
    fn an_empty_secret_is_no_key() {
        let empty = Key::Own(Secret::from(String::new()));
        let refused = Tokens::new(&empty, &settings(None, None)).err();
        assert!(matches!(refused, Some(KeyError::Empty)));
    }

    /// What a token of an outside key with these claims says.
    fn outside(claims: &Value) -> Result<(Outsider, Issue), AuthFailure> {
        let file = |name: &str| format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        let pem = std::fs::read(file("ed25519.pem")).expect("reads");
        let key = EncodingKey::from_ed_pem(&pem).expect("a key");
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).expect("signs");
        let tokens = Tokens::new(
            &Key::Outside(file("ed25519-public.pem").parse().expect("a key")),
            &settings(None, None),
        )
        .expect("a key");
        assert!(matches!(tokens.can_sign(), Err(Error::NotImplemented(_))));
        assert!(matches!(
            tokens.issue(UserId(1), Role::Admin, 0, Duration::from_secs(1)),
            Err(Error::NotImplemented(_))
        ));
        tokens.verify(&token).map(|token| match token.holder {
            Holder::Outside(outsider) => (outsider, token.issue),
            Holder::User(user) => panic!("{user}"),
        })
    }

    #[test]
    fn a_token_of_others_says_who_it_is_in_their_words() {
        let exp = now() + 60;
        let id = |issuer: &str, subject: &str| {
            OutsideId::new(issuer.into(), subject.into()).expect("fits")
        };
        let (outsider, issue) =
            outside(&json!({"sub": 7, "iss": "them", "exp": exp, "iat": 12, "generation": 9, "name": "Eve", "email": "e@b.test"}))
                .expect("good");
        assert_eq!((outsider.id, issue), (id("them", "7"), Issue::At(12_000)));
        assert_eq!((outsider.name.as_str(), outsider.email.as_deref()), ("Eve", Some("e@b.test")));
        for verified in [json!(false), json!("false")] {
            let claims = json!({"sub": "x", "exp": exp, "name": 5, "email": "e@b.test", "email_verified": verified});
            assert_eq!(
                outside(&claims),
                Ok((Outsider { id: id("", "x"), name: "x".into(), email: None }, Issue::At(0)))
            );
        }
        for claims in [
            json!({"exp": exp}),
            json!({"sub": "", "exp": exp}),
            json!({"sub": -7, "exp": exp}),
            json!({"sub": "x".repeat(256), "exp": exp}),
            json!({"sub": "x", "iss": ["them"], "exp": exp}),
            json!({"sub": "x", "exp": exp, "role": "root"}),
        ] {
            assert_eq!(outside(&claims), Err(AuthFailure::Invalid), "{claims}");
        }
        assert_eq!(outside(&json!({"sub": "x", "exp": now()})), Err(AuthFailure::Expired));
    }
}

//! Tokens: JWT (RFC 7519), signed by this server with HS256, or by another program with its key.
//!
//! The checks differ from the library's defaults: there is no leeway, `nbf` is checked, `aud` and
//! `iss` are required if they are configured, and a token ends at its `exp`, not a second later.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::claims::{ReceivedClaims, SignedClaims};
use super::keyring::Keyring;
use super::{Key, KeyError, TokenHolder, TokenId, VerifiedToken};
use crate::config::AuthSettings;
use crate::error::{AuthFailure, Error};
use crate::model::{Role, Timestamp, UserId};

/// Most bytes of a token. This server's tokens have about 250; headers have room for a few KiB.
const MAX_TOKEN: usize = 8 * 1024;

/// Signs and checks tokens. If it has public keys, it only checks.
pub struct Tokens {
    /// `None` if another program signs.
    signing: Option<EncodingKey>,
    checking: Keyring,
    issuer: Option<String>,
    audience: Option<String>,
    provision: bool,
}

/// A token that was just signed.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    pub token: String,
    pub expires_at: Timestamp,
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

    /// Lets a caller fail early, before the work that ends with a new token.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] if another program signs.
    pub fn can_sign(&self) -> Result<(), Error> {
        self.signing().map(drop)
    }

    /// Returns true if a token with a new issuer and subject makes an account (JWT_PROVISION).
    #[must_use]
    pub fn provisions(&self) -> bool {
        self.provision
    }

    fn signing(&self) -> Result<&EncodingKey, Error> {
        self.signing.as_ref().ok_or(Error::NotImplemented("Tokens are issued elsewhere"))
    }

    /// Signs a token for this user that is valid for `ttl`, at least one second. `generation` is
    /// the present one of the user's tokens.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] if another program signs.
    pub fn issue(
        &self,
        user: UserId,
        role: Role,
        generation: i64,
        ttl: Duration,
    ) -> Result<NewToken, Error> {
        let signing = self.signing()?;
        let iat = Timestamp::now().unix_seconds();
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let expires_at =
            Timestamp::from_unix_seconds(iat.saturating_add(ttl)).ok_or(Error::Internal)?;
        let claims = SignedClaims {
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
        Ok(NewToken { token, expires_at })
    }

    /// Checks the signature and the claims. The caller looks up the user, and whether the token has
    /// ended.
    ///
    /// # Errors
    /// [`AuthFailure::Expired`] if only `exp` has passed, [`AuthFailure::Invalid`] otherwise.
    pub fn verify(&self, token: &str) -> Result<VerifiedToken, AuthFailure> {
        if token.len() > MAX_TOKEN {
            return Err(AuthFailure::Invalid);
        }
        let claims: ReceivedClaims = self.checking.decode(token)?;
        let expires_at = claims.expires_at(Timestamp::now())?;
        let (holder, issued_at) = if self.signing.is_some() {
            let user = claims.subject().parse().map_err(|_| AuthFailure::Invalid)?;
            (TokenHolder::User(user), claims.generation_or_time()?)
        } else {
            (TokenHolder::Outside(claims.outsider()?), claims.time())
        };
        Ok(VerifiedToken {
            holder,
            role: claims.role.unwrap_or(Role::Customer),
            expires_at,
            id: TokenId::of(token),
            issued_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::IssuedAt;
    use crate::config::Secret;
    use crate::model::{ExternalIdentity, ExternalUser};

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

    fn user(token: &VerifiedToken) -> i64 {
        match &token.holder {
            TokenHolder::User(user) => user.0,
            TokenHolder::Outside(outsider) => panic!("{outsider:?}"),
        }
    }

    fn now() -> i64 {
        Timestamp::now().unix_seconds()
    }

    #[test]
    fn an_issued_token_is_valid() {
        let issued =
            tokens().issue(UserId(7), Role::Admin, 5, Duration::from_secs(60)).expect("issues");
        let (id, issued_at) = (TokenId::of(&issued.token), IssuedAt::Generation(5));
        let token = VerifiedToken {
            holder: TokenHolder::User(UserId(7)),
            role: Role::Admin,
            expires_at: issued.expires_at,
            id,
            issued_at,
        };
        assert_eq!(tokens().verify(&issued.token), Ok(token));
    }

    #[test]
    fn sub_is_a_string_or_a_number_and_without_a_role_it_is_customer() {
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
    fn a_token_needs_exp_and_ends_then_without_leeway() {
        assert_eq!(check(&json!({"sub": "7", "exp": now()})), Err(AuthFailure::Expired));
        assert_eq!(check(&json!({"sub": "7", "exp": now() - 1})), Err(AuthFailure::Expired));
        assert_eq!(check(&json!({"sub": "7"})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": "tomorrow"})), Err(AuthFailure::Invalid));
        assert_eq!(check(&json!({"sub": "7", "exp": 1e18})), Ok((7, Role::Customer)));
    }

    #[test]
    fn generation_or_iat_say_when_a_token_was_issued() {
        let issued_at = |claims: Value| {
            tokens().verify(&sign(&claims, &Header::default())).map(|token| token.issued_at)
        };
        let exp = now() + 60;
        assert_eq!(
            issued_at(json!({"sub": 7, "exp": exp, "iat": 12, "generation": 3})),
            Ok(IssuedAt::Generation(3))
        );
        assert_eq!(
            issued_at(json!({"sub": 7, "exp": exp, "iat": 12.5})),
            Ok(IssuedAt::Time(12_500))
        );
        assert_eq!(issued_at(json!({"sub": 7, "exp": exp})), Ok(IssuedAt::Time(0)));
        for claims in [
            json!({"sub": 7, "exp": exp, "generation": "3"}),
            json!({"sub": 7, "exp": exp, "iat": "12"}),
        ] {
            assert_eq!(issued_at(claims), Err(AuthFailure::Invalid));
        }
    }

    #[test]
    fn nbf_is_checked() {
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

    /// Verifies a token of another program with these claims.
    fn outside(claims: &Value) -> Result<(ExternalUser, IssuedAt), AuthFailure> {
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
            TokenHolder::Outside(outsider) => (outsider, token.issued_at),
            TokenHolder::User(user) => panic!("{user}"),
        })
    }

    #[test]
    fn a_token_of_another_program_names_a_subject_of_its_issuer() {
        let exp = now() + 60;
        let id = |issuer: &str, subject: &str| {
            ExternalIdentity::new(issuer.into(), subject.into()).expect("fits")
        };
        let (outsider, issued_at) = outside(&json!({
            "sub": 7, "iss": "them", "exp": exp, "iat": 12, "generation": 9, "name": "Eve",
            "email": "e@b.test"
        }))
        .expect("good");
        assert_eq!((outsider.id, issued_at), (id("them", "7"), IssuedAt::Time(12_000)));
        assert_eq!((outsider.name.as_str(), outsider.email.as_deref()), ("Eve", Some("e@b.test")));
        for verified in [json!(false), json!("false")] {
            let claims = json!({
                "sub": "x", "exp": exp, "name": 5, "email": "e@b.test", "email_verified": verified
            });
            assert_eq!(
                outside(&claims),
                Ok((
                    ExternalUser { id: id("", "x"), name: "x".into(), email: None },
                    IssuedAt::Time(0)
                ))
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

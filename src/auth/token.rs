//! Tokens: JWT (RFC 7519), signed by this server with HS256, or by another program with its key or
//! with the same secret.
//!
//! `keyring.rs` checks the signature, `rules.rs` the claims.
//!
//! With JWT_SUBJECT=outside, JWT_SECRET is shared with a program that has users of its own. Both
//! number their users, so a token of one must never be good at the other as the same number. This
//! server then signs with a key that is derived from the secret: the other program accepts none of
//! its tokens, and cannot make one by accident.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::Sha256;

use super::claims::{ReceivedClaims, SignedClaims};
use super::key_updates::KeyUpdates;
use super::keyring::Keyring;
use super::rules::ClaimRules;
use super::{IssuedAt, Key, KeyError, TokenFault, TokenHolder, TokenId, VerifiedToken};
use crate::config::{AuthSettings, Secret, SubjectMeaning};
use crate::error::Error;
use crate::model::{Role, Timestamp, UserId};

/// Most bytes of a token. This server's tokens have about 250; those of other issuers can name many
/// groups or rights.
const MAX_TOKEN: usize = 16 * 1024;
/// Separates the key of our own tokens from other keys that may be derived from JWT_SECRET.
const OWN_TOKENS: &[u8] = b"hubcast: tokens of its own";

/// Signs and checks tokens. If it has public keys, it only checks.
pub struct Tokens {
    /// `None` if another program signs.
    signing: Option<EncodingKey>,
    /// The key of tokens whose `sub` is an id of this server.
    own: Option<Keyring>,
    /// The keys of tokens whose `sub` is the subject of another program.
    outside: Option<Arc<Keyring>>,
    /// What renews the keys of another program.
    updates: Option<Arc<KeyUpdates>>,
    rules: ClaimRules,
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
        let is_shared = settings.jwt_subject == SubjectMeaning::Outside;
        let (own, outside) = match key {
            Key::Own(secret) if is_shared => (Some(derived(secret)?), Some(Keyring::new(key)?)),
            Key::Own(secret) => (Some(secret.clone()), None),
            Key::Outside(_) => (None, Some(Keyring::new(key)?)),
        };
        let outside = outside.map(Arc::new);
        let updates = match (key, &outside) {
            (Key::Outside(source), Some(keys)) => {
                Some(Arc::new(KeyUpdates::new(source.clone(), Arc::clone(keys))))
            }
            _ => None,
        };
        let signing = own.as_ref().map(|key| EncodingKey::from_secret(key.expose().as_bytes()));
        Ok(Self {
            signing: signing.transpose().map_err(|_| KeyError::Empty)?,
            own: own.map(|key| Keyring::new(&Key::Own(key))).transpose()?,
            outside,
            updates,
            rules: ClaimRules::new(settings),
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
        let (iss, aud) = self.rules.own();
        let claims = SignedClaims {
            sub: user.to_string(),
            role: self.rules.own_role(role),
            iat,
            exp: expires_at.unix_seconds(),
            jti: format!("{:032x}", rand::random::<u128>()),
            generation,
            iss,
            aud,
        };
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims.to_json(), signing)
                .map_err(|error| {
                    tracing::error!(%error, "a token could not be signed");
                    Error::Internal
                })?;
        Ok(NewToken { token, expires_at })
    }

    /// What renews the keys, if another program signs.
    #[must_use]
    pub fn key_updates(&self) -> Option<&Arc<KeyUpdates>> {
        self.updates.as_ref()
    }

    /// As [`Tokens::verify`], but a token whose key is not known waits for newer keys.
    ///
    /// # Errors
    /// As [`Tokens::verify`].
    pub async fn check(&self, token: &str) -> Result<VerifiedToken, TokenFault> {
        let outcome = self.verify(token);
        if let (Err(TokenFault::Signature), Some(updates)) = (&outcome, &self.updates)
            && token.len() <= MAX_TOKEN
            && updates.await_key(token).await
        {
            return self.verify(token);
        }
        outcome
    }

    /// Checks the signature and the claims. The caller looks up the user, and whether the token has
    /// ended.
    ///
    /// # Errors
    /// [`TokenFault::Expired`] if only `exp` has passed, another one otherwise.
    pub fn verify(&self, token: &str) -> Result<VerifiedToken, TokenFault> {
        if token.len() > MAX_TOKEN {
            return Err(TokenFault::Signature);
        }
        let read = |keys: Option<&Keyring>| {
            let keys = keys.ok_or(TokenFault::Signature)?;
            keys.decode::<ReceivedClaims>(token).map_err(|_| TokenFault::Signature)
        };
        let (claims, is_own) = match read(self.own.as_ref()) {
            Ok(claims) => (claims, true),
            Err(_) => (read(self.outside.as_deref())?, false),
        };
        let expires_at = self.rules.check(&claims, Timestamp::now())?;
        let generation = claims.generation();
        let (holder, issued_at) = if is_own {
            let user = claims.subject()?.parse().map_err(|_| TokenFault::Subject)?;
            (
                TokenHolder::User(user),
                generation?.map_or_else(
                    || self.rules.issued_at(&claims),
                    |generation| Ok(IssuedAt::Generation(generation)),
                )?,
            )
        } else if self.signing.is_some() && matches!(generation, Ok(Some(_))) {
            return Err(TokenFault::Former);
        } else {
            (TokenHolder::Outside(claims.outsider()?), self.rules.issued_at(&claims)?)
        };
        Ok(VerifiedToken {
            holder,
            role: self.rules.role(&claims),
            expires_at,
            id: TokenId::of(token),
            issued_at,
        })
    }
}

/// The key of our own tokens, if other programs sign with the secret too.
fn derived(secret: &Secret) -> Result<Secret, KeyError> {
    let secret = secret.expose().as_bytes();
    let mac = (!secret.is_empty()).then(|| Hmac::<Sha256>::new_from_slice(secret).ok());
    let mut mac = mac.flatten().ok_or(KeyError::Empty)?;
    mac.update(OWN_TOKENS);
    Ok(Secret::from(format!("{:x}", mac.finalize().into_bytes())))
}

#[cfg(test)]
mod issuers;
#[cfg(test)]
mod tests;

//! What a token's claims have to say, whoever signed it.
//!
//! `exp` has no leeway: a token ends when this machine's clock reaches it. JWT_LEEWAY is for `nbf`
//! and `iat` only, because a client that is refused for a second's difference of clocks does not
//! come back.

use serde_json::Value;

use super::claims::{ReceivedClaims, texts};
use super::{IssuedAt, TokenFault};
use crate::config::{AuthSettings, Words};
use crate::model::{Role, Timestamp};

/// The rules, from the settings.
pub(super) struct ClaimRules {
    issuer: Option<String>,
    /// Empty if any audience will do.
    audiences: Vec<String>,
    /// Seconds.
    leeway: f64,
    role_claim: String,
    admin_words: Vec<String>,
}

impl ClaimRules {
    pub(super) fn new(settings: &AuthSettings) -> Self {
        Self {
            issuer: settings.jwt_issuer.clone(),
            audiences: words(settings.jwt_audience.as_ref()),
            leeway: settings.jwt_leeway.as_secs_f64(),
            role_claim: settings.jwt_role_claim.clone(),
            admin_words: words(Some(&settings.jwt_role_admin)),
        }
    }

    /// The `iss` and the `aud` of tokens that this server signs.
    pub(super) fn own(&self) -> (Option<&str>, Option<&str>) {
        (self.issuer.as_deref(), self.audiences.first().map(String::as_str))
    }

    /// The claim by which tokens that this server signs say this role, and its word.
    pub(super) fn own_role(&self, role: Role) -> (&str, &str) {
        let admin = self.admin_words.first().map_or(Role::Admin.as_str(), String::as_str);
        let word = if role == Role::Admin { admin } else { role.as_str() };
        (&self.role_claim, word)
    }

    /// Checks the claims. `exp` is last, so that a token is only called expired if nothing else is
    /// wrong with it: a fresh one would help. Returns the moment at which the token ends.
    pub(super) fn check(
        &self,
        claims: &ReceivedClaims,
        now: Timestamp,
    ) -> Result<Timestamp, TokenFault> {
        let expires_at = claims.expires_at()?;
        if let Some(wanted) = &self.issuer
            && claims.text("iss") != Some(wanted)
        {
            return Err(TokenFault::Issuer(claims.text("iss").map(str::to_owned)));
        }
        let is_ours = |audience: &str| self.audiences.iter().any(|ours| ours == audience);
        if !self.audiences.is_empty() && !claims.audiences().any(is_ours) {
            return Err(TokenFault::Audience(claims.audiences().map(str::to_owned).collect()));
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of four-digit years fit")]
        let seconds = now.unix_millis() as f64 / 1000.0;
        for claim in ["nbf", "iat"] {
            let ahead = claims.seconds(claim)?.unwrap_or_default() - seconds;
            if ahead > self.leeway {
                #[expect(clippy::cast_possible_truncation, reason = "saturates")]
                return Err(TokenFault::Early(claim, ahead.ceil() as i64));
            }
        }
        if expires_at <= now {
            return Err(TokenFault::Expired(now.unix_seconds() - expires_at.unix_seconds()));
        }
        Ok(expires_at)
    }

    /// When the token was issued, for the ends of all tokens of its user: as early as JWT_LEEWAY
    /// allows, or a token whose `iat` is ahead would outlive an end that came after it.
    pub(super) fn issued_at(&self, claims: &ReceivedClaims) -> Result<IssuedAt, TokenFault> {
        claims.time(self.leeway)
    }

    /// The role that the token gives, or `None` if it says nothing about it. A word that is not
    /// one of JWT_ROLE_ADMIN is a customer's, whatever it is, and so is a value of another form.
    pub(super) fn role(&self, claims: &ReceivedClaims) -> Option<Role> {
        let value = claims.at_path(&self.role_claim)?;
        let is_admin = |word: &str| self.admin_words.iter().any(|admin| admin == word);
        // Firebase's own example of a claim is `admin: true`.
        let is_true = *value == Value::Bool(true) && is_admin("true");
        Some(if is_true || texts(value).any(is_admin) { Role::Admin } else { Role::Customer })
    }
}

fn words(words: Option<&Words>) -> Vec<String> {
    words.map(|words| words.as_slice().to_vec()).unwrap_or_default()
}

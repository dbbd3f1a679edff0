//! Tokens, passwords, and the places of a request that can hold a token.
//!
//! `http`, `gateway` and `service` use this module. It knows no database and no transport, but it
//! fetches the keys of another issuer by HTTPS (`fetch.rs`, `key_updates.rs`); `service` checks
//! whether a token's user still exists and whether the token has ended.

mod claims;
pub mod credentials;
mod ended;
mod fault;
mod fetch;
mod key_updates;
mod keyring;
mod password;
mod rules;
mod secret;
mod token;
mod turns;

pub use ended::{EndedTokens, IssuedAt, TokenId};
pub use fault::TokenFault;
pub use key_updates::KeyUpdates;
pub use password::{NO_PASSWORD, PasswordHasher};
pub use secret::{Key, KeyError, load_key};
pub use token::{NewToken, Tokens};

use crate::model::{ExternalUser, Role, Timestamp, UserId};

/// A valid token of a known user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub identity: Identity,
    pub id: TokenId,
    pub issued_at: IssuedAt,
}

/// A token with a valid signature and valid claims. Its user is still to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    pub holder: TokenHolder,
    /// The role that the token gives, if it gives one.
    pub role: Option<Role>,
    pub expires_at: Timestamp,
    pub id: TokenId,
    pub issued_at: IssuedAt,
}

/// The user of a token, as the token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenHolder {
    /// A user id of this server; the user may not exist.
    User(UserId),
    /// A subject of another issuer.
    Outside(ExternalUser),
}

impl VerifiedToken {
    /// The token with its user. `account` is the role of the user's account, which counts if the
    /// token gives none.
    #[must_use]
    pub fn of(&self, user: UserId, account: Role) -> Token {
        let role = self.role.unwrap_or(account);
        Token {
            identity: Identity { user, role, expires_at: self.expires_at },
            id: self.id,
            issued_at: self.issued_at,
        }
    }
}

/// The caller, as a valid token describes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    /// The role that the token gives; the account's if the token gives none.
    pub role: Role,
    /// The token is invalid from this moment on.
    pub expires_at: Timestamp,
}

impl Identity {
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

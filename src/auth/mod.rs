//! Who is calling: tokens, passwords, and the places where a token is looked for.
//!
//! Both doors and the accounts service use it. It knows no database and no transport: whether a
//! token's user still exists is asked above.

pub mod credentials;
mod ended;
mod keyring;
mod password;
mod secret;
mod token;

pub use ended::{Ended, Issue, TokenId};
pub use password::{NO_PASSWORD, PasswordHasher};
pub use secret::{Key, KeyError, load_key};
pub use token::{Issued, Tokens};

use crate::model::{ExternalUser, Role, Timestamp, UserId};

/// A good token: what it says, and what it takes to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub identity: Identity,
    pub id: TokenId,
    pub issue: Issue,
}

/// A token with a good signature. Whose it is has still to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub holder: Holder,
    pub role: Role,
    pub expires_at: Timestamp,
    pub id: TokenId,
    pub issue: Issue,
}

/// In whose words a token says whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// In ours: whether there is such a user is not known.
    User(UserId),
    /// In those of whoever holds the outside key.
    Outside(ExternalUser),
}

impl Claimed {
    /// The token, now that its user is known.
    #[must_use]
    pub fn of(&self, user: UserId) -> Token {
        Token {
            identity: Identity { user, role: self.role, expires_at: self.expires_at },
            id: self.id,
            issue: self.issue,
        }
    }
}

/// What a good token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    /// The token's claim; what the database says does not count.
    pub role: Role,
    /// From this moment on the token is no longer good.
    pub expires_at: Timestamp,
}

impl Identity {
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

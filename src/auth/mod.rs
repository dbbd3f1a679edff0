//! Who is calling: tokens, passwords, and the places where a token is looked for.
//!
//! Both doors and the accounts service use it. It knows no database and no transport: whether a token's user still exists is asked above.

pub mod credentials;
mod ended;
mod password;
mod secret;
mod token;

pub use ended::{Ended, Issue, TokenId};
pub use password::PasswordHasher;
pub use secret::{KeyError, load_key};
pub use token::{Issued, Tokens};

use crate::error::Error;
use crate::model::{Role, Timestamp, UserId};

/// A good token: what it says, and what it takes to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub identity: Identity,
    pub id: TokenId,
    pub issue: Issue,
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

    /// For verbs that only admins have.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everyone else.
    pub fn require_admin(&self) -> Result<(), Error> {
        if self.is_admin() { Ok(()) } else { Err(Error::Forbidden) }
    }
}

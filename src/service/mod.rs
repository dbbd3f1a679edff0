//! The verbs, and who may. Both doors call the same functions here, with the caller's [`Identity`](crate::auth::Identity) first.
//!
//! A verb checks what the caller may, opens one transaction, writes rows and emits events in it, and returns the answer. It knows no HTTP and no
//! socket; what goes out, and when, is the store's and the publisher's matter.

pub mod accounts;
pub mod demo;
pub mod orders;
pub mod publish;

use crate::auth::{PasswordHasher, Tokens};
use crate::config::Rate;
use crate::store::Db;

/// What the verbs work with. One per process, shared by both doors.
pub struct Services {
    pub db: Db,
    pub tokens: Tokens,
    pub passwords: PasswordHasher,
    sign_ins: accounts::SignIns,
}

impl Services {
    /// `rate_login` bounds sign-ins and registrations per account and address.
    #[must_use]
    pub fn new(db: Db, tokens: Tokens, rate_login: Rate) -> Self {
        Self { db, tokens, passwords: PasswordHasher::default(), sign_ins: accounts::SignIns::new(rate_login) }
    }
}

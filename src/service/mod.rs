//! The verbs, and who may. Both doors call the same functions here, with the caller's [`Identity`](crate::auth::Identity) first.
//!
//! A verb checks what the caller may, opens one transaction, writes rows and emits events in it, and returns the answer. It knows no HTTP and no
//! socket; what goes out, and when, is the store's and the publisher's matter.

pub mod accounts;
pub mod demo;
pub mod notifications;
pub mod orders;
pub mod publish;

use crate::auth::{PasswordHasher, Tokens};
use crate::config::Rate;
use crate::realtime::HubHandle;
use crate::store::Db;

/// What the verbs work with. One per process, shared by both doors.
pub struct Services {
    pub db: Db,
    pub tokens: Tokens,
    pub passwords: PasswordHasher,
    pub hub: HubHandle,
    sign_ins: accounts::SignIns,
}

impl Services {
    /// `rate_login` bounds sign-ins and registrations per account and address.
    #[must_use]
    pub fn new(db: Db, tokens: Tokens, hub: HubHandle, rate_login: Rate) -> Self {
        Self { db, tokens, passwords: PasswordHasher::default(), hub, sign_ins: accounts::SignIns::new(rate_login) }
    }
}

/// One page of a list, newest first.
pub struct Page<T> {
    pub items: Vec<T>,
    /// There are older ones.
    pub more: bool,
}

impl<T> Page<T> {
    /// How many rows to ask for: one more than wanted tells whether there is another page.
    #[must_use]
    pub fn ask(limit: u16) -> i64 {
        i64::from(limit) + 1
    }

    /// From what was found when [`Page::ask`] rows were asked for.
    #[must_use]
    pub fn of(mut items: Vec<T>, limit: u16) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        Self { items, more }
    }
}

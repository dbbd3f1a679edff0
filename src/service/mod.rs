//! The service functions: the rules of every operation. REST and sockets call the same functions,
//! with the caller's [`Identity`] first.
//!
//! A service function checks the permission, opens one transaction, writes rows and emits events in
//! it, and returns the answer. It knows no HTTP, and of a socket only the handle that joins a room.
//! The store and the publisher decide when its events are sent.

pub mod accounts;
pub mod blocks;
pub mod broadcasts;
pub mod conversations;
mod customer_limits;
pub mod demo;
pub mod emit;
pub mod identities;
pub mod invitations;
pub mod limiter;
pub mod messages;
mod names;
pub mod notifications;
mod notify;
pub mod order_holds;
pub mod orders;
pub mod payments;
pub mod permissions;
pub mod products;
pub mod projects;
pub mod publish;
mod publish_limits;
pub mod quotas;
pub mod recovery;
pub mod reviews;
pub mod rooms;
mod sign_in_limits;
pub mod stages;
pub mod stats;
mod stock;
pub mod tokens;
mod upkeep;
pub mod waitlist;

pub use customer_limits::CustomerRates;
pub use sign_in_limits::SignInRates;

use std::time::Duration;

use crate::auth::{Identity, PasswordHasher, Tokens};
use crate::config::{Catalog, CustomerPayments, Registration, SocketTokenEnd};
use crate::error::Error;
use crate::event::{self, Room};
use crate::model::UserId;
use crate::model::fields::{self, Fields};
use crate::realtime::HubHandle;
use crate::store::{Db, Tx, sessions};

/// The state that service functions need. There is one per process, shared by all entry points.
pub struct Services {
    pub db: Db,
    pub tokens: Tokens,
    pub passwords: PasswordHasher,
    pub hub: HubHandle,
    broadcasts: broadcasts::BroadcastWakeup,
    next_event: publish::NextEventOptions,
    sign_in_limits: sign_in_limits::SignInLimits,
    publish_limits: publish_limits::PublishLimits,
    customer_limits: customer_limits::CustomerLimits,
    registration: Registration,
    adding: invitations::AddingRules,
    shop: ShopRules,
    quotas: quotas::Quotas,
    pub socket_token_end: SocketTokenEnd,
}

/// The settings of accounts, of the sockets of their tokens, and of what accounts may do.
pub struct AccountRules {
    pub sign_in_rates: SignInRates,
    pub customer_rates: CustomerRates,
    pub registration: Registration,
    pub adding: invitations::AddingRules,
    pub shop: ShopRules,
    pub quotas: quotas::Quotas,
    pub socket_token_end: SocketTokenEnd,
}

/// What customers may do in the shop.
#[derive(Debug, Clone, Copy)]
pub struct ShopRules {
    pub catalog: Catalog,
    pub customer_payments: CustomerPayments,
    /// How long an unpaid order holds its items; `None` is for ever.
    pub order_hold: Option<Duration>,
}

impl Services {
    /// `next_event` is shared with the database's publisher.
    #[must_use]
    pub fn new(
        db: Db,
        tokens: Tokens,
        hub: HubHandle,
        next_event: publish::NextEventOptions,
        accounts: &AccountRules,
    ) -> Self {
        let sign_in_limits = sign_in_limits::SignInLimits::new(accounts.sign_in_rates);
        Self {
            db,
            tokens,
            passwords: PasswordHasher::default(),
            hub,
            broadcasts: broadcasts::BroadcastWakeup::default(),
            next_event,
            sign_in_limits,
            publish_limits: publish_limits::PublishLimits::new(accounts.customer_rates.publish),
            customer_limits: customer_limits::CustomerLimits::new(&accounts.customer_rates),
            registration: accounts.registration,
            adding: accounts.adding,
            shop: accounts.shop,
            quotas: accounts.quotas,
            socket_token_end: accounts.socket_token_end,
        }
    }

    /// Counts an event that a socket of the caller has sent.
    ///
    /// # Errors
    /// [`Error::RateLimited`] over RATE_EVENTS of all the caller's sockets.
    pub fn admit_event(&self, caller: &Identity) -> Result<(), Error> {
        self.customer_limits.event(caller)
    }

    /// Counts a socket of the caller that enters.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn admit_socket(&self, caller: &Identity) -> Result<(), Error> {
        self.customer_limits.connect(caller)
    }

    /// The database for the caller: of a customer few writes, and pages, are there at once.
    fn db_of(&self, caller: &Identity) -> Db {
        if caller.is_admin() { self.db.clone() } else { self.db.of(caller.user) }
    }
}

/// One page of a list, newest first.
pub struct Page<T> {
    pub items: Vec<T>,
    /// Whether older items exist.
    pub more: bool,
}

impl<T> Page<T> {
    /// The number of rows to query: one more than wanted shows whether another page exists.
    #[must_use]
    pub fn query_limit(limit: u16) -> i64 {
        i64::from(limit) + 1
    }

    /// Makes a page from the rows of a query with [`Page::query_limit`].
    #[must_use]
    pub fn from_rows(mut items: Vec<T>, limit: u16) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        Self { items, more }
    }
}

/// Reads the user to add as a member, from `{userId}`.
pub fn read_member(mut fields: Fields<'_>) -> Result<UserId, Error> {
    let user = fields.required("userId", fields::id);
    fields.finish(|| user)
}

/// Removes the sockets of a former member from these rooms. They still get the events that this
/// write has emitted so far, and none that it emits later. A session that is resumed later is not
/// in the rooms either.
async fn remove_from_rooms(
    tx: &mut Tx,
    hub: HubHandle,
    user: UserId,
    rooms: Vec<Room>,
) -> Result<(), Error> {
    for room in &rooms {
        sessions::remove_user_from_room(tx, user, &room.to_string()).await?;
        if let Room::Conversation(id) = room {
            sessions::note_former_member(tx, user, &Room::Members(*id).to_string()).await?;
        }
    }
    tx.after_commit(move || {
        for room in rooms {
            hub.remove_from_room(event::MAIN, &user.0.into(), &room.to_string());
        }
    });
    Ok(())
}

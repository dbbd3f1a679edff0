//! The verbs, and who may. Both doors call the same functions here, with the caller's
//! [`Identity`](crate::auth::Identity) first.
//!
//! A verb checks what the caller may, opens one transaction, writes rows and emits events in it,
//! and returns the answer. It knows no HTTP, and of a socket only the handle by which it joins;
//! what goes out, and when, is the store's and the publisher's matter.

pub mod accounts;
pub mod broadcasts;
pub mod conversations;
pub mod demo;
pub mod emit;
pub mod identities;
pub mod messages;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod permissions;
pub mod products;
pub mod projects;
pub mod publish;
pub mod recovery;
pub mod reviews;
pub mod rooms;
pub mod stats;
mod stock;
pub mod tokens;
pub mod waitlist;

use crate::auth::{PasswordHasher, Tokens};
use crate::config::Rate;
use crate::error::Error;
use crate::event::{self, Room};
use crate::model::UserId;
use crate::model::fields::{self, Fields};
use crate::realtime::HubHandle;
use crate::store::{Db, Tx, sessions};

/// What the verbs work with. One per process, shared by both doors.
pub struct Services {
    pub db: Db,
    pub tokens: Tokens,
    pub passwords: PasswordHasher,
    pub hub: HubHandle,
    broadcasts: broadcasts::Bell,
    next: publish::NextEvent,
    sign_ins: accounts::SignIns,
}

impl Services {
    /// `next` is what the publisher of the same database has, `rate_login` bounds sign-ins and
    /// registrations per account and address.
    #[must_use]
    pub fn new(
        db: Db,
        tokens: Tokens,
        hub: HubHandle,
        next: publish::NextEvent,
        rate_login: Rate,
    ) -> Self {
        let sign_ins = accounts::SignIns::new(rate_login);
        Self {
            db,
            tokens,
            passwords: PasswordHasher::default(),
            hub,
            broadcasts: broadcasts::Bell::default(),
            next,
            sign_ins,
        }
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

/// Who is to become a member, from `{userId}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_member(mut fields: Fields<'_>) -> Result<UserId, Error> {
    let user = fields.required("userId", fields::id);
    fields.end(|| user)
}

/// Puts one who is no longer a member out of those rooms: behind what this write has announced so
/// far, ahead of what it announces from here on. A session of that user that is resumed later is
/// not in them any more.
async fn put_out(tx: &mut Tx, hub: HubHandle, user: UserId, rooms: Vec<Room>) -> Result<(), Error> {
    for room in &rooms {
        sessions::put_out(tx, user, &room.to_string()).await?;
    }
    tx.after_commit(move || {
        for room in rooms {
            hub.remove_from_room(event::MAIN, &user.0.into(), &room.to_string());
        }
    });
    Ok(())
}

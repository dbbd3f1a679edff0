//! Quotas: how many things of each kind a customer may have, and how many bytes in all. A service
//! function asks before it adds something. Admins are trusted, and have none.
//!
//! A check reads one row, which triggers keep, so it costs the same however much there is. On
//! PostgreSQL two writes at once may both be the last that is allowed.

use std::collections::HashMap;

use hubcast_realtime::throttled;

use crate::auth::Identity;
use crate::config::LimitSettings;
use crate::error::Error;
use crate::model::UserId;
use crate::store::Tx;
use crate::store::usage::{self, Usage};

/// Bytes that every row counts for, beside its texts; the triggers add the same.
const ROW: i64 = 200;

/// What one customer may have.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    /// Things of one kind.
    items: i64,
    /// Members of one conversation or project.
    members: i64,
    bytes: i64,
}

/// Something that a customer adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Added {
    Product,
    Project,
    Conversation,
    Review,
    WaitlistEntry,
    Order,
    /// A text of so many bytes; their number has a bound of its own.
    Text(usize),
}

impl Quotas {
    #[must_use]
    pub fn new(settings: &LimitSettings) -> Self {
        let number = |size| i64::try_from(size).unwrap_or(i64::MAX);
        Self {
            items: number(settings.quota_items),
            members: number(settings.quota_members),
            bytes: number(settings.quota_bytes),
        }
    }

    /// The most answers that are kept for a caller's Idempotency-Keys.
    #[must_use]
    pub fn kept_answers(self, caller: &Identity) -> Option<i64> {
        (!caller.is_admin()).then_some(self.items)
    }

    /// Checks that the caller may add something.
    ///
    /// # Errors
    /// [`Error::Conflict`]: not a rate, because waiting does not help; removing something does.
    pub(super) async fn check(
        self,
        tx: &mut Tx,
        caller: &Identity,
        added: Added,
    ) -> Result<(), Error> {
        if caller.is_admin() {
            return Ok(());
        }
        let mut usage = usage::of(tx.conn(), &[caller.user]).await?;
        self.count(&mut usage, caller, added)
    }

    /// Checks that the caller may replace a description by a longer one.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub(super) async fn check_longer(
        self,
        tx: &mut Tx,
        caller: &Identity,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<(), Error> {
        let [before, after] = [before, after].map(|text| text.map_or(0, str::len));
        if after <= before {
            return Ok(());
        }
        self.check(tx, caller, Added::Text(after)).await
    }

    /// Like [`Quotas::check`], for the writes of a batch: counts each in `usage`.
    pub(super) fn count(
        self,
        usage: &mut HashMap<UserId, Usage>,
        caller: &Identity,
        added: Added,
    ) -> Result<(), Error> {
        if caller.is_admin() {
            return Ok(());
        }
        let user = caller.user;
        let usage = usage.entry(user).or_default();
        let (noun, count) = match added {
            Added::Product => ("products", &mut usage.products),
            Added::Project => ("projects", &mut usage.projects),
            Added::Conversation => ("conversations", &mut usage.conversations),
            Added::Review => ("reviews", &mut usage.reviews),
            Added::WaitlistEntry => ("places on waitlists", &mut usage.waiting),
            Added::Order => ("unpaid orders", &mut usage.unpaid),
            Added::Text(_) => ("texts", &mut 0),
        };
        if *count >= self.items {
            return Err(refused(user, noun, self.items, "QUOTA_ITEMS"));
        }
        if usage.bytes >= self.bytes {
            return Err(refused(user, "bytes", self.bytes, "QUOTA_BYTES"));
        }
        *count += 1;
        if let Added::Text(bytes) = added {
            usage.bytes = usage.bytes.saturating_add(ROW + i64::try_from(bytes).unwrap_or(0));
        }
        Ok(())
    }

    /// Checks that a conversation or project with so many members may get `more`.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub(super) fn check_members(
        self,
        caller: &Identity,
        members: i64,
        more: usize,
    ) -> Result<(), Error> {
        let after = members.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
        if caller.is_admin() || after <= self.members {
            return Ok(());
        }
        Err(refused(caller.user, "members", self.members, "QUOTA_MEMBERS"))
    }

    /// Checks that a project with so many stages may get one more.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub(super) fn check_stages(self, caller: &Identity, stages: i64) -> Result<(), Error> {
        if caller.is_admin() || stages < self.items {
            return Ok(());
        }
        Err(refused(caller.user, "stages", self.items, "QUOTA_ITEMS"))
    }
}

/// The users among the callers of a batch that have quotas, each once.
pub(super) fn counted<'a>(callers: impl Iterator<Item = &'a Identity>) -> Vec<UserId> {
    let customers = callers.filter(|caller| !caller.is_admin());
    let mut users: Vec<UserId> = customers.map(|caller| caller.user).collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn refused(user: UserId, noun: &'static str, most: i64, setting: &'static str) -> Error {
    throttled!(
        info,
        by = (user, setting),
        user = user.0,
        "a write was refused, because {setting} allows a customer {most} {noun}"
    );
    Error::Conflict(format!("No more than {most} {noun} are allowed"))
}

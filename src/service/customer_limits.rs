//! How often one customer may do something, over all its sockets and calls. Admins are trusted.

use std::time::Duration;

use hubcast_realtime::throttled;

use super::limiter::Limiter;
use crate::auth::Identity;
use crate::config::Rate;
use crate::error::Error;
use crate::model::UserId;

/// The most users whose calls are remembered, for each limit.
const MAX_USERS: usize = 100_000;

/// The rates of one customer that settings give.
#[derive(Debug, Clone, Copy)]
pub struct CustomerRates {
    /// Bytes of events for others.
    pub publish: Rate,
    /// Events of all sockets together.
    pub events: Rate,
    /// Sockets that enter.
    pub connects: Rate,
}

/// The limits of calls. Those of bytes for others are in
/// [`PublishLimits`](super::publish_limits::PublishLimits).
pub(super) struct CustomerLimits {
    events: Limiter<UserId>,
    connects: Limiter<UserId>,
    notices: Limiter<UserId>,
}

impl CustomerLimits {
    /// Notices for the admins that one customer causes by reviews: so many at once, and one more
    /// each minute.
    const NOTICES: u32 = 20;
    const NOTICE_EACH: Duration = Duration::from_secs(60);

    pub(super) fn new(rates: &CustomerRates) -> Self {
        Self {
            events: Limiter::new(rates.events, MAX_USERS),
            connects: Limiter::new(rates.connects, MAX_USERS),
            notices: Limiter::new(Rate::one_each(Self::NOTICE_EACH, Self::NOTICES), MAX_USERS),
        }
    }

    /// Counts an event that a socket of the caller has sent.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub(super) fn event(&self, caller: &Identity) -> Result<(), Error> {
        let what = "RATE_EVENTS over all sockets of a customer";
        check(&self.events, caller, what)
    }

    /// Counts a socket of the caller that enters.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub(super) fn connect(&self, caller: &Identity) -> Result<(), Error> {
        check(&self.connects, caller, "the rate of a customer's new sockets (SOCKETS_PER_USER)")
    }

    /// Returns true if the admins get a notification of a review by the caller.
    pub(super) fn tells_admins(&self, caller: &Identity) -> bool {
        let what = "the rate of notices to the admins by one customer's reviews";
        check(&self.notices, caller, what).is_ok()
    }
}

fn check(limiter: &Limiter<UserId>, caller: &Identity, what: &str) -> Result<(), Error> {
    if caller.is_admin() {
        return Ok(());
    }
    limiter.check(&caller.user).map_err(|wait| {
        let user = caller.user.0;
        throttled!(info, by = (user, what.to_owned()), user, ?wait, "a customer exceeds {what}");
        Error::RateLimited(wait)
    })
}

//! How much one customer may tell others: RATE_PUBLISH, in bytes of events, over all sockets and
//! REST calls of the user. It is far below what a connection's queue holds, so that nobody who
//! reads is disconnected for what one customer says.
//!
//! A service function whose events reach others counts them before it writes. What a receiver gets
//! counts, however many receivers there are. Admins are trusted.

use std::sync::Arc;

use hubcast_realtime::throttled;

use super::limiter::Limiter;
use crate::auth::Identity;
use crate::config::Rate;
use crate::error::Error;
use crate::model::UserId;

/// What an event counts beside the words in it: its name, ids, times and framing.
const EVENT_BYTES: usize = 256;
/// The most users whose events are remembered.
const MAX_USERS: usize = 100_000;
/// The rate of all customers together for everyone, in rates of one customer. The burst is the
/// same, because it is what a queue has to hold.
const EVERYONE: u32 = 4;

#[derive(Clone)]
pub(super) struct PublishLimits {
    limiter: Arc<Limiter<UserId>>,
    /// What reaches everyone counts for all customers together, so that many of them cannot fill
    /// a queue either.
    everyone: Arc<Limiter<()>>,
    rate: Rate,
}

impl PublishLimits {
    pub(super) fn new(rate: Rate) -> Self {
        let mut everyone = rate.times(EVERYONE);
        everyone.burst = rate.burst;
        Self {
            limiter: Arc::new(Limiter::new(rate, MAX_USERS)),
            everyone: Arc::new(Limiter::new(everyone, 1)),
            rate,
        }
    }

    /// Counts events of the caller, with so many bytes of words in all of them.
    ///
    /// # Errors
    /// [`Error::RateLimited`]; then nothing was counted.
    pub(super) fn admit(
        &self,
        caller: &Identity,
        events: usize,
        words: usize,
    ) -> Result<(), Error> {
        if caller.is_admin() {
            return Ok(());
        }
        let bytes = events * EVENT_BYTES + words;
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.limiter.check_n(&caller.user, count).map_err(|wait| {
            throttled!(
                info,
                by = caller.user.0,
                user = caller.user.0,
                bytes,
                ?wait,
                rate = ?self.rate,
                "a customer was refused, because its events for others exceed RATE_PUBLISH"
            );
            Error::RateLimited(wait)
        })
    }

    /// Like [`PublishLimits::admit`], for events of which the first reaches everyone.
    ///
    /// # Errors
    /// [`Error::RateLimited`]; then the caller's own may have been counted.
    pub(super) fn admit_for_everyone(
        &self,
        caller: &Identity,
        events: usize,
        words: usize,
    ) -> Result<(), Error> {
        self.admit(caller, events, words)?;
        if caller.is_admin() {
            return Ok(());
        }
        let count = u32::try_from(EVENT_BYTES + words).unwrap_or(u32::MAX);
        self.everyone.check_n(&(), count).map_err(|wait| {
            throttled!(
                info,
                by = "everyone",
                user = caller.user.0,
                bytes = count,
                ?wait,
                rate = ?self.rate,
                "a customer was refused, because all customers' events for everyone exceed \
                 RATE_PUBLISH times {EVERYONE}"
            );
            Error::RateLimited(wait)
        })
    }
}

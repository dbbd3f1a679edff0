//! The rate limit of sign-ins and registrations.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Rate;
use crate::error::Error;

/// The token buckets of `RATE_LOGIN`, one per account and address: so a stranger's guesses neither
/// lock the owner out nor go on for long.
pub(super) struct SignInLimits {
    buckets: DefaultKeyedRateLimiter<(u64, IpAddr)>,
    hasher: RandomState,
    checks: AtomicUsize,
}

impl SignInLimits {
    /// Full buckets are removed once in so many sign-ins.
    const TIDY_EVERY: usize = 1024;
    /// The most buckets; beyond that every sign-in is refused.
    const MOST: usize = 100_000;

    pub(super) fn new(rate: Rate) -> Self {
        // A rate's period is never zero, so `with_period` always returns a quota.
        let quota = Quota::with_period(rate.period())
            .unwrap_or(Quota::per_minute(rate.burst))
            .allow_burst(rate.burst);
        Self {
            buckets: RateLimiter::keyed(quota),
            hasher: RandomState::new(),
            checks: AtomicUsize::new(0),
        }
    }

    /// Counts one sign-in of the account from the address.
    ///
    /// # Errors
    /// [`Error::RateLimited`] with the time to wait.
    pub(super) fn check(&self, email: &str, from: IpAddr) -> Result<(), Error> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(Self::TIDY_EVERY) {
            self.buckets.retain_recent();
        }
        if self.buckets.len() >= Self::MOST {
            return Err(Error::RateLimited(Duration::from_secs(1)));
        }
        let account = self.hasher.hash_one(email.to_lowercase());
        self.buckets.check_key(&(account, from)).map_err(|until| {
            Error::RateLimited(until.wait_time_from(DefaultClock::default().now()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_ins_are_limited_per_account_and_address() {
        let limits = SignInLimits::new("2/m".parse().expect("a rate"));
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        assert_eq!(limits.check("a@b.test", here), Ok(()));
        assert_eq!(limits.check("A@b.test", here), Ok(()));
        let Err(Error::RateLimited(wait)) = limits.check("a@B.test", here) else {
            panic!("the third is over")
        };
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
        assert_eq!(limits.check("a@b.test", there), Ok(()));
        assert_eq!(limits.check("c@b.test", here), Ok(()));
    }
}

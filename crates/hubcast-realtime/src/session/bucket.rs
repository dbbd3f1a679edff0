//! The rate limit of one session.

use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// A token bucket.
pub(super) struct Bucket(Box<DefaultDirectRateLimiter>);

impl Bucket {
    pub(super) fn new(quota: Quota) -> Self {
        Self(Box::new(RateLimiter::direct(quota)))
    }

    /// Takes one token. If there is none, returns how long to wait for one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.0.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

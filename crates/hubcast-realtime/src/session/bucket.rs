//! The rate limit of one session.

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// A token bucket.
pub(super) struct Bucket(Box<DefaultDirectRateLimiter>);

impl Bucket {
    pub(super) fn new(quota: Quota) -> Self {
        Self(Box::new(RateLimiter::direct(quota)))
    }

    /// Takes one token. Returns false if there is none.
    pub(super) fn take(&self) -> bool {
        self.0.check().is_ok()
    }
}

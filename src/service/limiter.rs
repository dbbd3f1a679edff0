//! Rate limits by a key: a user, an address, an account. A key has a token bucket, made when it is
//! first counted. The table of buckets has a bound, and nobody can fill it to shut others out: a
//! full one forgets the fullest buckets, which are those that limit least.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::config::Rate;

/// The token buckets of one limit.
pub struct Limiter<K: Hash + Eq + Clone, C: Clock = DefaultClock> {
    limiter: RateLimiter<K, Buckets<K>, C, NoOpMiddleware<C::Instant>>,
    burst: NonZeroU32,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// At most `most` buckets are kept; a key without one has a full bucket.
    #[must_use]
    pub fn new(rate: Rate, most: usize) -> Self {
        Self::with_clock(rate, most, DefaultClock::default())
    }
}

impl<K: Hash + Eq + Clone, C: Clock> Limiter<K, C> {
    fn with_clock(rate: Rate, most: usize, clock: C) -> Self {
        // A rate's period is never zero, so `with_period` always returns a quota.
        let quota = Quota::with_period(rate.period())
            .unwrap_or(Quota::per_minute(rate.burst))
            .allow_burst(rate.burst);
        let limiter = RateLimiter::new(quota, Buckets(Mutex::new(Bounded::new(most))), clock);
        Self { limiter, burst: rate.burst }
    }

    /// Takes one token of the key.
    ///
    /// # Errors
    /// The time until there is one.
    pub fn check(&self, key: &K) -> Result<(), Duration> {
        self.limiter
            .check_key(key)
            .map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// Takes `count` tokens of the key, or none. More than the whole bucket holds counts as a whole
    /// bucket.
    ///
    /// # Errors
    /// The time until there are as many.
    pub fn check_n(&self, key: &K, count: u32) -> Result<(), Duration> {
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        match self.limiter.check_key_n(key, count.min(self.burst)) {
            // Not more than the burst, so it can never be too many.
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.limiter.clock().now())),
        }
    }
}

/// For each key the time at which its bucket is full again, in governor's words the theoretical
/// arrival time: the least time is that of the fullest bucket.
struct Buckets<K>(Mutex<Bounded<K, Nanos>>);

/// A table of at most so many entries. A full one forgets those with the least values.
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, V>,
    most: usize,
}

impl<K: Hash + Eq, V: Ord + Copy> Bounded<K, V> {
    /// A full table forgets one entry in so many, so that few insertions pay for the search.
    const FORGOTTEN: usize = 8;

    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), most: most.max(1) }
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.len() >= self.most && !self.contains(&key) {
            self.forget();
        }
        self.entries.insert(key, value);
    }

    /// Returns all entries, and leaves none.
    pub(super) fn take(&mut self) -> HashMap<K, V> {
        std::mem::take(&mut self.entries)
    }

    fn forget(&mut self) {
        let mut left = self.entries.len().div_ceil(Self::FORGOTTEN);
        let mut values: Vec<V> = self.entries.values().copied().collect();
        // There is at least one entry, because a table is full with one or more.
        let (_, last, _) = values.select_nth_unstable(left - 1);
        let last = *last;
        self.entries.retain(|_, value| {
            let is_kept = *value > last || left == 0;
            left -= usize::from(!is_kept);
            is_kept
        });
    }
}

impl<K: Hash + Eq + Clone> StateStore for Buckets<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // No code in this module panics while it holds the lock.
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(time) = full_at.get_mut(key) {
            let (outcome, next) = measure(Some(*time))?;
            *time = next;
            return Ok(outcome);
        }
        let (outcome, next) = measure(None)?;
        full_at.insert(key.clone(), next);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limiter(rate: &str, most: usize) -> (Limiter<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        clock.advance(Duration::from_secs(1));
        (Limiter::with_clock(rate.parse().expect("a rate"), most, clock.clone()), clock)
    }

    #[test]
    fn a_key_has_its_burst_and_then_its_rate() {
        let (limiter, clock) = limiter("1/s,2", 10);
        assert_eq!([limiter.check(&1), limiter.check(&1)], [Ok(()), Ok(())]);
        assert_eq!(limiter.check(&1), Err(Duration::from_secs(1)));
        assert_eq!(limiter.check(&2), Ok(()), "another key");
        clock.advance(Duration::from_secs(1));
        assert_eq!([limiter.check(&1), limiter.check(&1)], [Ok(()), Err(Duration::from_secs(1))]);
    }

    #[test]
    fn several_tokens_are_taken_together_or_not_at_all() {
        let (limiter, clock) = limiter("1/s,10", 10);
        assert_eq!(limiter.check_n(&1, 0), Ok(()));
        assert_eq!(limiter.check_n(&1, 7), Ok(()));
        assert_eq!(limiter.check_n(&1, 5), Err(Duration::from_secs(2)));
        assert_eq!(limiter.check_n(&1, 3), Ok(()), "what was refused took nothing");
        clock.advance(Duration::from_secs(10));
        assert_eq!(limiter.check_n(&1, 1_000_000), Ok(()), "as much as a whole bucket");
        assert_eq!(limiter.check(&1), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_full_table_forgets_the_fullest_buckets_and_refuses_nobody_for_it() {
        let (limiter, _) = limiter("1/m,3", 8);
        assert_eq!(limiter.check_n(&0, 3), Ok(()));
        for stranger in 1..1_000 {
            assert_eq!(limiter.check(&stranger), Ok(()), "{stranger}");
        }
        assert_eq!(limiter.check(&0), Err(Duration::from_secs(60)), "an empty one is kept");
        let kept = limiter.limiter.into_state_store().0.into_inner().expect("no panic");
        assert!(kept.entries.len() <= 8);
    }
}

//! Log lines of a fault that repeats: the first one at once, then at most one in each [`PERIOD`],
//! with the number of those that were left out. A fault that each request meets would otherwise
//! fill the log, and the disk with it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which one fault is logged once.
const PERIOD: Duration = Duration::from_secs(10);
/// The faults that one place in the code tells apart, and so the most lines that it logs in a
/// period. Those of further faults are left out.
const MAX_FAULTS: usize = 8;

/// The faults that one place in the code has logged recently. [`throttled!`](crate::throttled)
/// makes one for each place.
#[derive(Debug)]
pub struct Throttle(Mutex<Recent>);

#[derive(Debug)]
struct Recent {
    faults: [Option<Fault>; MAX_FAULTS],
    /// Lines that found no place among `faults`.
    others: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    key: u64,
    logged: Instant,
    left_out: u64,
}

impl Throttle {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Recent { faults: [None; MAX_FAULTS], others: 0 }))
    }

    /// If a line about this fault may be logged now: the number of lines left out since the last
    /// one. `fault` tells faults apart: its text, its reason.
    pub fn admit(&self, fault: impl Hash) -> Option<u64> {
        self.admit_at(fault, Instant::now())
    }

    fn admit_at(&self, fault: impl Hash, now: Instant) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        fault.hash(&mut hasher);
        let key = hasher.finish();
        // No code in this module panics while it holds the lock.
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |fault: &Fault| {
            now.checked_duration_since(fault.logged).is_some_and(|past| past >= PERIOD)
        };
        if let Some(known) = recent.faults.iter_mut().flatten().find(|fault| fault.key == key) {
            if !is_over(known) {
                known.left_out += 1;
                return None;
            }
            known.logged = now;
            return Some(std::mem::take(&mut known.left_out));
        }
        let place = recent.faults.iter().position(|place| place.as_ref().is_none_or(is_over));
        let Some(place) = place else {
            recent.others += 1;
            return None;
        };
        let replaced = recent.faults[place].replace(Fault { key, logged: now, left_out: 0 });
        Some(std::mem::take(&mut recent.others) + replaced.map_or(0, |fault| fault.left_out))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

/// Logs a line about a fault that may repeat: at once, and then at most once in ten seconds for
/// each value of `by`, with `left_out`, the number of lines that were not logged. The rest is as in
/// `tracing::warn!`.
///
/// ```
/// # let (error, user) = ("disk full", 7);
/// hubcast_realtime::throttled!(warn, by = error, error, user, "cannot write");
/// ```
#[macro_export]
macro_rules! throttled {
    ($level:ident, by = $by:expr, $($line:tt)+) => {{
        use ::hubcast_realtime::Throttle;
        static THROTTLE: Throttle = Throttle::new();
        if let Some(left_out) = THROTTLE.admit($by) {
            ::tracing::$level!(left_out, $($line)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_logged_at_once_and_then_once_a_period_with_a_count() {
        let (throttle, start) = (Throttle::new(), Instant::now());
        let admit = |ms| throttle.admit_at("disk full", start + Duration::from_millis(ms));
        assert_eq!(admit(0), Some(0));
        assert_eq!([admit(1), admit(5_000), admit(9_999)], [None; 3]);
        assert_eq!([admit(10_000), admit(10_001), admit(30_000)], [Some(3), None, Some(1)]);
    }

    #[test]
    fn faults_are_told_apart_up_to_a_bound() {
        let (throttle, start) = (Throttle::new(), Instant::now());
        let admit = |fault, ms| throttle.admit_at(fault, start + Duration::from_millis(ms));
        for fault in 0..MAX_FAULTS {
            assert_eq!([admit(fault, 0), admit(fault, 1)], [Some(0), None]);
        }
        assert_eq!([admit(100, 2), admit(101, 3)], [None; 2]);
        // It takes the place of fault 0, and with it the line left out there.
        assert_eq!(admit(102, 10_000), Some(3));
        assert_eq!(admit(1, 10_001), Some(1));
    }
}

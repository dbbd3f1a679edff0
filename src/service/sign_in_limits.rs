//! The limits of sign-ins and registrations, and the count of those that fail.
//!
//! An address, an account, and the pair of both have a bucket each. The pair's is the smallest, so
//! a stranger's guesses at an account never use up the bucket that its owner has at another
//! address. The account's is for guesses that come from many addresses. An address from which the
//! account has signed in before is asked for the pair's bucket only: so strangers elsewhere do not
//! shut out an owner where it usually is, nor does whoever guesses at other accounts in the same
//! office. Who guesses at this very account from the same address does, there only: the two cannot
//! be told apart before a password is hashed. Such guesses take nothing from the account's bucket.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hubcast_realtime::{rate_key, throttled};

use super::limiter::{Bounded, Limiter};
use crate::config::Rate;
use crate::error::Error;

/// The most entries of each table.
const MOST: usize = 100_000;
/// An account's bucket has the pair's rate, and so many times its burst.
const PAIRS_AN_ACCOUNT: u32 = 4;
/// How often failures are logged.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// The most addresses that a report names.
const MOST_LINES: usize = 100;

/// The rates of sign-ins and registrations.
#[derive(Debug, Clone, Copy)]
pub struct SignInRates {
    /// RATE_LOGIN: per account and address.
    pub pair: Rate,
    /// RATE_LOGIN_ADDRESS
    pub address: Rate,
    /// RATE_REGISTER: registrations per address.
    pub register: Rate,
}

/// An account's hash, and where its call comes from.
type Pair = (u64, IpAddr);

pub(super) struct SignInLimits {
    pairs: Limiter<Pair>,
    accounts: Limiter<u64>,
    addresses: Limiter<IpAddr>,
    registrations: Limiter<IpAddr>,
    hasher: RandomState,
    /// Where accounts have signed in, and when they last did.
    known: Mutex<Bounded<Pair, Instant>>,
    failures: Mutex<Bounded<IpAddr, Failures>>,
}

/// The sign-ins of one address that failed since the last report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Failures {
    /// With a wrong e-mail or password, or of an e-mail that is registered already.
    refused: u64,
    /// Over a rate, or in too long a queue.
    limited: u64,
}

/// A sign-in or a registration that the limits allow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    account: u64,
    pub(super) from: IpAddr,
}

impl SignInLimits {
    pub(super) fn new(rates: SignInRates) -> Self {
        Self {
            pairs: Limiter::new(rates.pair, MOST),
            accounts: Limiter::new(rates.pair.with_burst_times(PAIRS_AN_ACCOUNT), MOST),
            addresses: Limiter::new(rates.address, MOST),
            registrations: Limiter::new(rates.register, MOST),
            hasher: RandomState::new(),
            known: Mutex::new(Bounded::new(MOST)),
            failures: Mutex::new(Bounded::new(MOST)),
        }
    }

    /// Counts one sign-in of the account.
    ///
    /// # Errors
    /// [`Error::RateLimited`] with the time to wait.
    pub(super) fn sign_in(&self, email: &str, from: IpAddr) -> Result<Attempt, Error> {
        let attempt = self.attempt(email, from);
        let Attempt { account, from } = attempt;
        let is_known = lock(&self.known).contains(&(account, from));
        if !is_known {
            self.allow(from, "RATE_LOGIN_ADDRESS", self.addresses.check(&from))?;
        }
        self.allow(from, "RATE_LOGIN", self.pairs.check(&(account, from)))?;
        if !is_known {
            self.allow(from, "RATE_LOGIN", self.accounts.check(&account))?;
        }
        Ok(attempt)
    }

    /// Counts one registration.
    ///
    /// # Errors
    /// [`Error::RateLimited`] with the time to wait.
    pub(super) fn registration(&self, email: &str, from: IpAddr) -> Result<Attempt, Error> {
        let attempt = self.attempt(email, from);
        let Attempt { account, from } = attempt;
        self.allow(from, "RATE_REGISTER", self.registrations.check(&from))?;
        self.allow(from, "RATE_LOGIN", self.pairs.check(&(account, from)))?;
        Ok(attempt)
    }

    /// Takes note of how the attempt ended.
    pub(super) fn ended<T>(&self, attempt: Attempt, outcome: &Result<T, Error>) {
        let Attempt { account, from } = attempt;
        match outcome {
            Ok(_) => lock(&self.known).insert((account, from), Instant::now()),
            Err(Error::BadCredentials | Error::Conflict(_)) => {
                self.count(from, Failures { refused: 1, limited: 0 });
            }
            Err(Error::Unavailable(_)) => self.count(from, Failures { refused: 0, limited: 1 }),
            Err(_) => {}
        }
    }

    /// Logs failures once a minute, until it is aborted.
    pub(super) async fn report_every_minute(&self) {
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            self.report();
        }
    }

    pub(super) fn report_at_the_end(&self) -> LastReport<'_> {
        LastReport(self)
    }

    /// Logs the failures of each address since the last call. The line has no e-mail.
    fn report(&self) {
        let mut failures: Vec<_> = lock(&self.failures).take().into_iter().collect();
        failures.sort_unstable_by_key(|(_, failures)| std::cmp::Reverse(*failures));
        let others = failures.split_off(failures.len().min(MOST_LINES));
        for (address, Failures { refused, limited }) in failures {
            tracing::info!(%address, refused, limited, "sign-ins failed in the last minute");
        }
        if !others.is_empty() {
            let refused: u64 = others.iter().map(|(_, failures)| failures.refused).sum();
            let limited: u64 = others.iter().map(|(_, failures)| failures.limited).sum();
            let addresses = others.len();
            tracing::info!(
                addresses,
                refused,
                limited,
                "sign-ins failed in the last minute, from further addresses"
            );
        }
    }

    fn attempt(&self, email: &str, from: IpAddr) -> Attempt {
        Attempt { account: self.hasher.hash_one(email.to_lowercase()), from: rate_key(from) }
    }

    fn allow(
        &self,
        address: IpAddr,
        setting: &str,
        checked: Result<(), Duration>,
    ) -> Result<(), Error> {
        checked.map_err(|wait| {
            self.count(address, Failures { refused: 0, limited: 1 });
            throttled!(info, by = setting, %address, "a sign-in was refused: it is over {setting}");
            Error::RateLimited(wait)
        })
    }

    fn count(&self, from: IpAddr, more: Failures) {
        let mut failures = lock(&self.failures);
        match failures.get_mut(&from) {
            Some(sum) => {
                sum.refused += more.refused;
                sum.limited += more.limited;
            }
            None => failures.insert(from, more),
        }
    }
}

/// Reports on drop.
pub(super) struct LastReport<'a>(&'a SignInLimits);

impl Drop for LastReport<'_> {
    fn drop(&mut self) {
        self.0.report();
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code in this module panics while it holds a lock.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(pair: &str, address: &str, register: &str) -> SignInLimits {
        let rate = |text: &str| text.parse().expect("a rate");
        let (pair, address, register) = (rate(pair), rate(address), rate(register));
        SignInLimits::new(SignInRates { pair, address, register })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many sign-ins of the account are allowed, of so many.
    fn allowed(limits: &SignInLimits, email: &str, from: &str, of: usize) -> usize {
        (0..of).filter(|_| limits.sign_in(email, address(from)).is_ok()).count()
    }

    #[test]
    fn sign_ins_are_limited_per_account_and_address() {
        let limits = limits("2/m", "100/m", "100/m");
        let (here, there) = (address("127.0.0.1"), address("127.0.0.2"));
        assert!(limits.sign_in("a@b.test", here).is_ok());
        assert!(limits.sign_in("A@b.test", here).is_ok());
        let Err(Error::RateLimited(wait)) = limits.sign_in("a@B.test", here) else {
            panic!("the third is over")
        };
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
        assert!(limits.sign_in("a@b.test", there).is_ok());
        assert!(limits.sign_in("c@b.test", here).is_ok());
    }

    #[test]
    fn an_address_and_its_network_have_one_bucket_for_all_accounts() {
        let limits = limits("30/m", "3/m", "2/m");
        let of = |from: [&str; 5]| {
            let mut n = 0;
            from.map(|from| {
                n += 1;
                limits.sign_in(&format!("{n}@b.test"), address(from)).is_ok()
            })
        };
        let networks = ["2001:db8::1", "2001:db8::2", "2001:db8::3:4", "2001:db8::9", "2001:dba::"];
        assert_eq!(of(networks), [true, true, true, false, true]);
        let here = ["127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"];
        assert_eq!(of(here), [true, true, true, false, true]);
        let register = |n| limits.registration(&format!("{n}@c.test"), address("127.0.0.9"));
        assert!([1, 2, 3].map(register).iter().map(Result::is_ok).eq([true, true, false]));
    }

    #[test]
    fn strangers_do_not_lock_the_owner_out() {
        let limits = limits("5/m", "1000/m", "1000/m");
        let home = address("192.0.2.1");
        let attempt = limits.sign_in("owner@b.test", home).expect("the first");
        limits.ended(attempt, &Ok(()));
        // One stranger uses up the bucket of its own pair.
        assert_eq!(allowed(&limits, "owner@b.test", "198.51.100.1", 100), 5);
        assert!(limits.sign_in("owner@b.test", address("192.0.2.2")).is_ok(), "a new place");
        // Many together use up the account's.
        let all: usize =
            (2..100).map(|n| allowed(&limits, "owner@b.test", &format!("198.51.100.{n}"), 5)).sum();
        assert_eq!(all, 20 - 5 - 1 - 1);
        assert!(limits.sign_in("owner@b.test", address("192.0.2.3")).is_err());
        assert!(limits.sign_in("owner@b.test", home).is_ok(), "where it has signed in before");
    }

    #[test]
    fn a_neighbour_at_the_same_address_does_not_lock_out_those_who_were_there_before() {
        let limits = limits("5/m", "10/m", "10/m");
        let attempt = limits.sign_in("a@b.test", address("127.0.0.1")).expect("the first");
        limits.ended(attempt, &Ok(()));
        for n in 0..100 {
            let _ = limits.sign_in(&format!("{n}@b.test"), address("127.0.0.1"));
        }
        assert!(limits.sign_in("new@b.test", address("127.0.0.1")).is_err());
        assert!(limits.sign_in("a@b.test", address("127.0.0.1")).is_ok());
    }

    #[test]
    fn guesses_at_the_owners_own_address_shut_the_owner_out_there_and_nowhere_else() {
        let limits = limits("5/m", "1000/m", "1000/m");
        let attempt = limits.sign_in("a@b.test", address("127.0.0.1")).expect("the first");
        limits.ended(attempt, &Ok(()));
        assert_eq!(allowed(&limits, "a@b.test", "127.0.0.1", 1000), 4);
        assert!(limits.sign_in("a@b.test", address("127.0.0.2")).is_ok());
        assert_eq!(allowed(&limits, "a@b.test", "127.0.0.3", 5), 5, "the account's has the rest");
    }
}

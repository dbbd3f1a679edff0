//! Passwords: argon2id, off the event loop, as many at a time as there are cores.
//!
//! A hash costs about 19 MiB and 20 ms of a core on purpose, so both are bounded here: whoever comes when a hundred wait already is sent
//! away with 503 instead of making all wait longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Secret;
use crate::error::Error;

/// How many may wait for a core.
const MAX_WAITING: usize = 100;
/// Of a password that nobody knows, with the parameters of all the others: verified when there is no such user, so that time does not tell.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8tc3VjaC11c2VyLWhlcg$4Tk0hHbtLZ8sdUfPzMFzWpoWxsNPA2NVr3PJH0CQj2U";

/// Hashes and verifies. One per process: the bounds are its own.
pub struct PasswordHasher {
    cores: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for PasswordHasher {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { cores: Arc::new(Semaphore::new(cores)), waiting: AtomicUsize::new(0) }
    }
}

impl PasswordHasher {
    /// The hash to store, as a PHC string with a fresh salt.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already.
    pub async fn hash(&self, password: Secret) -> Result<String, Error> {
        self.run(move || hash(&password)).await?.map_err(broken)
    }

    /// Whether this is the password. Without a stored hash (there is no such user) it takes as long, and is not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already.
    pub async fn verify(&self, password: Secret, stored: Option<String>) -> Result<bool, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| NOBODY.to_owned());
        let matches = self.run(move || verify(&password, &stored)).await?.map_err(broken)?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let core = self.core().await?;
        // The work holds its core until it is done, also when nobody waits for it any more.
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(core);
            result
        });
        task.await.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            Error::Internal
        })
    }

    async fn core(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(core) = Arc::clone(&self.cores).try_acquire_owned() {
            return Ok(core);
        }
        let _place = Place::take(&self.waiting)?;
        Arc::clone(&self.cores).acquire_owned().await.map_err(|_| Error::Internal)
    }
}

/// A place among those who wait, given back however the waiting ends.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, Error> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING { Ok(place) } else { Err(Error::Unavailable("Too many sign-ins at once")) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(password: &Secret) -> Result<String, password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    Argon2::default().hash_password(password.expose().as_bytes(), &salt).map(|hash| hash.to_string())
}

fn verify(password: &Secret, stored: &str) -> Result<bool, password_hash::Error> {
    let stored = PasswordHash::new(stored)?;
    match Argon2::default().verify_password(password.expose().as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::Password) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A stored hash that cannot be read, or parameters that do not fit: never the caller's fault.
#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn broken(error: password_hash::Error) -> Error {
    tracing::error!(%error, "a password's hash cannot be worked with");
    Error::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    #[actix_rt::test]
    async fn a_password_is_verified_against_its_hash() {
        let hasher = PasswordHasher::default();
        let stored = hasher.hash(secret("correct horse")).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$"));
        assert_eq!(hasher.verify(secret("correct horse"), Some(stored.clone())).await, Ok(true));
        assert_eq!(hasher.verify(secret("battery staple"), Some(stored)).await, Ok(false));
        assert_eq!(hasher.verify(secret("anything"), None).await, Ok(false));
    }

    #[test]
    fn the_hash_for_nobody_costs_what_the_others_cost() {
        let cost = |text: &str| {
            let hash = PasswordHash::new(text).expect("a PHC string");
            (
                hash.algorithm.to_string(),
                hash.version,
                hash.params.to_string(),
                hash.salt.map(|salt| salt.as_str().len()),
                hash.hash.map(|hash| hash.len()),
            )
        };
        assert_eq!(cost(NOBODY), cost(&hash(&secret("x")).expect("hashes")));
        assert_eq!(verify(&secret("x"), NOBODY), Ok(false));
    }

    #[actix_rt::test]
    async fn past_a_hundred_waiting_it_is_unavailable() {
        let hasher = PasswordHasher { cores: Arc::new(Semaphore::new(0)), waiting: AtomicUsize::new(MAX_WAITING - 1) };
        let mut last = Box::pin(hasher.core());
        assert!(futures_poll(last.as_mut()).is_pending());
        assert!(matches!(hasher.core().await, Err(Error::Unavailable(_))));
        drop(last);
        assert_eq!(hasher.waiting.load(Ordering::Relaxed), MAX_WAITING - 1);
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}

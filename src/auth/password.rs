//! Passwords: argon2id, off the event loop, as many at a time as there are cores.
//!
//! A hash costs about 19 MiB and 20 ms of a core on purpose, so both are bounded here: whoever
//! comes when a hundred wait already is sent away with 503 instead of making all wait longer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use argon2::password_hash::{self, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Secret;
use crate::error::Error;

/// How many may wait for a core.
const MAX_WAITING: usize = 100;
/// The hash of a password that nobody knows, with the parameters of all the others: of an account
/// that has none, and verified when there is no such user, so that time does not tell.
pub const NO_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8tc3VjaC11c2VyLWhlcg$4Tk0hHbtLZ8sdUfPzMFzWpoWxsNPA2NVr3PJH0CQj2U";

/// Hashes and verifies. One per process: the bounds are its own.
pub struct PasswordHasher {
    cores: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Kept for the next hash, at most one a core: given back to the allocator, it would stay with
    /// whichever thread freed it.
    memories: Arc<Mutex<Vec<Memory>>>,
}

/// What argon2 fills: 19 MiB.
type Memory = Vec<Block>;

impl Default for PasswordHasher {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            waiting: AtomicUsize::new(0),
            memories: Arc::default(),
        }
    }
}

impl PasswordHasher {
    /// The hash to store, as a PHC string with a fresh salt.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already.
    pub async fn hash(&self, password: Secret) -> Result<String, Error> {
        self.run(move |memory| hash(&password, memory)).await?.map_err(broken)
    }

    /// Whether this is the password. Without a stored hash (there is no such user) it takes as
    /// long, and is not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already.
    pub async fn verify(&self, password: Secret, stored: Option<String>) -> Result<bool, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| NO_PASSWORD.to_owned());
        let matches =
            self.run(move |memory| verify(&password, &stored, memory)).await?.map_err(broken)?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let core = self.core().await?;
        let memories = Arc::clone(&self.memories);
        // The work holds its core until it is done, also when nobody waits for it any more.
        let task = tokio::task::spawn_blocking(move || {
            let mut memory = lock(&memories).pop().unwrap_or_default();
            let result = work(&mut memory);
            lock(&memories).push(memory);
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
        if waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            Ok(place)
        } else {
            Err(Error::Unavailable("Too many sign-ins at once"))
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock(memories: &Mutex<Vec<Memory>>) -> MutexGuard<'_, Vec<Memory>> {
    // A list of buffers is whole whoever panicked.
    memories.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(password: &Secret, memory: &mut Memory) -> Result<String, password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; Salt::RECOMMENDED_LENGTH]>())?;
    let params = Params::default();
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt.as_salt()),
        hash: Some(output(password, salt.as_salt(), params, memory)?),
    };
    Ok(hash.to_string())
}

fn verify(
    password: &Secret,
    stored: &str,
    memory: &mut Memory,
) -> Result<bool, password_hash::Error> {
    let stored = PasswordHash::new(stored)?;
    if stored.algorithm != Algorithm::Argon2id.ident() {
        return Err(password_hash::Error::Algorithm);
    }
    let (salt, expected) = (
        stored.salt.ok_or(password_hash::Error::PhcStringField)?,
        stored.hash.ok_or(password_hash::Error::PhcStringField)?,
    );
    // `Output` compares in constant time.
    Ok(output(password, salt, Params::try_from(&stored)?, memory)? == expected)
}

fn output(
    password: &Secret,
    salt: Salt<'_>,
    params: Params,
    memory: &mut Memory,
) -> Result<Output, password_hash::Error> {
    let mut buffer = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut buffer)?;
    let (blocks, length) =
        (params.block_count(), params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN));
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    Output::init_with(length, |out| {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // `blocks` is at most the length: it was made so above.
        Ok(argon2.hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            out,
            &mut memory[..blocks],
        )?)
    })
}

/// A stored hash that cannot be read, or parameters that do not fit: never the caller's fault.
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
        assert_eq!(
            cost(NO_PASSWORD),
            cost(&hash(&secret("x"), &mut Memory::new()).expect("hashes"))
        );
        assert_eq!(verify(&secret("x"), NO_PASSWORD, &mut Memory::new()), Ok(false));
    }

    #[actix_rt::test]
    async fn past_a_hundred_waiting_it_is_unavailable() {
        let hasher = PasswordHasher {
            cores: Arc::new(Semaphore::new(0)),
            waiting: AtomicUsize::new(MAX_WAITING - 1),
            ..PasswordHasher::default()
        };
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

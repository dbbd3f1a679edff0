//! Passwords: argon2id, on blocking threads, one hash per core at a time.
//!
//! A hash deliberately costs about 19 MiB and 20 ms of a core, so both are bounded, and the
//! addresses of the callers take turns: `turns.rs`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use argon2::password_hash::{self, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::turns::Turns;
use crate::config::Secret;
use crate::error::Error;

/// The hash of a password that nobody knows, with the usual parameters. Accounts without a password
/// have this hash; it is also verified for unknown users, so that the time of the answer does not
/// reveal whether a user exists.
pub const NO_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8tc3VjaC11c2VyLWhlcg$\
                               4Tk0hHbtLZ8sdUfPzMFzWpoWxsNPA2NVr3PJH0CQj2U";

/// Hashes and verifies passwords. One per process, because the bounds belong to it.
pub struct PasswordHasher {
    cores: Arc<Turns>,
    /// Kept for the next hash, at most one per core: the allocator would keep freed blocks in the
    /// arena of one thread.
    memories: Arc<Mutex<Vec<Memory>>>,
}

/// The 19 MiB of working memory of one hash.
type Memory = Vec<Block>;

impl Default for PasswordHasher {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { cores: Turns::new(cores), memories: Arc::default() }
    }
}

impl PasswordHasher {
    /// Stands for this process itself, as the address of a caller.
    pub const SELF: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    /// Returns the hash to store: a PHC string with a fresh salt. `from` is the caller's address.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many callers wait.
    pub async fn hash(&self, from: IpAddr, password: Secret) -> Result<String, Error> {
        self.run(from, move |memory| hash(&password, memory)).await?.map_err(broken)
    }

    /// Returns true if this is the password. Without a stored hash (an unknown user) the answer is
    /// false and takes as long.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many callers wait.
    pub async fn verify(
        &self,
        from: IpAddr,
        password: Secret,
        stored: Option<String>,
    ) -> Result<bool, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| NO_PASSWORD.to_owned());
        let work = move |memory: &mut Memory| verify(&password, &stored, memory);
        let matches = self.run(from, work).await?.map_err(broken)?;
        Ok(matches && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        from: IpAddr,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let core = self.cores.take(from).await?;
        let memories = Arc::clone(&self.memories);
        // The place moves into the task, which may outlive this future.
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
}

fn lock(memories: &Mutex<Vec<Memory>>) -> MutexGuard<'_, Vec<Memory>> {
    // A panic elsewhere cannot leave a list of buffers half changed.
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
        // Cannot be out of bounds: `resize` above made the memory long enough.
        Ok(argon2.hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            out,
            &mut memory[..blocks],
        )?)
    })
}

/// A stored hash or parameters that do not work are an internal error, not the caller's.
fn broken(error: password_hash::Error) -> Error {
    tracing::error!(%error, "a stored password hash cannot be used");
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
        let stored =
            hasher.hash(PasswordHasher::SELF, secret("correct horse")).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$"));
        let verify = async |text: &str, stored: Option<String>| {
            hasher.verify(PasswordHasher::SELF, secret(text), stored).await
        };
        assert_eq!(verify("correct horse", Some(stored.clone())).await, Ok(true));
        assert_eq!(verify("battery staple", Some(stored)).await, Ok(false));
        assert_eq!(verify("anything", None).await, Ok(false));
    }

    #[test]
    fn no_password_costs_as_much_as_other_hashes() {
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
}

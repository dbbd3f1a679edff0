//! Keeps the public keys of another issuer up to date while the server runs.
//!
//! A file is looked at each two seconds. Documents are fetched in the background, and also when a
//! token names a key that is not known, at most once in ten seconds; the token waits for that.
//! Keys that were good are kept as long as no newer ones can be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::de::IgnoredAny;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::fetch::{self, Fetched, Place};
use super::keyring::{Keyring, SignatureFault};
use super::secret::warn_of_skipped;
use crate::config::{KeyFile, MAX_KEYS, PublicKey, PublicKeySource};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The least time between the beginnings of two fetches.
const FETCH_EVERY: Duration = Duration::from_secs(10);
/// The longest time between a fetch that failed and the next one.
const MAX_BACKOFF: Duration = Duration::from_secs(5 * 60);
/// The longest time that a token waits: for the next fetch to begin, and for its end.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The most tokens that wait at once. A token over it is refused at once.
const MAX_WAITING: usize = 1000;

/// The keys of another issuer, and the task that renews them.
pub struct KeyUpdates {
    keyring: Arc<Keyring>,
    source: PublicKeySource,
    /// Whether there have been keys since the start.
    has_keys: AtomicBool,
    /// Fetches that have begun.
    begun: AtomicU64,
    /// The number of the last fetch that has ended.
    ended: watch::Sender<u64>,
    /// Asks for another look or fetch.
    wanted: Notify,
    waiting: Semaphore,
}

impl KeyUpdates {
    /// `keyring` has the keys of the file, or none.
    pub(super) fn new(source: PublicKeySource, keyring: Arc<Keyring>) -> Self {
        Self {
            keyring,
            has_keys: AtomicBool::new(matches!(source, PublicKeySource::File(_))),
            source,
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
            wanted: Notify::new(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Returns false until the first keys have come.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.has_keys.load(Ordering::Acquire)
    }

    /// Asks for the newest keys.
    pub fn renew(&self) {
        self.wanted.notify_one();
    }

    /// Returns when the first fetch has ended, well or not. A file has been read before.
    pub async fn first(&self) {
        if !matches!(self.source, PublicKeySource::File(_)) {
            let mut ended = self.ended.subscribe();
            let _ = timeout(MAX_WAIT, ended.wait_for(|ended| *ended > 0)).await;
        }
    }

    /// If a token's key is not known, waits for newer keys. Returns true as soon as the key is
    /// known, and false when a fetch that began after the call has ended without it.
    pub(super) async fn await_key(&self, token: &str) -> bool {
        let is_unknown = || {
            let decoded = self.keyring.decode::<IgnoredAny>(token);
            matches!(decoded, Err(SignatureFault::UnknownKey))
        };
        if matches!(self.source, PublicKeySource::File(_)) || !is_unknown() {
            return false;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return false };
        let mut ended = self.ended.subscribe();
        let begun = self.begun.load(Ordering::Acquire);
        let until = Instant::now() + MAX_WAIT;
        self.wanted.notify_one();
        while *ended.borrow_and_update() <= begun {
            let changed = timeout_at(until, ended.changed()).await;
            if !changed.is_ok_and(|changed| changed.is_ok()) {
                return false;
            }
            if !is_unknown() {
                return true;
            }
        }
        false
    }

    /// Renews the keys until the task is aborted.
    pub async fn run(&self) {
        match &self.source {
            PublicKeySource::File(file) => self.watch(file).await,
            PublicKeySource::Urls(urls) => {
                self.refresh(urls.as_slice().iter().cloned().map(Place::Keys).collect()).await;
            }
            PublicKeySource::Issuer(issuer) => {
                self.refresh(vec![Place::Issuer(issuer.clone())]).await;
            }
        }
    }

    async fn watch(&self, file: &KeyFile) {
        let mut last = file.bytes();
        let mut fault = None;
        loop {
            let _ = timeout(LOOK_EVERY, self.wanted.notified()).await;
            let (file, mut bytes) = (file.clone(), Arc::clone(&last));
            let read = on_a_thread(move || (file.read_again(&mut bytes), bytes)).await;
            let Some((outcome, bytes)) = read else { continue };
            last = bytes;
            match outcome {
                None => fault = None,
                Some(Ok(keys)) => {
                    self.replace(keys.keys());
                    tracing::info!(keys = keys.keys().len(), "JWT_PUBLIC_KEY_FILE was read again");
                    warn_of_skipped("JWT_PUBLIC_KEY_FILE", &keys);
                    fault = None;
                }
                Some(Err(why)) => {
                    if fault.as_ref() != Some(&why) {
                        tracing::warn!("JWT_PUBLIC_KEY_FILE: {why}; the keys from before are kept");
                    }
                    fault = Some(why);
                }
            }
        }
    }

    async fn refresh(&self, places: Vec<Place>) {
        let mut sets: Vec<Option<Fetched>> = places.iter().map(|_| None).collect();
        let mut faults = Vec::new();
        let mut backoff = FETCH_EVERY;
        loop {
            let round = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            let began = Instant::now();
            // All at once, so that one that is slow holds up no other.
            let running: Vec<_> = places
                .iter()
                .map(|place| {
                    let place = place.clone();
                    on_a_thread(move || fetch::keys(&place))
                })
                .collect();
            let (mut pause, mut new_faults) = (Duration::MAX, Vec::new());
            for (set, fetch) in sets.iter_mut().zip(running) {
                match fetch.await.unwrap_or_else(|| Err("no thread could be started".into())) {
                    Ok(fetched) => {
                        pause = pause.min(fetched.age);
                        if set.as_ref().is_none_or(|set| set.bytes != fetched.bytes) {
                            let (keys, url) = (fetched.keys.keys().len(), &fetched.url);
                            tracing::info!(keys, "the issuer's keys were read from {url}");
                            warn_of_skipped(&url.to_string(), &fetched.keys);
                        }
                        *set = Some(fetched);
                    }
                    Err(why) => new_faults.push(why),
                }
            }
            let all: Vec<PublicKey> =
                sets.iter().flatten().flat_map(|set| set.keys.keys()).cloned().collect();
            if all.len() > MAX_KEYS {
                new_faults.push(format!("there are more than {MAX_KEYS} keys; not all are used"));
            }
            if !all.is_empty() {
                self.replace(&all[..all.len().min(MAX_KEYS)]);
            }
            self.ended.send_replace(round);
            if new_faults.is_empty() {
                backoff = FETCH_EVERY;
            } else {
                if new_faults != faults {
                    tracing::warn!(
                        "the issuer's keys cannot be renewed: {}; those from before are kept",
                        new_faults.join("; ")
                    );
                }
                pause = pause.min(backoff);
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
            faults = new_faults;
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wanted.notified() => {}
            }
            sleep_until(began + FETCH_EVERY).await;
        }
    }

    fn replace(&self, keys: &[PublicKey]) {
        self.keyring.replace(keys);
        self.has_keys.store(true, Ordering::Release);
    }
}

/// Runs what blocks on a thread of its own. Unlike a runtime's thread, it does not hold up the end
/// of the process.
fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let (sender, receiver) = oneshot::channel();
    let started = std::thread::Builder::new().name("keys".into()).spawn(move || {
        // The receiver is gone when the server stops.
        drop(sender.send(work()));
    });
    if let Err(error) = started {
        tracing::warn!(%error, "cannot start a thread that reads keys");
    }
    async { receiver.await.ok() }
}

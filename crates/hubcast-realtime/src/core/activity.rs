//! When a socket's client last sent an event, for the choice of the socket that is idle for
//! longest. The session writes it, the hub reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// A time, in milliseconds since the first one.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<AtomicU64>);

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(now())))
    }

    pub(crate) fn touch(&self) {
        self.0.store(now(), Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

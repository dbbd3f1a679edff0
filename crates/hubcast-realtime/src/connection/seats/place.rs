//! The part of a seat that the list of seats knows: what its connection does, since when.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// How long a connection may take for a request, or a socket to join a namespace, before it gives
/// up its seat to another.
pub(super) const GRACE: u64 = 2_000;
/// The index of a seat that is in no list any more.
pub(super) const NOWHERE: usize = usize::MAX;

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// It waits for the head of a request, of which a part may be there.
    Head,
    /// It waits for the body of a request.
    Body,
    /// A request is being handled.
    Running,
    /// Its client does not take the answer.
    Blocked,
    /// Its last request was answered, and no byte of a next one is there.
    Idle,
    /// A WebSocket or a waiting poll whose client has joined no namespace yet.
    Unjoined,
    /// The same while the server decides whether the client may join.
    Joining,
    /// It is a WebSocket whose client has joined a namespace.
    Socket,
}

impl Phase {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Head,
            1 => Self::Body,
            2 => Self::Running,
            3 => Self::Blocked,
            4 => Self::Idle,
            5 => Self::Unjoined,
            6 => Self::Joining,
            _ => Self::Socket,
        }
    }
}

/// The part of a seat that the list of seats knows.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: IpAddr,
    /// Whether the seat counts among those of its address. A trusted proxy's does not.
    pub(super) is_counted: bool,
    pub(super) is_short: bool,
    /// The index in its list.
    pub(super) at: AtomicUsize,
    pub(super) phase: AtomicU8,
    /// When the phase began, in milliseconds.
    pub(super) since: AtomicU64,
    /// The bytes of an answer that its client does not take.
    pub(super) unread: AtomicUsize,
    /// The bytes of a body of which the rest is awaited.
    pub(super) body: AtomicUsize,
    /// When a part of that body arrived last, in milliseconds.
    pub(super) body_since: AtomicU64,
    pub(super) is_given_up: AtomicBool,
    pub(super) waker: Mutex<Option<Waker>>,
}

impl Place {
    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    /// Returns how readily this seat is given up, the smallest first, if it may be at all. `grace`
    /// is how long a request may take to arrive.
    pub(super) fn rank(&self, now: u64, grace: u64) -> Option<(u8, u64)> {
        let since = self.since.load(Ordering::Acquire);
        let waited = now.saturating_sub(since);
        let is_slow = waited >= grace;
        match self.phase() {
            Phase::Idle => Some((0, since)),
            Phase::Unjoined if waited >= GRACE => Some((1, since)),
            Phase::Head if is_slow => Some((2, since)),
            Phase::Body | Phase::Blocked if is_slow => Some((3, since)),
            _ => None,
        }
    }

    pub(super) fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        // No code that holds the lock can panic.
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
        if let Some(waker) = self.waker().take() {
            waker.wake();
        }
    }
}

//! Counts to how many sockets an event was queued. The count travels with the event's budget
//! permit, which every worker returns once the event is on its queues; the last return reports it.
//! Events without a count pay nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Counts the sockets of this process to which one event was queued.
#[derive(Debug)]
pub struct Tally {
    sockets: AtomicUsize,
    has_event: AtomicBool,
    done: Mutex<Option<oneshot::Sender<usize>>>,
}

impl Tally {
    /// Starts a count: pass it to an event ([`Event::counted`](crate::Event::counted)) and to its
    /// permit. The receiver gets the number once both are dropped, or an error if no event got the
    /// count.
    #[must_use]
    pub fn start() -> (Arc<Self>, oneshot::Receiver<usize>) {
        let (done, counted) = oneshot::channel();
        let tally = Self {
            sockets: AtomicUsize::new(0),
            has_event: AtomicBool::new(false),
            done: Mutex::new(Some(done)),
        };
        (Arc::new(tally), counted)
    }

    pub(crate) fn give(&self) {
        self.has_event.store(true, Ordering::Release);
    }

    pub(crate) fn add(&self, sockets: usize) {
        self.sockets.fetch_add(sockets, Ordering::AcqRel);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done.filter(|_| *self.has_event.get_mut()) {
            // The receiver may have been dropped.
            let _ = done.send(*self.sockets.get_mut());
        }
    }
}

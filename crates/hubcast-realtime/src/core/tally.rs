//! To how many sockets an event was queued. The count goes with the share of the hub's budget,
//! which every outlet gives back when it has the event on its queues: the last one to do so tells
//! it. Who does not ask pays nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Counts the sockets of this process that one event is queued to.
#[derive(Debug)]
pub struct Tally {
    sockets: AtomicUsize,
    has_event: AtomicBool,
    done: Mutex<Option<oneshot::Sender<usize>>>,
}

impl Tally {
    /// A count, to be given to an event ([`Event::counted`](crate::Event::counted)) and into its
    /// share; and where it is told once both are gone. One that was given to no event tells
    /// nothing, and ends.
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
            // Who asked may have gone.
            let _ = done.send(*self.sockets.get_mut());
        }
    }
}

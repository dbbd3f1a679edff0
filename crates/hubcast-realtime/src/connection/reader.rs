//! The read side of a connection: whether reading is paused, and the task that waits to continue.

use std::cell::Cell;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(super) struct Reader {
    is_paused: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Reader {
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused.get()
    }

    pub(super) fn pause(&self) {
        self.is_paused.set(true);
    }

    pub(super) fn resume(&self) {
        if self.is_paused.replace(false) {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Registers the reading task to be woken by the next [`Reader::wake`].
    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.waker.set(Some(cx.waker().clone()));
    }

    /// Returns `Pending` while reading is paused.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_paused.get() {
            self.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

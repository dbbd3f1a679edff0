//! The write side of a connection: a bounded queue of whole frames, which the kernel or a poll
//! empties.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Poll, Waker};

use bytes::{Buf, Bytes};

use super::io::Io;
use super::polls;

/// The most frames in one write call.
const VECTOR: usize = 32;
/// An empty queue with more room than this is freed.
const KEEP_ROOM: usize = 16;

#[derive(Default)]
pub(super) struct FrameWriter {
    queue: RefCell<VecDeque<Bytes>>,
    queued: Cell<usize>,
    /// Whether the kernel's buffer is full and one task waits for room, or no poll waits for the
    /// queue. No other code writes meanwhile.
    pub(super) is_blocked: Cell<bool>,
    /// Whether the connection is on the fan-out's list of connections to flush.
    pub(super) needs_flush: Cell<bool>,
    /// The time at which bytes were last written, while some are queued.
    pub(super) moved_at: Cell<u64>,
    /// The replay that waits for the queue to be short.
    replay_waker: Cell<Option<Waker>>,
}

impl FrameWriter {
    pub(super) fn enqueue(&self, frame: Bytes) {
        self.queued.set(self.queued.get() + frame.len());
        self.queue.borrow_mut().push_back(frame);
    }

    /// Returns the number of bytes in the queue.
    pub(super) fn queued(&self) -> usize {
        self.queued.get()
    }

    /// Returns true if a frame fits. One frame alone may be larger than the limit.
    pub(super) fn has_room(&self, length: usize, limit: usize) -> bool {
        self.queued.get() == 0 || self.queued.get() + length <= limit
    }

    pub(super) fn clear(&self) {
        // A failed write no longer borrows the queue; a write that is under way ends with an error.
        if let Ok(mut queue) = self.queue.try_borrow_mut() {
            *queue = VecDeque::new();
        }
        self.queued.set(0);
    }

    pub(super) fn wait_until_short(&self, waker: &Waker) {
        self.replay_waker.set(Some(waker.clone()));
    }

    pub(super) fn wake_replay(&self) {
        if let Some(waker) = self.replay_waker.take() {
            waker.wake();
        }
    }

    /// Writes until the queue is empty (`Ready`) or the kernel takes no more (`Pending`). It calls
    /// `now` after each write that moved bytes.
    pub(super) fn write(&self, io: &Io, now: impl Fn() -> u64) -> Poll<io::Result<()>> {
        let mut queue = self.queue.borrow_mut();
        while !(queue.is_empty() && io.is_flushed()) {
            let mut slices = [IoSlice::new(&[]); VECTOR];
            let mut count = 0;
            for (slice, frame) in slices.iter_mut().zip(queue.iter()) {
                *slice = IoSlice::new(frame);
                count += 1;
            }
            // `count` is at most VECTOR: it was counted over the array itself.
            match io.try_write_vectored(&slices[..count]) {
                Ok(mut written) => {
                    self.queued.set(self.queued.get().saturating_sub(written));
                    self.moved_at.set(now());
                    while let Some(front) = queue.front_mut() {
                        if written < front.len() {
                            front.advance(written);
                            break;
                        }
                        written -= front.len();
                        queue.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if queue.capacity() > KEEP_ROOM {
            queue.shrink_to_fit();
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Takes at most `most` packets as the payload of one poll.
    pub(super) fn take_payload(&self, most: usize) -> Bytes {
        let mut queue = self.queue.borrow_mut();
        let payload = polls::payload(&mut queue, most);
        self.queued.set(queue.iter().map(Bytes::len).sum());
        payload
    }

    /// Returns true if the peer takes a byte after all. The kernel reports "writable" only when a
    /// large part of its buffer is free, which a slow reader may not reach in time, so this tries
    /// the socket itself.
    pub(super) fn nudge(&self, io: &Io) -> bool {
        let mut queue = self.queue.borrow_mut();
        if queue.is_empty() && io.is_flushed() {
            return true;
        }
        let Some(taken) = io.nudge(queue.front().map_or(&[], |front| &front[..])) else {
            return false;
        };
        if let Some(front) = queue.front_mut() {
            front.advance(taken);
            if front.is_empty() {
                queue.pop_front();
            }
        }
        self.queued.set(self.queued.get().saturating_sub(taken));
        true
    }
}

//! The write side of a connection: a bounded queue of whole frames, which the kernel or a poll
//! empties.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Poll, Waker};

use bytes::{Buf, Bytes};

use super::io::Io;
use super::polls;
use crate::core::event::VersionKey;

/// The most frames in one write call.
const VECTOR: usize = 32;
/// An empty queue with more room than this is freed.
const KEEP_ROOM: usize = 16;

/// A frame for the queue.
pub(crate) struct QueuedFrame {
    pub(crate) bytes: Bytes,
    /// The thing that it tells the newest version of.
    pub(crate) version_of: Option<VersionKey>,
    /// How many of the bytes repeat others of this frame, and so do not count.
    pub(crate) repeated: usize,
}

impl QueuedFrame {
    /// Returns the bytes that count towards the queue's limit.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() - self.repeated
    }
}

impl From<Bytes> for QueuedFrame {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, version_of: None, repeated: 0 }
    }
}

/// What distinguishes a queued frame from most others.
struct Mark {
    /// The number of the frame, counted over all frames that were queued.
    number: usize,
    version_of: Option<VersionKey>,
    repeated: usize,
}

#[derive(Default)]
pub(super) struct FrameWriter {
    queue: RefCell<VecDeque<Bytes>>,
    queued: Cell<usize>,
    /// The marks of queued frames, in their order.
    marks: RefCell<VecDeque<Mark>>,
    /// How many of the queued bytes do not count.
    repeated: Cell<usize>,
    /// The number of the first frame in the queue.
    first: Cell<usize>,
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
    pub(super) fn enqueue(&self, frame: QueuedFrame) {
        let QueuedFrame { bytes, version_of, repeated } = frame;
        let mut queue = self.queue.borrow_mut();
        if version_of.is_some() || repeated > 0 {
            let number = self.first.get() + queue.len();
            self.marks.borrow_mut().push_back(Mark { number, version_of, repeated });
            self.repeated.set(self.repeated.get() + repeated);
        }
        self.queued.set(self.queued.get() + bytes.len());
        queue.push_back(bytes);
    }

    /// Returns the bytes in the queue that count towards its limit.
    pub(super) fn weight(&self) -> usize {
        self.queued.get().saturating_sub(self.repeated.get())
    }

    /// Drops the frames of which a newer version is in the queue, but not its front, which may be
    /// written in part.
    pub(super) fn drop_superseded(&self) {
        let (mut queue, mut marks) = (self.queue.borrow_mut(), self.marks.borrow_mut());
        let (first, mut newest) = (self.first.get(), HashSet::new());
        let mut is_superseded = |mark: &Mark| {
            let is_older = mark.version_of.is_some_and(|key| !newest.insert(key));
            is_older && mark.number > first
        };
        let superseded: Vec<bool> = marks.iter().rev().map(&mut is_superseded).collect();
        let mut dropped = HashSet::new();
        let mut kept = VecDeque::new();
        for (mut mark, is_superseded) in marks.drain(..).zip(superseded.into_iter().rev()) {
            if is_superseded {
                dropped.insert(mark.number);
                self.repeated.set(self.repeated.get().saturating_sub(mark.repeated));
            } else {
                mark.number -= dropped.len();
                kept.push_back(mark);
            }
        }
        *marks = kept;
        let mut number = first;
        queue.retain(|frame| {
            let is_dropped = dropped.contains(&number);
            if is_dropped {
                self.queued.set(self.queued.get().saturating_sub(frame.len()));
            }
            number += 1;
            !is_dropped
        });
    }

    /// Records that frames were taken from the front of the queue.
    fn advance_front(&self, count: usize) {
        self.first.set(self.first.get() + count);
        let mut marks = self.marks.borrow_mut();
        while let Some(mark) = marks.pop_front() {
            if mark.number >= self.first.get() {
                marks.push_front(mark);
                return;
            }
            self.repeated.set(self.repeated.get().saturating_sub(mark.repeated));
        }
        *marks = VecDeque::new();
    }

    /// Returns true if a frame fits. One frame alone may be larger than the limit.
    pub(super) fn has_room(&self, length: usize, limit: usize) -> bool {
        self.queued.get() == 0 || self.weight() + length <= limit
    }

    /// Returns true if the queue has several frames and more bytes than the limit.
    pub(super) fn is_over(&self, limit: usize) -> bool {
        self.weight() > limit && self.queue.borrow().len() > 1
    }

    pub(super) fn clear(&self) {
        // A failed write no longer borrows the queue; a write that is under way ends with an error.
        if let Ok(mut queue) = self.queue.try_borrow_mut() {
            *queue = VecDeque::new();
        }
        self.queued.set(0);
        self.marks.take();
        self.repeated.set(0);
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
                        self.advance_front(1);
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
        let before = queue.len();
        let payload = polls::payload(&mut queue, most);
        self.advance_front(before - queue.len());
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
                self.advance_front(1);
            }
        }
        self.queued.set(self.queued.get().saturating_sub(taken));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: i64, text: &'static str) -> QueuedFrame {
        let version_of = Some(VersionKey { kind: "thing", id });
        QueuedFrame { bytes: Bytes::from_static(text.as_bytes()), version_of, repeated: 0 }
    }

    fn queued(writer: &FrameWriter) -> Vec<Bytes> {
        writer.queue.borrow().iter().cloned().collect()
    }

    #[test]
    fn superseded_frames_leave_the_queue_but_not_its_front() {
        let writer = FrameWriter::default();
        for frame in [version(1, "a1"), version(2, "b1"), version(1, "a2"), version(3, "c1")] {
            writer.enqueue(frame);
        }
        writer.enqueue(Bytes::from_static(b"other").into());
        for frame in [version(2, "b2"), version(2, "b3"), version(1, "a3")] {
            writer.enqueue(frame);
        }
        writer.drop_superseded();
        // `a1` is the front.
        assert_eq!(queued(&writer), ["a1", "c1", "other", "b3", "a3"]);
        writer.queue.borrow_mut().pop_front();
        writer.advance_front(1);
        writer.enqueue(version(2, "b4"));
        writer.drop_superseded();
        assert_eq!(queued(&writer), ["c1", "other", "a3", "b4"]);
        assert_eq!((writer.weight(), writer.marks.borrow().len()), (11 + 2, 3));
    }

    #[test]
    fn repeated_bytes_do_not_count() {
        let writer = FrameWriter::default();
        let pair = || QueuedFrame {
            bytes: Bytes::from_static(b"12341234"),
            version_of: None,
            repeated: 4,
        };
        writer.enqueue(pair());
        writer.enqueue(pair());
        assert_eq!(writer.weight(), 8);
        assert!(writer.has_room(4, 12) && !writer.has_room(5, 12));
        writer.queue.borrow_mut().pop_front();
        writer.queued.set(8);
        writer.advance_front(1);
        assert_eq!(writer.weight(), 4);
        writer.clear();
        assert_eq!((writer.weight(), writer.repeated.get()), (0, 0));
    }
}

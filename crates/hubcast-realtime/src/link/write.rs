//! What waits goes out: to the kernel as far as it takes it, or to the poll that waits for it.

use std::io::{ErrorKind, IoSlice};
use std::rc::Rc;
use std::task::Poll;

use bytes::{Buf, Bytes};

use super::{Link, State, millis};
use crate::Reason;
use crate::polls::{self, Answer, Polls};
use crate::settings::CLOSE_LINGER;
use crate::wire::engineio::HandshakeFault;

/// Frames that one write call takes.
const VECTOR: usize = 32;
/// Room in an empty queue beyond which it is given back.
const KEEP_ROOM: usize = 16;

impl Link {
    /// Writes what the kernel takes. With a full kernel buffer, one task waits for room and goes
    /// on.
    pub(crate) fn flush(self: &Rc<Self>) {
        if self.blocked.get() || self.state.get() == State::Cut {
            return;
        }
        if self.write().is_pending() {
            self.blocked.set(true);
            let now = self.deadlines.now();
            self.moved_at.set(now);
            self.deadlines.schedule(self, now + millis(self.settings.stall_timeout));
            if self.io.get().is_some() {
                actix_rt::spawn(Rc::clone(self).drain());
            }
        }
    }

    /// A poll has come. It is answered with what waits, at once or as soon as something does, but
    /// with no more packets than `most`; a second one beside it ends the session, as in the
    /// reference server.
    pub(crate) fn poll(self: &Rc<Self>, poll: Answer<Bytes>, most: usize) {
        self.end_if_overdue();
        let Some(polls) = self.polls().filter(|_| self.state.get() != State::Cut) else { return };
        if self.io.get().is_some() {
            // Who does not poll any more may not. The request may have gone by itself.
            let _ = poll.send(Err(HandshakeFault::BadRequest));
        } else if polls.wait(poll) {
            polls.most.set(most);
            self.blocked.set(false);
            self.flush();
        } else {
            self.close(Reason::TransportLost);
        }
    }

    /// Gives the poll that waits what is there. Ready: nothing waits any more, or the link is cut.
    fn answer(self: &Rc<Self>, polls: &Polls) -> Poll<()> {
        let (payload, is_all) = {
            let mut queue = self.queue.borrow_mut();
            if queue.is_empty() {
                return Poll::Ready(());
            }
            let Some(poll) = polls.take() else { return Poll::Pending };
            let payload = poll.send(Ok(polls::payload(&mut queue, polls.most.get())));
            self.queued.set(queue.iter().map(Bytes::len).sum());
            (payload, queue.is_empty())
        };
        self.wake_filler();
        // The request has gone, and what was for it with it. Or that was the goodbye.
        if payload.is_err() || (is_all && !self.is_open()) {
            self.cut(Reason::TransportLost);
            return Poll::Ready(());
        }
        if is_all {
            return Poll::Ready(());
        }
        // It comes for the rest: its pong, and the goodbye, stand behind that.
        let now = self.deadlines.now();
        if self.pinged.get() {
            self.ping_due.set(now + millis(self.settings.ping_timeout));
        }
        if let State::Closing(_) = self.state.get() {
            self.state.set(State::Closing(now + millis(CLOSE_LINGER)));
        }
        Poll::Pending
    }

    async fn drain(self: Rc<Self>) {
        while let Some(io) = self.io.get() {
            if io.tcp().writable().await.is_err() {
                self.cut(Reason::TransportLost);
            }
            if self.write().is_ready() {
                self.blocked.set(false);
                return;
            }
        }
    }

    /// Ready: nothing waits any more, or the link is cut.
    fn write(self: &Rc<Self>) -> Poll<()> {
        let io = match (self.io.get(), self.polls()) {
            (Some(io), _) => io,
            (None, Some(polls)) => return self.answer(polls),
            (None, None) => return Poll::Ready(()),
        };
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
                    self.moved_at.set(self.deadlines.now());
                    self.wake_filler();
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
                Err(_) => {
                    drop(queue);
                    self.cut(Reason::TransportLost);
                    return Poll::Ready(());
                }
            }
        }
        if queue.capacity() > KEEP_ROOM {
            queue.shrink_to_fit();
        }
        if matches!(self.state.get(), State::Closing(_)) {
            match io.finish() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                // The peer may be gone already; then there is nothing left to shut.
                _ => {}
            }
        }
        Poll::Ready(())
    }

    /// Whether the peer has taken a byte after all: the kernel says "writable" only when a good
    /// part of its buffer is free, which a slow reader may not reach in time. Asks the socket
    /// itself.
    pub(super) fn nudge(&self) -> bool {
        let Some(io) = self.io.get() else { return false };
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
        self.wake_filler();
        true
    }
}

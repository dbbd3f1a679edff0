//! One connection as a whole. It lives on one worker thread, where the session reads from it, the
//! fan-out writes to it and the deadlines time it.
//!
//! A connection ends in one of two ways, and the first reason given is the one that counts:
//! [`Connection::close`] writes the queue and a close frame, and gives the client [`CLOSE_LINGER`]
//! to answer; [`Connection::abort`] drops the queue. Both end the stream of messages, and with it
//! the session, whose one exit does the rest.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;

use super::deadlines::Deadlines;
use super::gauges::Transport;
use super::io::Io;
use super::polls::Polls;
use super::reader::Reader;
use super::timers::Timers;
use super::writer::FrameWriter;
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::core::recovery::Position;
use crate::core::settings::{CLOSE_LINGER, Settings};
use crate::wire::websocket;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The close frame is queued or sent. Aborted at `by`.
    Closing {
        reason: DisconnectReason,
        by: u64,
    },
    Aborted(DisconnectReason),
}

pub(crate) struct Connection {
    pub(crate) protocol: Protocol,
    /// Empty for a client that has only polled so far.
    pub(super) io: OnceCell<Io>,
    /// Of a client that began with polling.
    polls: Option<Box<Polls>>,
    pub(super) settings: Arc<Settings>,
    pub(super) deadlines: Rc<Deadlines<Connection>>,
    /// The worker's place in the log.
    pub(super) position: Rc<Cell<Position>>,
    pub(super) phase: Cell<Phase>,
    pub(super) timers: Timers,
    pub(super) writer: FrameWriter,
    pub(super) reader: Reader,
}

impl Connection {
    /// A connection over a WebSocket or, without `io`, by polls.
    pub(crate) fn new(
        io: Option<Io>,
        protocol: Protocol,
        settings: Arc<Settings>,
        deadlines: Rc<Deadlines<Connection>>,
        position: Rc<Cell<Position>>,
    ) -> Rc<Self> {
        let now = deadlines.now();
        let ping_due = now + millis(settings.ping_interval);
        let join_due = now + millis(settings.connect_timeout);
        let connection = Rc::new(Self {
            protocol,
            polls: io.is_none().then(Box::default),
            io: io.map_or_else(OnceCell::new, OnceCell::from),
            settings,
            deadlines,
            position,
            phase: Cell::new(Phase::Open),
            timers: Timers::new(ping_due, join_due),
            writer: FrameWriter::default(),
            reader: Reader::default(),
        });
        connection.writer.moved_at.set(now);
        connection.deadlines.schedule(&connection, ping_due.min(join_due));
        connection
    }

    pub(crate) fn transport(&self) -> Transport {
        if self.io.get().is_some() { Transport::WebSocket } else { Transport::Polling }
    }

    /// The WebSocket. `None`: the client polls.
    pub(crate) fn io(&self) -> Option<&Io> {
        self.io.get()
    }

    /// The polling side of a client that began there.
    pub(crate) fn polls(&self) -> Option<&Polls> {
        self.polls.as_deref()
    }

    /// Why the connection ended. A connection that broke by itself has no reason of ours.
    pub(crate) fn reason(&self) -> DisconnectReason {
        match self.phase.get() {
            Phase::Open => DisconnectReason::TransportLost,
            Phase::Closing { reason, .. } | Phase::Aborted(reason) => reason,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    pub(crate) fn is_aborted(&self) -> bool {
        matches!(self.phase.get(), Phase::Aborted(_))
    }

    /// Returns true if a frame of this length would be written now, and abort no connection.
    pub(crate) fn can_write_now(&self, length: usize) -> bool {
        self.writer.has_room(length, self.settings.outbox_limit)
            && match (self.io.get(), self.polls()) {
                (None, Some(polls)) => polls.is_waiting(),
                _ => self.is_open() && !self.writer.is_blocked.get(),
            }
    }

    /// Queues a whole frame; call [`Connection::flush`] when all frames are queued. A queue over
    /// its limit is flushed once, and if that does not help the connection is aborted. Returns true
    /// if the frame was queued.
    pub(crate) fn push(self: &Rc<Self>, frame: Bytes) -> bool {
        if !self.is_open() {
            return false;
        }
        let limit = self.settings.outbox_limit;
        if !self.writer.has_room(frame.len(), limit) {
            self.flush();
            if !self.writer.has_room(frame.len(), limit) {
                self.abort(DisconnectReason::SlowConsumer);
                return false;
            }
        }
        self.writer.enqueue(frame);
        true
    }

    /// Queues and writes.
    pub(crate) fn send(self: &Rc<Self>, frame: Bytes) {
        self.push(frame);
        self.flush();
    }

    /// Notes that the connection has to be flushed. False: it was noted before.
    pub(crate) fn mark_for_flush(&self) -> bool {
        !self.writer.needs_flush.replace(true)
    }

    /// Flushes a connection that was marked.
    pub(crate) fn flush_marked(self: &Rc<Self>) {
        self.writer.needs_flush.set(false);
        self.flush();
    }

    /// Writes what the kernel, or the waiting poll, takes. With a full kernel buffer, one task
    /// waits for room and goes on.
    pub(crate) fn flush(self: &Rc<Self>) {
        if self.writer.is_blocked.get() || self.is_aborted() {
            return;
        }
        if self.write().is_pending() {
            self.writer.is_blocked.set(true);
            let now = self.deadlines.now();
            self.writer.moved_at.set(now);
            self.deadlines.schedule(self, now + millis(self.settings.stall_timeout));
            if self.io.get().is_some() {
                actix_rt::spawn(Rc::clone(self).drain());
            }
        }
    }

    async fn drain(self: Rc<Self>) {
        while let Some(io) = self.io.get() {
            if io.tcp().writable().await.is_err() {
                self.abort(DisconnectReason::TransportLost);
            }
            if self.write().is_ready() {
                self.writer.is_blocked.set(false);
                return;
            }
        }
    }

    /// Ready: the queue is empty, or the connection is aborted.
    fn write(self: &Rc<Self>) -> Poll<()> {
        let io = match (self.io.get(), self.polls()) {
            (Some(io), _) => io,
            (None, Some(polls)) => return self.answer_poll(polls),
            (None, None) => return Poll::Ready(()),
        };
        let written = self.writer.write(io, || self.deadlines.now());
        self.wake_replay();
        match written {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => self.abort(DisconnectReason::TransportLost),
            Poll::Ready(Ok(())) => {
                if matches!(self.phase.get(), Phase::Closing { .. })
                    && let Err(error) = io.finish()
                    // With any other error the peer has gone already.
                    && error.kind() == std::io::ErrorKind::WouldBlock
                {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    /// Returns true if the queue is longer than a page of a replay should add to.
    fn is_long(&self) -> bool {
        self.writer.queued() > self.settings.outbox_limit / 4
    }

    pub(super) fn wake_replay(&self) {
        if !(self.is_open() && self.is_long()) {
            self.writer.wake_replay();
        }
    }

    /// Waits until the queue is short, or the connection is no longer open.
    pub(crate) async fn until_short(self: &Rc<Self>) {
        if self.is_long() {
            self.flush();
        }
        poll_fn(|cx| {
            if self.is_long() && self.is_open() {
                self.writer.wait_until_short(cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The last event of the log up to which the client surely has all that is for it: it has
    /// answered a ping that was sent behind that event.
    pub(crate) fn confirmed(&self) -> Option<Position> {
        Some(self.timers.confirmed.get()).filter(|confirmed| confirmed.id > 0)
    }

    /// Ends the connection after its queue: writes the queue and a close frame, and aborts when the
    /// client has answered or [`CLOSE_LINGER`] is over. For a client that polls, the next poll is
    /// waited for only if the [reason says so](DisconnectReason::flushes_before_close).
    pub(crate) fn close(self: &Rc<Self>, reason: DisconnectReason) {
        if !self.is_open() {
            return;
        }
        self.writer.enqueue(websocket::close(reason));
        let by = self.deadlines.now() + millis(CLOSE_LINGER);
        self.phase.set(Phase::Closing { reason, by });
        self.wake_replay();
        self.deadlines.schedule(self, by);
        self.resume();
        self.flush();
        if self.io.get().is_none() && !reason.flushes_before_close() {
            self.abort(reason);
        }
    }

    /// Ends the connection at once: drops the queue and shuts the socket down, both ways.
    pub(crate) fn abort(&self, reason: DisconnectReason) {
        let reason = match self.phase.get() {
            Phase::Aborted(_) => return,
            Phase::Closing { reason, .. } => reason,
            Phase::Open => reason,
        };
        self.phase.set(Phase::Aborted(reason));
        self.writer.clear();
        if let Some(io) = self.io.get() {
            // Fails only when the peer was faster.
            let _ = SockRef::from(io.tcp()).shutdown(Shutdown::Both);
        }
        if let Some(polls) = self.polls() {
            polls.drop_all();
        }
        self.wake_replay();
        self.reader.resume();
        self.wake_reader();
    }

    /// Stops reading. The ping time-out does not count meanwhile, as the pong may be among what is
    /// not read.
    pub(crate) fn pause(&self) {
        self.reader.pause();
    }

    pub(crate) fn resume(&self) {
        self.reader.resume();
    }

    pub(crate) fn wake_reader(&self) {
        self.reader.wake();
    }

    /// Has the reading task woken when a packet is posted, a WebSocket has come, or the connection
    /// has ended.
    pub(crate) fn wait_to_read(&self, cx: &Context<'_>) {
        self.reader.wait(cx);
    }

    /// Pending while reading is paused.
    pub(crate) fn poll_reading(&self, cx: &Context<'_>) -> Poll<()> {
        self.reader.poll(cx)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

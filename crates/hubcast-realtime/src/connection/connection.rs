//! One connection as a whole. It lives on one worker thread. The session reads from it, the fan-out
//! writes to it, and `Deadlines` calls it when a time-out is due.
//!
//! A connection ends in one of two ways, and the first reason given is the one that counts:
//! [`Connection::close`] writes the queue and a close frame, and waits [`CLOSE_LINGER`] for the
//! client's answer; [`Connection::abort`] drops the queue. Both end the stream of messages, and
//! with it the session, whose `stopped` cleans up.

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
use super::intake::Intake;
use super::io::Io;
use super::polls::Polls;
use super::reader::Reader;
use super::timers::Timers;
use super::writer::{FrameWriter, QueuedFrame};
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::core::recovery::Position;
use crate::core::settings::{CLOSE_LINGER, Settings};
use crate::core::ws::CloseCode;
use crate::wire::websocket;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The close frame is queued or sent. The connection is aborted if it has not ended at time
    /// `by` (ms).
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
    /// Set for a client that began with polling.
    polls: Option<Box<Polls>>,
    pub(super) settings: Arc<Settings>,
    pub(super) deadlines: Rc<Deadlines<Connection>>,
    /// The last event of the log that the worker knows of.
    pub(super) position: Rc<Cell<Position>>,
    pub(super) phase: Cell<Phase>,
    pub(super) timers: Timers,
    pub(super) writer: FrameWriter,
    pub(super) reader: Reader,
    pub(super) intake: Intake,
}

impl Connection {
    /// Makes a connection over a WebSocket or, without `io`, over polls.
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
            intake: Intake::default(),
        });
        connection.writer.moved_at.set(now);
        connection.deadlines.schedule(&connection, ping_due.min(join_due));
        connection
    }

    pub(crate) fn transport(&self) -> Transport {
        if self.io.get().is_some() { Transport::WebSocket } else { Transport::Polling }
    }

    /// Returns the WebSocket, or `None` if the client polls.
    pub(crate) fn io(&self) -> Option<&Io> {
        self.io.get()
    }

    /// Returns the polling side of a client that began there.
    pub(crate) fn polls(&self) -> Option<&Polls> {
        self.polls.as_deref()
    }

    /// Returns the reason for which the connection ended. A connection that broke counts as
    /// `TransportLost`.
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

    /// Returns true if a frame of this length can be queued and written now without exceeding the
    /// limit.
    pub(crate) fn can_write_now(&self, length: usize) -> bool {
        self.writer.has_room(length, self.settings.outbox_limit)
            && match (self.io.get(), self.polls()) {
                (None, Some(polls)) => polls.is_waiting(),
                _ => self.is_open() && !self.writer.is_blocked.get(),
            }
    }

    /// Queues a whole frame without writing it; call [`Connection::flush`] when all frames are
    /// queued. A queue over its limit is flushed once, and if that does not help the connection is
    /// aborted. Returns true if the frame was queued.
    ///
    /// A client that reads too slowly for all versions of a thing gets the newest one: the older
    /// ones leave the queue before it overflows.
    pub(crate) fn push(self: &Rc<Self>, frame: impl Into<QueuedFrame>) -> bool {
        if !self.is_open() {
            return false;
        }
        let limit = self.settings.outbox_limit;
        self.writer.enqueue(frame.into());
        if self.writer.is_over(limit) {
            self.flush();
            if self.writer.is_over(limit) {
                self.writer.drop_superseded();
            }
            if self.writer.is_over(limit) {
                self.abort(DisconnectReason::SlowConsumer);
            }
        }
        self.is_open()
    }

    /// Queues a frame and writes the queue: [`Connection::push`] and [`Connection::flush`].
    pub(crate) fn send(self: &Rc<Self>, frame: Bytes) {
        self.push(frame);
        self.flush();
    }

    /// Marks the connection for a flush. Returns false if it was already marked.
    pub(crate) fn mark_for_flush(&self) -> bool {
        !self.writer.needs_flush.replace(true)
    }

    /// Flushes a connection that was marked.
    pub(crate) fn flush_marked(self: &Rc<Self>) {
        self.writer.needs_flush.set(false);
        self.flush();
    }

    /// Writes as much as the kernel, or the waiting poll, takes. If the kernel's buffer is full,
    /// one task waits for room and writes the rest.
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

    /// Returns `Ready` if the queue is empty or the connection is aborted.
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
                    // Any other error means that the peer has disconnected.
                    && error.kind() == std::io::ErrorKind::WouldBlock
                {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    /// Returns true if the queue is too long for a replay to add more.
    fn is_long(&self) -> bool {
        self.writer.weight() > self.settings.outbox_limit / 4
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

    /// Returns the last event of the log up to which the client has received everything, because it
    /// has answered a ping that was sent after it.
    pub(crate) fn confirmed(&self) -> Option<Position> {
        Some(self.timers.confirmed.get()).filter(|confirmed| confirmed.id > 0)
    }

    /// Writes the queue and a close frame, and aborts when the client has answered or
    /// [`CLOSE_LINGER`] is over. A polling client gets them with its next poll only if the [reason
    /// says so](DisconnectReason::flushes_before_close).
    pub(crate) fn close(self: &Rc<Self>, reason: DisconnectReason) {
        self.close_with(reason, || websocket::close(reason));
    }

    /// Answers the client's close frame, and closes.
    pub(crate) fn answer_close(self: &Rc<Self>, reason: DisconnectReason, code: Option<CloseCode>) {
        self.close_with(reason, || websocket::close_answer(code));
    }

    fn close_with(self: &Rc<Self>, reason: DisconnectReason, frame: impl FnOnce() -> Bytes) {
        if !self.is_open() {
            return;
        }
        self.writer.enqueue(frame().into());
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

    /// Ends the connection at once: drops the queue and shuts the TCP socket down in both
    /// directions.
    pub(crate) fn abort(&self, reason: DisconnectReason) {
        let reason = match self.phase.get() {
            Phase::Aborted(_) => return,
            Phase::Closing { reason, .. } => reason,
            Phase::Open => reason,
        };
        self.phase.set(Phase::Aborted(reason));
        self.writer.clear();
        if let Some(io) = self.io.get() {
            // The call fails only if the peer has closed already.
            let _ = SockRef::from(io.tcp()).shutdown(Shutdown::Both);
        }
        if let Some(polls) = self.polls() {
            polls.drop_all();
        }
        self.wake_replay();
        self.reader.resume();
        self.wake_reader();
    }

    /// Stops reading. The ping time-out does not run meanwhile, because the pong may be among the
    /// unread bytes.
    pub(crate) fn pause(&self) {
        self.reader.pause();
    }

    pub(crate) fn resume(&self) {
        self.reader.resume();
    }

    pub(crate) fn wake_reader(&self) {
        self.reader.wake();
    }

    /// Registers the reading task to be woken when a packet is posted, the client has moved to a
    /// WebSocket, or the connection has ended.
    pub(crate) fn wait_to_read(&self, cx: &Context<'_>) {
        self.reader.wait(cx);
    }

    /// Returns `Pending` while reading is paused.
    pub(crate) fn poll_reading(&self, cx: &Context<'_>) -> Poll<()> {
        self.reader.poll(cx)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

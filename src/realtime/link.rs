//! The write side of one connection, and its times. Shared on one worker thread by the session (reads, decides), the outlet (writes) and the
//! deadlines.
//!
//! A connection leaves in one of two ways, and the first reason given stays: [`Link::close`] says goodbye (the queue is written, then a close
//! frame, and the client has [`CLOSE_LINGER`] to answer); [`Link::cut`] drops what waits. Either way the reading stream ends, and with it
//! the session, whose exit does the rest.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_rt::net::TcpStream;
use bytes::{Buf, Bytes};
use socket2::SockRef;

use super::Reason;
use super::deadlines::Deadlines;
use super::frame::Protocol;
use super::recovery::Position;
use super::settings::{CLOSE_LINGER, Settings};
use super::wire::{engineio, websocket};

/// Frames that one write call takes.
const VECTOR: usize = 32;
/// Room in an empty queue beyond which it is given back.
const KEEP_ROOM: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame is on its way; cut at this time.
    Closing(u64),
    Cut,
}

pub(super) struct Link {
    pub(super) protocol: Protocol,
    io: TcpStream,
    settings: Arc<Settings>,
    deadlines: Rc<Deadlines>,
    state: Cell<State>,
    reason: Cell<Option<Reason>>,
    queue: RefCell<VecDeque<Bytes>>,
    queued: Cell<usize>,
    /// The kernel's buffer is full; a task waits for room and nobody else writes.
    blocked: Cell<bool>,
    /// On the outlet's list of links to flush.
    pub(super) dirty: Cell<bool>,
    /// When bytes last left, while some wait.
    moved_at: Cell<u64>,
    /// When the next ping goes out, or, with one out, when its answer is overdue.
    ping_due: Cell<u64>,
    pinged: Cell<bool>,
    /// When to give up on a connection that joins nothing; `u64::MAX` once it has.
    join_due: Cell<u64>,
    paused: Cell<bool>,
    reader: Cell<Option<Waker>>,
    /// Who waits for the queue to be short.
    filler: Cell<Option<Waker>>,
    /// The worker's place in the log.
    position: Rc<Cell<Position>>,
    /// That place when the last ping went out, none when something was still to be sent ahead of it, and when a ping that was answered went out.
    marked: Cell<Option<Position>>,
    confirmed: Cell<Option<Position>>,
    pub(super) scheduled: Cell<u64>,
}

impl Link {
    pub(super) fn new(
        io: TcpStream,
        protocol: Protocol,
        settings: Arc<Settings>,
        deadlines: Rc<Deadlines>,
        position: Rc<Cell<Position>>,
    ) -> Rc<Self> {
        let now = deadlines.now();
        let ping_due = now + millis(settings.ping_interval);
        let join_due = now + millis(settings.connect_timeout);
        let link = Rc::new(Self {
            protocol,
            io,
            settings,
            deadlines,
            state: Cell::new(State::Open),
            reason: Cell::new(None),
            queue: RefCell::default(),
            queued: Cell::new(0),
            blocked: Cell::new(false),
            dirty: Cell::new(false),
            moved_at: Cell::new(now),
            ping_due: Cell::new(ping_due),
            pinged: Cell::new(false),
            join_due: Cell::new(join_due),
            paused: Cell::new(false),
            reader: Cell::new(None),
            filler: Cell::new(None),
            position,
            marked: Cell::new(None),
            confirmed: Cell::new(None),
            scheduled: Cell::new(u64::MAX),
        });
        link.deadlines.schedule(&link, ping_due.min(join_due));
        link
    }

    pub(super) fn io(&self) -> &TcpStream {
        &self.io
    }

    /// Why it ended; a line that broke by itself has no reason of ours.
    pub(super) fn reason(&self) -> Reason {
        self.reason.get().unwrap_or(Reason::TransportLost)
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Queues a whole frame. Over the limit the socket is cut, after one try to write. Call [`Link::flush`] when all is queued.
    pub(super) fn push(self: &Rc<Self>, frame: Bytes) {
        if !self.is_open() {
            return;
        }
        let limit = self.settings.outbox_limit;
        if self.queued.get() > 0 && self.queued.get() + frame.len() > limit {
            self.flush();
            // One frame alone may be larger than the limit: it waits for nobody.
            if self.queued.get() > 0 && self.queued.get() + frame.len() > limit {
                self.cut(Reason::SlowConsumer);
                return;
            }
        }
        self.enqueue(frame);
    }

    /// Queues and writes.
    pub(super) fn send(self: &Rc<Self>, frame: Bytes) {
        self.push(frame);
        self.flush();
    }

    fn enqueue(&self, frame: Bytes) {
        self.queued.set(self.queued.get() + frame.len());
        self.queue.borrow_mut().push_back(frame);
    }

    /// Writes what the kernel takes. With a full kernel buffer, one task waits for room and goes on.
    pub(super) fn flush(self: &Rc<Self>) {
        if self.blocked.get() || self.state.get() == State::Cut {
            return;
        }
        if self.write().is_pending() {
            self.blocked.set(true);
            let now = self.deadlines.now();
            self.moved_at.set(now);
            self.deadlines.schedule(self, now + millis(self.settings.stall_timeout));
            actix_rt::spawn(Rc::clone(self).drain());
        }
    }

    async fn drain(self: Rc<Self>) {
        loop {
            if self.io.writable().await.is_err() {
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
        let mut queue = self.queue.borrow_mut();
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); VECTOR];
            let mut count = 0;
            for (slice, frame) in slices.iter_mut().zip(queue.iter()) {
                *slice = IoSlice::new(frame);
                count += 1;
            }
            // `count` is at most VECTOR: it was counted over the array itself.
            match self.io.try_write_vectored(&slices[..count]) {
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
            // The peer may be gone already; then there is nothing left to shut.
            let _ = SockRef::from(&self.io).shutdown(Shutdown::Write);
        }
        Poll::Ready(())
    }

    /// Whether more waits than a page that is read for this connection should add to.
    fn is_long(&self) -> bool {
        self.queued.get() > self.settings.outbox_limit / 4
    }

    fn wake_filler(&self) {
        if !(self.is_open() && self.is_long())
            && let Some(filler) = self.filler.take()
        {
            filler.wake();
        }
    }

    /// Waits until only little waits to be written, or the link is open no more.
    pub(super) async fn roomy(self: &Rc<Self>) {
        if self.is_long() {
            self.flush();
        }
        poll_fn(|cx| {
            if self.is_long() && self.is_open() {
                self.filler.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The last event of the log that the client surely has, if it is for it: it has answered a ping that was sent behind that.
    pub(super) fn confirmed(&self) -> Option<Position> {
        self.confirmed.get()
    }

    /// Whether the peer has taken a byte after all: the kernel says "writable" only when a good part of its buffer is free, which a slow reader
    /// may not reach in time. Asks the socket itself.
    fn nudge(&self) -> bool {
        let mut queue = self.queue.borrow_mut();
        let Some(front) = queue.front_mut() else { return true };
        match SockRef::from(&self.io).send(front) {
            Ok(written) => {
                self.queued.set(self.queued.get().saturating_sub(written));
                front.advance(written);
                if front.is_empty() {
                    queue.pop_front();
                }
                self.wake_filler();
                written > 0
            }
            Err(_) => false,
        }
    }

    /// Says goodbye: writes what waits, a close frame, and ends when the client has answered or [`CLOSE_LINGER`] is over.
    pub(super) fn close(self: &Rc<Self>, reason: Reason) {
        if !self.is_open() {
            return;
        }
        self.reason.set(Some(self.reason.get().unwrap_or(reason)));
        self.enqueue(websocket::close(reason));
        let by = self.deadlines.now() + millis(CLOSE_LINGER);
        self.state.set(State::Closing(by));
        self.wake_filler();
        self.deadlines.schedule(self, by);
        self.resume();
        self.flush();
    }

    /// Drops what waits and shuts the socket, both ways; the reading stream ends at once.
    pub(super) fn cut(&self, reason: Reason) {
        if self.state.replace(State::Cut) == State::Cut {
            return;
        }
        self.reason.set(Some(self.reason.get().unwrap_or(reason)));
        if let Ok(mut queue) = self.queue.try_borrow_mut() {
            *queue = VecDeque::new();
        }
        self.queued.set(0);
        // Fails only when the peer was faster.
        let _ = SockRef::from(&self.io).shutdown(Shutdown::Both);
        self.wake_filler();
        self.resume();
    }

    /// The client has joined a namespace: the connect time-out is off.
    pub(super) fn joined(&self) {
        self.join_due.set(u64::MAX);
    }

    /// A pong has come.
    pub(super) fn heard(self: &Rc<Self>) {
        if self.pinged.replace(false) {
            self.confirmed.set(self.marked.get().or(self.confirmed.get()));
            let due = self.deadlines.now() + millis(self.settings.ping_interval);
            self.ping_due.set(due);
            self.deadlines.schedule(self, due);
        }
    }

    /// Stops reading: too many events wait. The ping time-out rests meanwhile, for the pong may stand behind them.
    pub(super) fn pause(&self) {
        self.paused.set(true);
    }

    pub(super) fn resume(&self) {
        if self.paused.replace(false)
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// For the reading stream: pending while reading rests.
    pub(super) fn poll_reading(&self, cx: &Context<'_>) -> Poll<()> {
        if self.paused.get() {
            self.reader.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// One of the times has come. Says when to ask again.
    pub(super) fn on_deadline(self: &Rc<Self>, now: u64) -> Option<u64> {
        match self.state.get() {
            State::Cut => return None,
            State::Closing(by) if by <= now => {
                self.cut(Reason::TransportLost);
                return None;
            }
            State::Closing(by) => return Some(by),
            State::Open => {}
        }
        let mut next = self.join_due.get();
        if next <= now {
            self.close(match self.protocol {
                Protocol::SocketIo { .. } => Reason::ConnectTimeout,
                // It joins with its token, so the token is what did not come.
                Protocol::Plain => Reason::Unauthorized,
            });
            return None;
        }
        if self.blocked.get() {
            let stall = millis(self.settings.stall_timeout);
            if self.moved_at.get() + stall <= now {
                if !self.nudge() {
                    self.cut(Reason::SlowConsumer);
                    return None;
                }
                self.moved_at.set(now);
            }
            next = next.min(self.moved_at.get() + stall);
        }
        if self.ping_due.get() <= now {
            if self.pinged.get() && self.paused.get() {
                self.ping_due.set(now + millis(self.settings.ping_timeout));
            } else if self.pinged.get() {
                self.close(Reason::PingTimeout);
                return None;
            } else {
                self.pinged.set(true);
                // While a socket comes in, reading rests, and what it has missed may be sent behind the ping.
                self.marked.set((!self.paused.get()).then(|| self.position.get()));
                self.ping_due.set(now + millis(self.settings.ping_timeout));
                self.send(match self.protocol {
                    Protocol::SocketIo { .. } => websocket::text(engineio::PING),
                    Protocol::Plain => websocket::ping(),
                });
            }
        }
        Some(next.min(self.ping_due.get()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

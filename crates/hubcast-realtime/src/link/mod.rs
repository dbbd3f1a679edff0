//! The write side of one connection, be it a WebSocket or polls. Shared on one worker thread by the
//! session (reads, decides), the outlet (writes) and the deadlines. `io`: the connection itself.
//! `write`: what waits goes out. `times`: what is due when.
//!
//! A connection leaves in one of two ways, and the first reason given stays: [`Link::close`] says
//! goodbye (the queue is written, then a close frame, and the client has [`CLOSE_LINGER`] to
//! answer; one that polls is waited for only when there is something to say); [`Link::cut`] drops
//! what waits. Either way the reading stream ends, and with it the session, whose exit does the
//! rest.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;

mod io;
mod times;
mod write;

pub(super) use io::{Io, Parcel};

use super::Reason;
use super::connections::Transport;
use super::deadlines::Deadlines;
use super::frame::Protocol;
use super::polls::Polls;
use super::recovery::Position;
use super::settings::{CLOSE_LINGER, Settings};
use super::wire::websocket;

/// How far apart two requests of a client may come that it has sent one right behind the other.
const CROSSING: Duration = Duration::from_millis(25);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame is on its way; cut at this time.
    Closing(u64),
    Cut,
}

pub(super) struct Link {
    pub(super) protocol: Protocol,
    /// None yet of a client that polls.
    io: OnceCell<Io>,
    /// Of a client that began with polling.
    polls: Option<Box<Polls>>,
    settings: Arc<Settings>,
    deadlines: Rc<Deadlines>,
    state: Cell<State>,
    reason: Cell<Option<Reason>>,
    queue: RefCell<VecDeque<Bytes>>,
    queued: Cell<usize>,
    /// The kernel's buffer is full; a task waits for room and nobody else writes. Or no poll is
    /// there to take what waits.
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
    /// When to give up on a message that has begun and is not whole; `u64::MAX` when none has.
    whole_due: Cell<u64>,
    paused: Cell<bool>,
    reader: Cell<Option<Waker>>,
    /// Who waits for the queue to be short.
    filler: Cell<Option<Waker>>,
    /// The worker's place in the log.
    position: Rc<Cell<Position>>,
    /// That place when the last ping went out, and when one went out that was answered. The log's
    /// beginning where there is none, and when something was still to be sent ahead of the ping.
    marked: Cell<Position>,
    confirmed: Cell<Position>,
    pub(super) scheduled: Cell<u64>,
}

impl Link {
    /// Over a WebSocket, or with none by polls.
    pub(super) fn new(
        io: Option<Io>,
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
            polls: io.is_none().then(Box::default),
            io: io.map_or_else(OnceCell::new, OnceCell::from),
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
            whole_due: Cell::new(u64::MAX),
            paused: Cell::new(false),
            reader: Cell::new(None),
            filler: Cell::new(None),
            position,
            marked: Cell::default(),
            confirmed: Cell::default(),
            scheduled: Cell::new(u64::MAX),
        });
        link.deadlines.schedule(&link, ping_due.min(join_due));
        link
    }

    pub(super) fn transport(&self) -> Transport {
        if self.io.get().is_some() { Transport::WebSocket } else { Transport::Polling }
    }

    /// None: the client polls.
    pub(super) fn io(&self) -> Option<&Io> {
        self.io.get()
    }

    /// The polling side of a client that began there.
    pub(super) fn polls(&self) -> Option<&Polls> {
        self.polls.as_deref()
    }

    /// Why it ended; a line that broke by itself has no reason of ours.
    pub(super) fn reason(&self) -> Reason {
        self.reason.get().unwrap_or(Reason::TransportLost)
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Whether so many bytes would go out now, and cut nobody.
    pub(super) fn takes_at_once(&self, length: usize) -> bool {
        let has_room =
            self.queued.get() == 0 || self.queued.get() + length <= self.settings.outbox_limit;
        has_room
            && match (self.io.get(), self.polls()) {
                (None, Some(polls)) => polls.is_waiting(),
                _ => self.is_open() && !self.blocked.get(),
            }
    }

    /// Queues a whole frame. Over the limit the socket is cut, after one try to write. Call
    /// [`Link::flush`] when all is queued.
    pub(super) fn push(self: &Rc<Self>, frame: Bytes) -> bool {
        if !self.is_open() {
            return false;
        }
        let limit = self.settings.outbox_limit;
        if self.queued.get() > 0 && self.queued.get() + frame.len() > limit {
            self.flush();
            // One frame alone may be larger than the limit: it waits for nobody.
            if self.queued.get() > 0 && self.queued.get() + frame.len() > limit {
                self.cut(Reason::SlowConsumer);
                return false;
            }
        }
        self.enqueue(frame);
        true
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

    /// The client has moved from polling to this WebSocket; `rest` has come there behind the move.
    /// False: it is too late for that.
    pub(super) fn move_to(self: &Rc<Self>, io: Io, rest: BytesMut) -> bool {
        let Some(polls) = self.polls().filter(|_| self.state.get() != State::Cut) else {
            return false;
        };
        polls.keep(rest);
        let has_moved = self.io.set(io).is_ok();
        if has_moved {
            polls.refuse_poll();
            self.blocked.set(false);
            self.wake_reader();
            self.flush();
        }
        has_moved
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

    /// The last event of the log that the client surely has, if it is for it: it has answered a
    /// ping that was sent behind that.
    pub(super) fn confirmed(&self) -> Option<Position> {
        Some(self.confirmed.get()).filter(|confirmed| confirmed.id > 0)
    }

    /// Says goodbye: writes what waits, a close frame, and ends when the client has answered or
    /// [`CLOSE_LINGER`] is over. Of a client that polls, the poll that waits is answered; its next
    /// one is waited for only when it [is owed a word](Reason::owes_a_word).
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
        if self.io.get().is_none() && !reason.owes_a_word() {
            self.cut(reason);
        }
    }

    /// The client has let go of this connection, by Engine.IO's close packet: as when it breaks.
    /// That an end is for good is said by Socket.IO's DISCONNECT; the official client sends the one
    /// without the other over polling when something went wrong. Its poll is sent home.
    pub(super) fn hang_up(self: &Rc<Self>) {
        let Some(polls) = self.polls().filter(|_| self.io.get().is_none()) else {
            return self.close(Reason::TransportLost);
        };
        let (link, post, is_waiting) = (Rc::clone(self), polls.take_post(), polls.is_waiting());
        actix_rt::spawn(async move {
            if !is_waiting {
                // It may have been sent before, over another connection.
                tokio::time::sleep(CROSSING).await;
            }
            if let Some(polls) = link.polls() {
                polls.send_home();
            }
            link.cut(Reason::TransportLost);
            if let Some(post) = post {
                // It may have gone by itself.
                let _ = post.send(Ok(()));
            }
        });
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
        if let Some(io) = self.io.get() {
            // Fails only when the peer was faster.
            let _ = SockRef::from(io.tcp()).shutdown(Shutdown::Both);
        }
        if let Some(polls) = self.polls() {
            polls.drop_all();
        }
        self.wake_filler();
        self.paused.set(false);
        self.wake_reader();
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state.get() == State::Cut
    }

    /// Stops reading: too many events wait. The ping time-out rests meanwhile, for the pong may
    /// stand behind them.
    pub(super) fn pause(&self) {
        self.paused.set(true);
    }

    pub(super) fn resume(&self) {
        if self.paused.replace(false) {
            self.wake_reader();
        }
    }

    pub(super) fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The reading stream waits for something to be posted, for a WebSocket, or for the end.
    pub(super) fn wait_to_read(&self, cx: &Context<'_>) {
        self.reader.set(Some(cx.waker().clone()));
    }

    /// For the reading stream: pending while reading rests.
    pub(super) fn poll_reading(&self, cx: &Context<'_>) -> Poll<()> {
        if self.paused.get() {
            self.wait_to_read(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

//! What a connection does when one of its timers fires: it pings, and gives up on a client that
//! joins no namespace, reads no bytes, does not answer, or does not send the rest of a message.

use std::cell::Cell;
use std::rc::Rc;

use hubcast_realtime::throttled;

use super::connection::{Connection, Phase, millis};
use super::deadlines::{GRAIN, Timed};
use super::io::Io;
use super::timers::PingStep;
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::core::recovery::Position;
use crate::wire::{engineio, websocket};

impl Connection {
    /// Ends the connect time-out, because the client has joined a namespace.
    pub(crate) fn joined(&self) {
        self.decide(true);
        self.timers.join_due.set(u64::MAX);
        self.intake.begin();
        if let Some(seat) = self.io.get().and_then(Io::seat)
            && !seat.join()
        {
            self.lose_seat();
        }
    }

    /// Records that the server begins or ends to decide whether the client may join a namespace,
    /// because a client that only waits for that keeps its seat.
    pub(crate) fn decide(&self, is_joining: bool) {
        if self.has_joined() {
            return;
        }
        let is_kept = match (self.io.get(), self.polls()) {
            (Some(io), _) => io.seat().is_none_or(|seat| seat.decide(is_joining)),
            (None, Some(polls)) => polls.seat().is_none_or(|seat| seat.decide(is_joining)),
            (None, None) => true,
        };
        if !is_kept {
            self.lose_seat();
        }
    }

    /// Aborts the connection, because another one has its seat.
    pub(super) fn lose_seat(&self) {
        throttled!(
            info,
            by = (),
            "a socket that had joined no namespace gave its place to another connection: as many \
             are open as MAX_CONNECTIONS or CONNECTIONS_PER_ADDRESS allows"
        );
        self.abort(DisconnectReason::ConnectTimeout);
    }

    /// Records whether a message is incomplete. Its fragments or attachments have to arrive within
    /// the connect time-out of the first, because they occupy memory and a client that never sends
    /// the rest can still answer pings.
    pub(crate) fn expect_rest(self: &Rc<Self>, is_incomplete: bool) {
        if !is_incomplete {
            self.timers.message_due.set(u64::MAX);
        } else if self.timers.message_due.get() == u64::MAX {
            let due = self.deadlines.now() + millis(self.settings.connect_timeout);
            self.timers.message_due.set(due);
            self.deadlines.schedule(self, due);
        }
    }

    /// Closes the connection if its pong is overdue. A later poll is too late, even if no timer has
    /// fired yet.
    pub(super) fn close_if_overdue(self: &Rc<Self>) {
        let now = self.deadlines.now();
        if self.is_open()
            && self.timers.ping_step(now) == PingStep::TimedOut
            && !self.is_held_up(now)
        {
            self.close(DisconnectReason::PingTimeout);
        }
    }

    /// Handles a pong.
    pub(crate) fn on_pong(self: &Rc<Self>) {
        let next = self.deadlines.now() + millis(self.settings.ping_interval);
        if self.timers.on_pong(next) {
            self.deadlines.schedule(self, next);
        }
    }

    /// Records that a packet of any kind has arrived.
    pub(crate) fn on_packet(&self) {
        let patience = || self.deadlines.now() + millis(self.settings.ping_timeout);
        self.timers.on_packet(patience);
    }

    fn ping(self: &Rc<Self>, now: u64, late: u64) {
        // While a socket enters, reading is paused, and its replay may be sent after the ping.
        let is_paused = self.reader.is_paused();
        self.timers.pinged_at.set(if is_paused {
            Position::default()
        } else {
            self.position.get()
        });
        // The client counts from the time at which the ping was due. Only the grain of the timers
        // is subtracted, not the time that the process was asleep.
        let late = late.min(millis(GRAIN));
        self.timers.on_ping(now + millis(self.settings.ping_timeout).saturating_sub(late));
        self.send(match self.protocol {
            Protocol::SocketIo { .. } | Protocol::EngineIo => websocket::text(engineio::PING),
            Protocol::Plain => websocket::ping(),
        });
    }

    /// Returns the time by which the peer has to take bytes, or `u64::MAX` if the writer is not
    /// blocked. Returns `None` if the peer has taken no bytes for too long.
    fn stall_due(&self, now: u64) -> Option<u64> {
        if !self.writer.is_blocked.get() {
            return Some(u64::MAX);
        }
        let stall = millis(self.settings.stall_timeout);
        if self.writer.moved_at.get() + stall <= now {
            if !self.io().is_some_and(|io| self.writer.nudge(io)) {
                return None;
            }
            self.wake_replay();
            self.writer.moved_at.set(now);
        }
        Some(self.writer.moved_at.get() + stall)
    }
}

impl Timed for Connection {
    fn scheduled(&self) -> &Cell<u64> {
        &self.timers.scheduled
    }

    fn on_deadline(self: &Rc<Self>, now: u64) -> Option<u64> {
        match self.phase.get() {
            Phase::Aborted(_) => return None,
            Phase::Closing { by, .. } if by <= now => {
                self.abort(DisconnectReason::TransportLost);
                return None;
            }
            Phase::Closing { by, .. } => return Some(by),
            Phase::Open => {}
        }
        let join_due = self.timers.join_due.get();
        if join_due <= now {
            self.close(match self.protocol {
                Protocol::SocketIo { .. } | Protocol::EngineIo => DisconnectReason::ConnectTimeout,
                // A plain connection joins with its token, so its token is missing.
                Protocol::Plain => DisconnectReason::Unauthorized,
            });
            return None;
        }
        if self.timers.message_due.get() <= now {
            if !self.is_held_up(now) {
                self.close(DisconnectReason::Unfinished);
                return None;
            }
            // The rest may be among the unread bytes.
            self.timers.message_due.set(now + millis(self.settings.connect_timeout));
        }
        let Some(stall_due) = self.stall_due(now) else {
            self.abort(DisconnectReason::SlowConsumer);
            return None;
        };
        match self.timers.ping_step(now) {
            PingStep::Wait => {}
            PingStep::TimedOut if self.is_held_up(now) => {
                self.timers.ping_due.set(now + millis(self.settings.ping_timeout));
            }
            PingStep::TimedOut => {
                self.close(DisconnectReason::PingTimeout);
                return None;
            }
            PingStep::Send(late) => self.ping(now, late),
        }
        let times =
            [join_due, self.timers.message_due.get(), stall_due, self.timers.ping_due.get()];
        times.into_iter().min()
    }
}

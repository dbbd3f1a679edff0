//! The times of one connection: when a ping is due, and its answer; when to give up on one that
//! joins nothing, takes nothing, or does not send what it has begun.

use std::rc::Rc;

use super::{Link, State, millis};
use crate::Reason;
use crate::deadlines::GRAIN;
use crate::frame::Protocol;
use crate::recovery::Position;
use crate::wire::{engineio, websocket};

impl Link {
    /// The client has joined a namespace: the connect time-out is off.
    pub(crate) fn joined(&self) {
        self.join_due.set(u64::MAX);
    }

    /// Whether the client has begun a message whose fragments or attachments have not all come. It
    /// has as long for them as for joining a namespace, from the first: what has come of it waits
    /// in memory, and a client that never goes on can answer pings all the same.
    pub(crate) fn awaits(self: &Rc<Self>, is_waiting: bool) {
        if !is_waiting {
            self.whole_due.set(u64::MAX);
        } else if self.whole_due.get() == u64::MAX {
            let due = self.deadlines.now() + millis(self.settings.connect_timeout);
            self.whole_due.set(due);
            self.deadlines.schedule(self, due);
        }
    }

    /// A poll that comes when the ping time-out is over comes too late, also when that has not been
    /// noticed yet.
    pub(super) fn end_if_overdue(self: &Rc<Self>) {
        if self.is_open()
            && self.pinged.get()
            && !self.paused.get()
            && self.ping_due.get() <= self.deadlines.now()
        {
            self.close(Reason::PingTimeout);
        }
    }

    /// A pong has come.
    pub(crate) fn heard(self: &Rc<Self>) {
        if self.pinged.replace(false) {
            if self.marked.get().id > 0 {
                self.confirmed.set(self.marked.get());
            }
            let due = self.deadlines.now() + millis(self.settings.ping_interval);
            self.ping_due.set(due);
            self.deadlines.schedule(self, due);
        }
    }

    /// One of the times has come. Says when to ask again.
    pub(crate) fn on_deadline(self: &Rc<Self>, now: u64) -> Option<u64> {
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
                Protocol::SocketIo { .. } | Protocol::EngineIo => Reason::ConnectTimeout,
                // It joins with its token, so the token is what did not come.
                Protocol::Plain => Reason::Unauthorized,
            });
            return None;
        }
        if self.whole_due.get() <= now {
            if !self.paused.get() {
                self.close(Reason::Unfinished);
                return None;
            }
            // What is missing may stand where nobody reads.
            self.whole_due.set(now + millis(self.settings.connect_timeout));
        }
        next = next.min(self.whole_due.get());
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
                // The client counts from when it was due; only what the timers let it wait is taken
                // off, not what the process has slept.
                let late = (now - self.ping_due.get()).min(millis(GRAIN));
                // While a socket comes in, reading rests, and what it has missed may be sent behind
                // the ping.
                self.marked.set(if self.paused.get() {
                    Position::default()
                } else {
                    self.position.get()
                });
                self.ping_due.set(now + millis(self.settings.ping_timeout).saturating_sub(late));
                self.send(match self.protocol {
                    Protocol::SocketIo { .. } | Protocol::EngineIo => {
                        websocket::text(engineio::PING)
                    }
                    Protocol::Plain => websocket::ping(),
                });
            }
        }
        Some(next.min(self.ping_due.get()))
    }
}

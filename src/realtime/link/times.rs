//! The times of one connection: when a ping is due, and its answer; when to give up on one that joins nothing, or takes nothing.

use std::rc::Rc;

use super::{Link, State, millis};
use crate::realtime::Reason;
use crate::realtime::frame::Protocol;
use crate::realtime::wire::{engineio, websocket};

impl Link {
    /// The client has joined a namespace: the connect time-out is off.
    pub(in crate::realtime) fn joined(&self) {
        self.join_due.set(u64::MAX);
    }

    /// A pong has come.
    pub(in crate::realtime) fn heard(self: &Rc<Self>) {
        if self.pinged.replace(false) {
            self.confirmed.set(self.marked.get().or(self.confirmed.get()));
            let due = self.deadlines.now() + millis(self.settings.ping_interval);
            self.ping_due.set(due);
            self.deadlines.schedule(self, due);
        }
    }

    /// One of the times has come. Says when to ask again.
    pub(in crate::realtime) fn on_deadline(self: &Rc<Self>, now: u64) -> Option<u64> {
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
                    Protocol::SocketIo { .. } | Protocol::EngineIo => websocket::text(engineio::PING),
                    Protocol::Plain => websocket::ping(),
                });
            }
        }
        Some(next.min(self.ping_due.get()))
    }
}

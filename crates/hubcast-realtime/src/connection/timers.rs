//! The times of one connection, in milliseconds of its worker's clock: plain state. `timing` acts
//! on it.

use std::cell::Cell;

use crate::core::recovery::Position;

pub(super) struct Timers {
    /// When the next ping is due or, while one is unanswered, when its pong is overdue.
    pub(super) ping_due: Cell<u64>,
    /// Whether a ping is unanswered.
    pub(super) is_pinged: Cell<bool>,
    /// Whether a packet has put off the time-out of the unanswered ping. That happens once a ping.
    pub(super) is_put_off: Cell<bool>,
    /// When to give up on a connection that has joined no namespace; `u64::MAX` once it has.
    pub(super) join_due: Cell<u64>,
    /// When to give up on a message that is incomplete; `u64::MAX` while there is none.
    pub(super) message_due: Cell<u64>,
    /// The due time of this connection's valid entry in the heap of its worker.
    pub(super) scheduled: Cell<u64>,
    /// The worker's position in the log when the last ping was sent; the zero position if the pong
    /// would not prove that the client has received everything up to there.
    pub(super) pinged_at: Cell<Position>,
    /// The position up to which the client has received everything.
    pub(super) confirmed: Cell<Position>,
}

/// What a connection does about its ping when a timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PingStep {
    Wait,
    /// The ping has to be sent; it is this many milliseconds late.
    Send(u64),
    /// The pong is overdue.
    TimedOut,
}

impl Timers {
    pub(super) fn new(ping_due: u64, join_due: u64) -> Self {
        Self {
            ping_due: Cell::new(ping_due),
            is_pinged: Cell::new(false),
            is_put_off: Cell::new(false),
            join_due: Cell::new(join_due),
            message_due: Cell::new(u64::MAX),
            scheduled: Cell::new(u64::MAX),
            pinged_at: Cell::default(),
            confirmed: Cell::default(),
        }
    }

    /// Records a pong. Returns false if no ping was unanswered.
    pub(super) fn on_pong(&self, next_ping: u64) -> bool {
        let was_pinged = self.is_pinged.replace(false);
        if was_pinged {
            if self.pinged_at.get().id > 0 {
                self.confirmed.set(self.pinged_at.get());
            }
            self.ping_due.set(next_ping);
        }
        was_pinged
    }

    /// Records a ping, whose pong is overdue at time `overdue`.
    pub(super) fn on_ping(&self, overdue: u64) {
        self.is_pinged.set(true);
        self.is_put_off.set(false);
        self.ping_due.set(overdue);
    }

    /// Records a packet: the first one while a ping is unanswered puts off its time-out, because a
    /// client that sends much lives, and its pong waits behind what it sends. Only the first one
    /// does, because a client that never answers has to be found out.
    pub(super) fn on_packet(&self, overdue: impl FnOnce() -> u64) {
        if self.is_pinged.get() && !self.is_put_off.replace(true) {
            self.ping_due.set(overdue());
        }
    }

    pub(super) fn ping_step(&self, now: u64) -> PingStep {
        match self.ping_due.get() {
            due if due > now => PingStep::Wait,
            _ if self.is_pinged.get() => PingStep::TimedOut,
            due => PingStep::Send(now - due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_confirms_the_place_of_its_ping_and_only_once() {
        let timers = Timers::new(100, u64::MAX);
        assert_eq!(
            (timers.ping_step(99), timers.ping_step(103)),
            (PingStep::Wait, PingStep::Send(3))
        );
        timers.on_ping(100);
        timers.pinged_at.set(Position { epoch: 1, id: 7 });
        assert_eq!(timers.ping_step(100), PingStep::TimedOut);
        assert!(timers.on_pong(200) && !timers.on_pong(300));
        assert_eq!(timers.confirmed.get().id, 7);
        assert_eq!(timers.ping_due.get(), 200);
    }

    #[test]
    fn the_first_packet_while_a_pong_is_due_puts_off_the_time_out() {
        let timers = Timers::new(100, u64::MAX);
        timers.on_packet(|| 500);
        assert_eq!(timers.ping_due.get(), 100, "no ping is unanswered");
        for ping in [120, 420] {
            timers.on_ping(ping);
            timers.on_packet(|| ping + 50);
            timers.on_packet(|| ping + 90);
            assert_eq!(timers.ping_step(ping + 49), PingStep::Wait);
            assert_eq!(timers.ping_step(ping + 50), PingStep::TimedOut);
            assert!(timers.on_pong(ping + 200));
        }
    }
}

//! The alarms of one worker's sockets, in the order of their times. A socket needs no timer and no
//! task of its own.
//!
//! The times are times of the wall clock, like a token's expiry. That clock continues while the
//! machine sleeps, and jumps when it is set. So it is read at least every [`LOOK`], even if the
//! next alarm is far away.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::connection::deadlines::GRAIN;
use crate::core::ids::SocketId;

/// The longest pause between two readings of the clock.
const LOOK: Duration = Duration::from_secs(10);

/// One socket's alarm: milliseconds since 1970, or `UNSET` or `OVER`.
pub(crate) type Alarm = Cell<u64>;
/// The alarm is not set.
const UNSET: u64 = 0;
/// The socket has left, so its alarm is never set again.
const OVER: u64 = u64::MAX;

#[derive(Default)]
pub(crate) struct Alarms {
    set: RefCell<BTreeSet<(u64, SocketId)>>,
    earlier: Notify,
}

impl Alarms {
    /// Sets a socket's alarm, and replaces the previous one.
    pub(crate) fn set(&self, socket: SocketId, alarm: &Alarm, at: SystemTime) {
        if alarm.get() != OVER {
            self.replace(socket, alarm, millis(at).clamp(UNSET + 1, OVER - 1));
        }
    }

    /// Ends the alarm of a socket that has left.
    pub(crate) fn end(&self, socket: SocketId, alarm: &Alarm) {
        self.replace(socket, alarm, OVER);
    }

    fn replace(&self, socket: SocketId, alarm: &Alarm, at: u64) {
        let mut set = self.set.borrow_mut();
        set.remove(&(alarm.replace(at), socket));
        if at == OVER {
            return;
        }
        if set.first().is_none_or(|(first, _)| at < *first) {
            self.earlier.notify_one();
        }
        set.insert((at, socket));
    }

    /// Calls `ring` for each socket whose alarm is due, as long as the worker lives.
    pub(crate) async fn run(self: Rc<Self>, ring: impl Fn(SocketId)) {
        loop {
            let next = self.set.borrow().first().map(|(at, _)| *at);
            let Some(at) = next else {
                self.earlier.notified().await;
                continue;
            };
            let wait = Duration::from_millis(at.saturating_sub(millis(SystemTime::now())))
                .clamp(GRAIN, LOOK);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.earlier.notified() => continue,
            }
            let now = millis(SystemTime::now());
            while let Some(socket) = self.take_due(now) {
                ring(socket);
            }
        }
    }

    fn take_due(&self, now: u64) -> Option<SocketId> {
        let mut set = self.set.borrow_mut();
        let is_due = set.first().is_some_and(|(at, _)| *at <= now);
        if is_due { set.pop_first().map(|(_, socket)| socket) } else { None }
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(OVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn a_socket_has_one_alarm_and_none_once_it_has_left() {
        let (alarms, ann, bob) = (Alarms::default(), SocketId::next(), SocketId::next());
        let (anns, bobs) = (Alarm::default(), Alarm::default());
        alarms.set(ann, &anns, at(50));
        alarms.set(bob, &bobs, at(20));
        alarms.set(ann, &anns, at(10));
        assert_eq!(
            [9, 10, 10, 20, 99].map(|now| alarms.take_due(now)),
            [None, Some(ann), None, Some(bob), None]
        );
        alarms.set(ann, &anns, at(30));
        alarms.end(ann, &anns);
        alarms.set(ann, &anns, at(40));
        assert_eq!(alarms.take_due(99), None);
    }

    #[test]
    fn a_time_before_1970_and_one_past_all_calendars_are_times() {
        let (alarms, ann, alarm) = (Alarms::default(), SocketId::next(), Alarm::default());
        alarms.set(ann, &alarm, UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(alarms.take_due(1), Some(ann));
        alarms.set(ann, &alarm, at(u64::MAX / 2));
        assert_eq!(alarms.take_due(u64::MAX / 2 - 1), None);
    }
}

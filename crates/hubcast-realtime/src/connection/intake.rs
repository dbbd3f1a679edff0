//! How much a client may send: frames of every kind, and bytes. Over a limit reading pauses until
//! the client is within it again, so that TCP slows the client down. A client that stays over for
//! long is given up.
//!
//! What arrives is counted before it is understood: a ping, an empty fragment and a broken packet
//! cost as much as an event. A client that has joined no namespace yet, and so has shown no token,
//! has the small limits of [`FRAMES_BEFORE_JOIN`] and [`BYTES_BEFORE_JOIN`].

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use governor::Quota;
use hubcast_realtime::throttled;

use super::connection::{Connection, millis};
use crate::core::reason::DisconnectReason;
use crate::core::settings::{
    BYTES_BEFORE_JOIN, CLOSE_LINGER, FRAMES_BEFORE_JOIN, LEAST_READ, MAX_BEFORE_JOIN, Settings,
};

/// A pause is at least this long, so that a client that sends on costs few wake-ups.
const LEAST_PAUSE: u64 = 10;
const NANOS: u64 = 1_000_000;

/// What one connection has sent lately. All times are milliseconds of the worker's clock, but for
/// those of [`Meter`].
#[derive(Default)]
pub(super) struct Intake {
    frames: Meter,
    bytes: Meter,
    /// The time at which the last frames were read.
    now: Cell<u64>,
    /// When the last pause ends, or has ended.
    until: Cell<u64>,
}

/// A token bucket, as the time in nanoseconds at which it will be full again.
struct Meter {
    full_at: Cell<u64>,
    /// Since when (ms) it has not been half full, if it has been empty meanwhile.
    over_since: Cell<u64>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { full_at: Cell::new(0), over_since: Cell::new(u64::MAX) }
    }
}

impl Meter {
    /// Takes tokens. Returns the time (ms) at which the bucket has paid for all of them, if that is
    /// later than `now`.
    fn take(&self, quota: Quota, count: u64, now: u64) -> Option<u64> {
        let period = u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
        let depth = period.saturating_mul(quota.burst_size().get().into());
        let at = now.saturating_mul(NANOS);
        let full_at = self.full_at.get().max(at);
        if full_at - at <= depth / 2 {
            self.over_since.set(u64::MAX);
        }
        let full_at = full_at.saturating_add(period.saturating_mul(count));
        self.full_at.set(full_at);
        (full_at - at > depth).then(|| (full_at - depth).div_ceil(NANOS))
    }
}

/// Which limit a client has exceeded for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Frames,
    Bytes,
}

impl Intake {
    fn meter(&self, kind: Kind) -> &Meter {
        match kind {
            Kind::Frames => &self.frames,
            Kind::Bytes => &self.bytes,
        }
    }

    /// Forgets what was sent so far: other limits count from here on.
    pub(super) fn begin(&self) {
        for meter in [&self.frames, &self.bytes] {
            meter.full_at.set(0);
            meter.over_since.set(u64::MAX);
        }
        self.until.set(0);
    }
}

fn quota(settings: &Settings, kind: Kind, has_joined: bool) -> Option<Quota> {
    match (kind, has_joined) {
        (Kind::Frames, true) => settings.frame_rate,
        (Kind::Bytes, true) => settings.byte_rate,
        (Kind::Frames, false) => settings.frame_rate.map(|_| FRAMES_BEFORE_JOIN),
        (Kind::Bytes, false) => settings.byte_rate.map(|_| BYTES_BEFORE_JOIN),
    }
}

impl Connection {
    pub(super) fn has_joined(&self) -> bool {
        self.timers.join_due.get() == u64::MAX
    }

    /// Returns the most bytes of a message. A client without a namespace sends short ones only.
    pub(crate) fn max_message(&self) -> usize {
        let most = self.settings.max_payload;
        if self.has_joined() { most } else { most.min(MAX_BEFORE_JOIN) }
    }

    /// Counts a read. One that brings few bytes counts as [`LEAST_READ`], because its cost is that
    /// of the call.
    pub(super) fn count_read(self: &Rc<Self>, bytes: usize) {
        self.intake.now.set(self.deadlines.now());
        self.count(Kind::Bytes, bytes.max(LEAST_READ));
    }

    /// Counts a frame that was read.
    pub(super) fn count_frame(self: &Rc<Self>) {
        self.count(Kind::Frames, 1);
    }

    /// Counts a packet that was posted.
    pub(super) fn count_posted(self: &Rc<Self>, bytes: usize) {
        self.intake.now.set(self.deadlines.now());
        self.count(Kind::Frames, 1);
        self.count(Kind::Bytes, bytes);
    }

    fn count(self: &Rc<Self>, kind: Kind, count: usize) {
        let Some(quota) = quota(&self.settings, kind, self.has_joined()) else { return };
        let meter = self.intake.meter(kind);
        if let Some(paid) = meter.take(quota, count as u64, self.intake.now.get()) {
            self.slow_down(kind, paid);
        }
    }

    fn slow_down(self: &Rc<Self>, kind: Kind, until: u64) {
        let now = self.deadlines.now();
        if until <= now {
            return;
        }
        let until = until.max(now + LEAST_PAUSE);
        if !self.is_open() {
            return self.pause_until(until);
        }
        let over_since = &self.intake.meter(kind).over_since;
        over_since.set(over_since.get().min(now));
        if now - over_since.get() >= millis(self.settings.intake_patience) {
            let (is_frames, has_joined) = (kind == Kind::Frames, self.has_joined());
            throttled!(
                info,
                by = (kind, has_joined),
                over_for = ?self.settings.intake_patience, has_joined,
                "a client that sends too much was closed: more {}, for so long",
                if is_frames { "frames than frame_rate" } else { "bytes than byte_rate" }
            );
            self.close(DisconnectReason::RateLimited);
        } else {
            self.pause_until(until);
        }
    }

    /// Reads nothing for a while, because the client has sent too many events.
    pub(crate) fn pause_for(&self, pause: Duration) {
        self.pause_until(self.deadlines.now() + millis(pause).max(LEAST_PAUSE));
    }

    fn pause_until(&self, until: u64) {
        self.intake.until.set(self.intake.until.get().max(until));
    }

    /// Returns how long reading still pauses because the client has sent too much, or `None`.
    pub(super) fn pause_left(&self) -> Option<Duration> {
        let until = self.intake.until.get();
        if until == 0 || self.is_aborted() {
            return None;
        }
        if !self.is_open() && self.reason() == DisconnectReason::RateLimited {
            // A client that is closed because it sends too much is not read any more, not even for
            // its close frame.
            return Some(CLOSE_LINGER);
        }
        let now = self.deadlines.now();
        self.intake.now.set(now);
        (until > now).then(|| Duration::from_millis(until - now))
    }

    /// Returns true if something that the client has sent may be unread because of the server:
    /// reading is paused, or was paused by a limit within the ping time-out. A pong may then wait
    /// behind what the client has sent before.
    pub(super) fn is_held_up(&self, now: u64) -> bool {
        let until = self.intake.until.get();
        let is_recent = until > 0 && until + millis(self.settings.ping_timeout) > now;
        self.reader.is_paused() || is_recent
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_meter_has_a_burst_and_a_rate_and_tells_until_when_it_owes() {
        let ten = NonZeroU32::new(10).unwrap();
        let quota = Quota::per_second(ten).allow_burst(ten);
        let meter = Meter::default();
        assert_eq!(meter.take(quota, 10, 5_000), None);
        assert_eq!(meter.take(quota, 1, 5_000), Some(5_100));
        assert_eq!(meter.take(quota, 1, 5_200), None);
        // One frame may cost more than the whole burst.
        assert_eq!(meter.take(quota, 20, 9_000), Some(10_000));
    }

    #[test]
    fn only_a_rest_ends_the_time_over_a_limit() {
        let ten = NonZeroU32::new(10).unwrap();
        let quota = Quota::per_second(ten).allow_burst(ten);
        let meter = Meter::default();
        assert_eq!(meter.take(quota, 11, 1_000), Some(1_100));
        meter.over_since.set(1_000);
        assert_eq!(meter.take(quota, 1, 1_500), None);
        assert_eq!(meter.over_since.get(), 1_000, "less than half is there");
        assert_eq!(meter.take(quota, 1, 2_500), None);
        assert_eq!(meter.over_since.get(), u64::MAX);
    }
}

//! The bodies of requests that arrive: how many bytes of them the server holds, and which of them
//! are given up when these are too many.
//!
//! First those of an address that holds much go, and of them the one whose client has sent nothing
//! for longest. So a body that comes slowly but steadily is not lost to many that were begun and
//! left.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hubcast_realtime::throttled;

use super::{Seat, Seats};
use crate::core::settings::MAX_BODIES;

/// A client has sent on if so many bytes more are there.
const STEP: usize = 16 << 10;
/// Addresses that hold less than this are alike.
const SHARE: usize = MAX_BODIES / 16;

impl Seats {
    /// Gives up bodies until there is room for others.
    fn shed_bodies(&self) {
        let mut taken = self.taken();
        let mut held = HashMap::<_, usize>::new();
        let mut all = Vec::new();
        for place in taken.kept.iter().chain(&taken.short) {
            let bytes = place.body.load(Ordering::Acquire);
            if bytes > 0 {
                *held.entry(place.address).or_default() += bytes;
                all.push(Arc::clone(place));
            }
        }
        all.sort_by_cached_key(|place| {
            let share = held.get(&place.address).map_or(0, |bytes| bytes / SHARE);
            (Reverse(share), place.body_since.load(Ordering::Acquire))
        });
        let mut gone = 0_usize;
        for place in all {
            if self.bodies.load(Ordering::Acquire) <= MAX_BODIES / 4 * 3 {
                break;
            }
            taken.remove(&place);
            self.bodies.fetch_sub(place.body.swap(0, Ordering::AcqRel), Ordering::AcqRel);
            place.give_up();
            gone += 1;
        }
        drop(taken);
        throttled!(
            warn,
            by = (),
            gone,
            most = MAX_BODIES,
            "too many bytes of bodies have arrived of which the rest is missing; the connections \
             that have sent nothing for longest were closed"
        );
    }
}

impl Seat {
    /// Bytes of the body have arrived, and are kept until [`Seat::drop_body`].
    pub(crate) fn hold_body(&self, bytes: usize) {
        let before = self.place.body.fetch_add(bytes, Ordering::AcqRel);
        if before == 0 || before / STEP != (before + bytes) / STEP {
            self.place.body_since.store(self.seats.now(), Ordering::Release);
        }
        if self.seats.bodies.fetch_add(bytes, Ordering::AcqRel) + bytes > MAX_BODIES {
            self.seats.shed_bodies();
        }
    }

    /// The body is whole, or nobody waits for it any more.
    pub(crate) fn drop_body(&self) {
        self.seats.bodies.fetch_sub(self.place.body.swap(0, Ordering::AcqRel), Ordering::AcqRel);
    }
}

//! The end of the log in memory: the last events that went through the hub, encoded as they were.
//! Who was away for a moment gets what it missed from here, so that a crowd that comes back after a
//! restart does not read the same rows a thousand times.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::event::Event;

/// Events kept at most.
const MOST_EVENTS: usize = 16_384;
/// Bytes kept at most, by what they come to when encoded.
const MOST_BYTES: usize = 16 << 20;
/// Events looked at for one page: the lock is held meanwhile.
const PER_PAGE: usize = 2048;

/// Events that follow one another, without a gap, up to the last that was routed.
#[derive(Default)]
pub(crate) struct Tail(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: VecDeque<(i64, Arc<Event>)>,
    bytes: usize,
    /// The id of the last event that was routed.
    last: i64,
}

/// A part of the log, as far as it concerns one socket.
#[derive(Default)]
pub struct LogPage {
    /// In log order.
    pub events: Vec<Arc<Event>>,
    /// The log was looked at up to this event.
    pub end: i64,
}

impl Tail {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log stands at `last`, and nothing of it is here.
    pub(crate) fn begin(&self, last: i64) {
        *self.kept() = Kept { last, ..Kept::default() };
    }

    /// The next event. One that does not follow the last makes all before it useless.
    pub(crate) fn push(&self, id: i64, event: &Arc<Event>) {
        let mut kept = self.kept();
        if id != kept.last + 1 {
            *kept = Kept::default();
        }
        kept.last = id;
        kept.bytes += event.weight();
        kept.events.push_back((id, Arc::clone(event)));
        while kept.bytes > MOST_BYTES || kept.events.len() > MOST_EVENTS {
            let Some((_, oldest)) = kept.events.pop_front() else { return };
            kept.bytes -= oldest.weight();
        }
    }

    /// The id of the last event that was routed.
    pub(crate) fn last(&self) -> i64 {
        self.kept().last
    }

    /// What follows `after`, of that `pick` takes. `None`: it goes further back than what is here.
    pub(crate) fn page(&self, after: i64, pick: impl Fn(&Event) -> bool) -> Option<LogPage> {
        let kept = self.kept();
        if after >= kept.last {
            return Some(LogPage { events: Vec::new(), end: after });
        }
        let first = kept.events.front()?.0;
        let skip = usize::try_from(after + 1 - first).ok()?;
        let looked = kept.events.range(skip.min(kept.events.len())..).take(PER_PAGE);
        let mut page = LogPage { events: Vec::new(), end: after };
        for (id, event) in looked {
            page.end = *id;
            if pick(event) {
                page.events.push(Arc::clone(event));
            }
        }
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Payload, Position};

    fn push(tail: &Tail, id: i64, data: &str) {
        let event = Event::new("/", "said", Payload::json(data), ["room"])
            .stored(Position { epoch: 1, id });
        tail.push(id, &Arc::new(event));
    }

    fn ids(tail: &Tail, after: i64) -> Option<(Vec<i64>, i64)> {
        let page = tail.page(after, |_| true)?;
        Some((
            page.events
                .iter()
                .filter_map(|event| event.position().map(|position| position.id))
                .collect(),
            page.end,
        ))
    }

    #[test]
    fn what_follows_is_given_and_what_goes_further_back_is_not() {
        let tail = Tail::default();
        tail.begin(10);
        assert_eq!(ids(&tail, 10), Some((vec![], 10)));
        assert_eq!(ids(&tail, 9), None);
        (11..=14).for_each(|id| push(&tail, id, "1"));
        assert_eq!(ids(&tail, 10), Some((vec![11, 12, 13, 14], 14)));
        assert_eq!(ids(&tail, 13), Some((vec![14], 14)));
        assert_eq!(ids(&tail, 14), Some((vec![], 14)));
        assert_eq!(ids(&tail, 9), None);
    }

    #[test]
    fn after_a_gap_it_begins_anew() {
        let tail = Tail::default();
        push(&tail, 1, "1");
        push(&tail, 3, "1");
        assert_eq!(ids(&tail, 1), None);
        assert_eq!(ids(&tail, 2), Some((vec![3], 3)));
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let tail = Tail::default();
        (1..=20_000).for_each(|id| push(&tail, id, "1"));
        assert_eq!(tail.kept().events.len(), MOST_EVENTS);
        let large = format!("\"{}\"", "x".repeat(1 << 20));
        (20_001..=20_040).for_each(|id| push(&tail, id, &large));
        assert!(tail.kept().bytes <= MOST_BYTES);
        assert!(ids(&tail, 20_039).is_some_and(|(ids, _)| ids == [20_040]));
    }
}

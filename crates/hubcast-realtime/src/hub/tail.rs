//! The end of the log in memory: the last events that the hub routed, already encoded. Clients that
//! reconnect after a short outage or a restart are served from here, so that many of them do not
//! each read the same rows from the database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::event::Event;

/// The most events kept.
const MAX_EVENTS: usize = 16_384;
/// The most bytes kept, measured by the encoded size.
const MAX_BYTES: usize = 16 << 20;
/// The most events searched for one page, because the lock is held meanwhile.
const PER_PAGE: usize = 2048;

/// Consecutive events without a gap, up to the last one routed.
#[derive(Default)]
pub(crate) struct Tail(Mutex<TailEvents>);

#[derive(Default)]
struct TailEvents {
    events: VecDeque<(i64, Arc<Event>)>,
    bytes: usize,
    /// The id of the last routed event.
    last: i64,
}

/// The events of a part of the log that are for one socket.
#[derive(Default)]
pub struct LogPage {
    /// The events, in log order.
    pub events: Vec<Arc<Event>>,
    /// The id of the last event that was searched.
    pub end: i64,
}

impl Tail {
    fn lock(&self) -> MutexGuard<'_, TailEvents> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the tail; the log's last event is `last`.
    pub(crate) fn begin(&self, last: i64) {
        *self.lock() = TailEvents { last, ..TailEvents::default() };
    }

    /// Appends an event. A gap before it drops all earlier events.
    pub(crate) fn push(&self, id: i64, event: &Arc<Event>) {
        let mut tail = self.lock();
        if id != tail.last + 1 {
            *tail = TailEvents::default();
        }
        tail.last = id;
        tail.bytes += event.weight();
        tail.events.push_back((id, Arc::clone(event)));
        while tail.bytes > MAX_BYTES || tail.events.len() > MAX_EVENTS {
            let Some((_, oldest)) = tail.events.pop_front() else { return };
            tail.bytes -= oldest.weight();
        }
    }

    /// Returns the id of the last routed event.
    pub(crate) fn last(&self) -> i64 {
        self.lock().last
    }

    /// Returns the events after `after` that `pick` accepts, or `None` if the tail does not reach
    /// back that far.
    pub(crate) fn page(&self, after: i64, pick: impl Fn(&Event) -> bool) -> Option<LogPage> {
        let tail = self.lock();
        if after >= tail.last {
            return Some(LogPage { events: Vec::new(), end: after });
        }
        let first = tail.events.front()?.0;
        let skip = usize::try_from(after + 1 - first).ok()?;
        let looked = tail.events.range(skip.min(tail.events.len())..).take(PER_PAGE);
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
    fn a_page_is_given_only_within_the_tail() {
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
    fn a_gap_drops_the_earlier_events() {
        let tail = Tail::default();
        push(&tail, 1, "1");
        push(&tail, 3, "1");
        assert_eq!(ids(&tail, 1), None);
        assert_eq!(ids(&tail, 2), Some((vec![3], 3)));
    }

    #[test]
    fn the_tail_is_limited_in_events_and_in_bytes() {
        let tail = Tail::default();
        (1..=20_000).for_each(|id| push(&tail, id, "1"));
        assert_eq!(tail.lock().events.len(), MAX_EVENTS);
        let large = format!("\"{}\"", "x".repeat(1 << 20));
        (20_001..=20_040).for_each(|id| push(&tail, id, &large));
        assert!(tail.lock().bytes <= MAX_BYTES);
        assert!(ids(&tail, 20_039).is_some_and(|(ids, _)| ids == [20_040]));
    }
}

//! All timers of one worker's connections, in one heap instead of a timer future per connection.
//!
//! A connection has one valid entry: the one whose time equals [`Timed::scheduled`]. An earlier
//! time gets a further entry, and the older one is skipped when it is due. So an idle connection
//! costs one small entry and wakes no task between its pings.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Timers closer together than this fire together.
pub(crate) const GRAIN: Duration = Duration::from_millis(10);

/// Something with timers.
pub(crate) trait Timed: 'static {
    /// Returns the due time of the valid entry, or `u64::MAX` if there is none. Only [`Deadlines`]
    /// sets it.
    fn scheduled(&self) -> &Cell<u64>;

    /// Handles the timers that are due. Returns the time at which the next one is due.
    fn on_deadline(self: &Rc<Self>, now: u64) -> Option<u64>;
}

pub(crate) struct Deadlines<T> {
    started: Instant,
    heap: RefCell<BinaryHeap<Reverse<Entry<T>>>>,
    earlier: Notify,
}

struct Entry<T> {
    due: u64,
    timed: Weak<T>,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl<T: Timed> Deadlines<T> {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { started: Instant::now(), heap: RefCell::default(), earlier: Notify::new() })
    }

    /// Returns the milliseconds since this worker began, the unit of every deadline.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Schedules a call of [`Timed::on_deadline`] at `due` or earlier.
    pub(crate) fn schedule(&self, timed: &Rc<T>, due: u64) {
        if timed.scheduled().get() <= due {
            return;
        }
        timed.scheduled().set(due);
        let mut heap = self.heap.borrow_mut();
        if heap.peek().is_none_or(|Reverse(first)| due < first.due) {
            self.earlier.notify_one();
        }
        heap.push(Reverse(Entry { due, timed: Rc::downgrade(timed) }));
    }

    /// Returns all connections of this worker.
    pub(crate) fn all(&self) -> Vec<Rc<T>> {
        let heap = self.heap.borrow();
        let valid = |Reverse(entry): &Reverse<Entry<T>>| {
            entry.timed.upgrade().filter(|timed| timed.scheduled().get() == entry.due)
        };
        heap.iter().filter_map(valid).collect()
    }

    /// Fires the entries that are due, as long as the worker lives.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            let next = self.heap.borrow().peek().map(|Reverse(entry)| entry.due);
            match next {
                None => self.earlier.notified().await,
                Some(due) => {
                    let wait = Duration::from_millis(due.saturating_sub(self.now())).max(GRAIN);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.earlier.notified() => continue,
                    }
                    self.fire();
                }
            }
        }
    }

    fn fire(&self) {
        let now = self.now();
        loop {
            let entry = {
                let mut heap = self.heap.borrow_mut();
                match heap.peek() {
                    Some(Reverse(first)) if first.due <= now => heap.pop(),
                    _ => None,
                }
            };
            let Some(Reverse(Entry { due, timed })) = entry else { return };
            let Some(timed) = timed.upgrade().filter(|timed| timed.scheduled().get() == due) else {
                continue;
            };
            timed.scheduled().set(u64::MAX);
            if let Some(next) = timed.on_deadline(now) {
                self.schedule(&timed, next.max(now + 1));
            }
        }
    }
}

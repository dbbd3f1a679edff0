//! Every timer of one worker's connections in one heap: no timer future per socket.
//!
//! A connection has one entry that counts: the one whose time equals [`Link::scheduled`]. An
//! earlier time gets a further entry, and the older one is passed over when it comes up. So an idle
//! connection costs one small entry and wakes nobody between its pings.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::link::Link;

/// Timers closer together than this fire together.
pub(super) const GRAIN: Duration = Duration::from_millis(10);

pub(super) struct Deadlines {
    started: Instant,
    heap: RefCell<BinaryHeap<Reverse<Entry>>>,
    earlier: Notify,
}

struct Entry {
    due: u64,
    link: Weak<Link>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl Deadlines {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { started: Instant::now(), heap: RefCell::default(), earlier: Notify::new() })
    }

    /// Milliseconds since this worker began: the unit of every deadline.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Calls [`Link::on_deadline`] at `due`, or before.
    pub(super) fn schedule(&self, link: &Rc<Link>, due: u64) {
        if link.scheduled.get() <= due {
            return;
        }
        link.scheduled.set(due);
        let mut heap = self.heap.borrow_mut();
        if heap.peek().is_none_or(|Reverse(first)| due < first.due) {
            self.earlier.notify_one();
        }
        heap.push(Reverse(Entry { due, link: Rc::downgrade(link) }));
    }

    /// Every connection of this worker.
    pub(super) fn links(&self) -> Vec<Rc<Link>> {
        let heap = self.heap.borrow();
        heap.iter()
            .filter_map(|Reverse(entry)| {
                entry.link.upgrade().filter(|link| link.scheduled.get() == entry.due)
            })
            .collect()
    }

    /// Fires what is due, for as long as the worker lives.
    pub(super) async fn run(self: Rc<Self>) {
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
            let Some(Reverse(Entry { due, link })) = entry else { return };
            let Some(link) = link.upgrade().filter(|link| link.scheduled.get() == due) else {
                continue;
            };
            link.scheduled.set(u64::MAX);
            if let Some(next) = link.on_deadline(now) {
                self.schedule(&link, next.max(now + 1));
            }
        }
    }
}

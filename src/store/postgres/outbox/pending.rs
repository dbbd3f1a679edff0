//! This server's writes from their COMMIT to the announcement of their rows: their local steps, and
//! the callers that wait for an answer.
//!
//! A write is registered before its COMMIT is sent, so a task that reads its rows finds it here. It
//! is removed when its last row has been announced, when it surely was not committed, or, when the
//! outcome is unknown, a minute later.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::store::BudgetPermit;
use crate::store::fault::UNCONFIRMED;
use crate::store::job::WriteJob;
use crate::store::postgres::outbox::{LocalSteps, Origin};

/// How long a write without an answer to its COMMIT is kept: as long as a database may take to
/// restart.
const DOUBT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(in crate::store::postgres) struct PendingWrites {
    entries: RefCell<HashMap<Origin, PendingWrite>>,
    /// Every write committed before this moment has been announced.
    announced: Cell<Option<Instant>>,
}

struct PendingWrite {
    /// One entry for each row that has not been announced.
    local: VecDeque<LocalSteps>,
    /// `None` once it is answered.
    job: Option<Box<dyn WriteJob>>,
    permit: Option<BudgetPermit>,
    state: CommitState,
    /// The latest time at which the caller is answered.
    until: Instant,
}

enum CommitState {
    /// COMMIT is sent or about to be sent.
    InFlight,
    Committed(Instant),
    /// COMMIT was sent, and its answer is lost.
    Unknown(Instant),
}

/// The writes whose last row has been announced.
#[derive(Default)]
pub(in crate::store::postgres) struct FinishedWrites {
    pub(in crate::store::postgres) jobs: Vec<Box<dyn WriteJob>>,
    pub(in crate::store::postgres) permits: Vec<BudgetPermit>,
}

impl PendingWrites {
    pub(in crate::store::postgres) fn register(
        &self,
        origin: Origin,
        local: VecDeque<LocalSteps>,
        job: Box<dyn WriteJob>,
        permit: BudgetPermit,
        until: Instant,
    ) {
        let entry = PendingWrite {
            local,
            job: Some(job),
            permit: Some(permit),
            state: CommitState::InFlight,
            until,
        };
        self.entries.borrow_mut().insert(origin, entry);
    }

    /// Marks a write as committed; the announcement of its last row answers it.
    pub(in crate::store::postgres) fn committed(&self, origin: Origin) {
        // A missing entry was announced before its own connection reported the commit.
        if let Some(entry) = self.entries.borrow_mut().get_mut(&origin) {
            entry.state = CommitState::Committed(Instant::now());
        }
    }

    /// Answers and removes a write that was not committed.
    pub(in crate::store::postgres) fn failed(&self, origin: Origin, error: Error) {
        let job = self.entries.borrow_mut().remove(&origin).and_then(|entry| entry.job);
        if let Some(job) = job {
            job.answer(Some(error));
        }
    }

    /// Marks a write's outcome as unknown, answers its caller so, and releases its budget. Should
    /// its rows show up, they are announced like any other.
    pub(in crate::store::postgres) fn lost(&self, origin: Origin) {
        let job = self.entries.borrow_mut().get_mut(&origin).and_then(|entry| {
            entry.state = CommitState::Unknown(Instant::now());
            entry.permit = None;
            entry.job.take()
        });
        if let Some(job) = job {
            job.answer(Some(Error::Unavailable(UNCONFIRMED)));
        }
    }

    /// Takes the local steps of the next row of this write. Returns `None` if the write is another
    /// server's, or is not registered any more.
    pub(in crate::store::postgres) fn take(
        &self,
        origin: Origin,
        finished: &mut FinishedWrites,
    ) -> Option<LocalSteps> {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&origin)?;
        let local = entry.local.pop_front();
        if entry.local.is_empty()
            && let Some(entry) = entries.remove(&origin)
        {
            finished.jobs.extend(entry.job);
            finished.permits.extend(entry.permit);
        }
        local
    }

    /// Notes that the log was announced up to its end at `at`, and the outbox was empty.
    pub(in crate::store::postgres) fn announced(&self, at: Instant) {
        self.announced.set(Some(at));
    }

    /// Answers callers whose time is over, although the announcement of their committed write is
    /// still to come. Removes writes whose outcome stayed unknown for too long, and committed ones
    /// that a restored or failed-over database has lost.
    pub(in crate::store::postgres) fn sweep(&self) {
        let (now, announced) = (Instant::now(), self.announced.get());
        let (mut late, mut gone) = (Vec::new(), Vec::new());
        self.entries.borrow_mut().retain(|_, entry| match entry.state {
            CommitState::InFlight => true,
            CommitState::Committed(at) if announced.is_some_and(|announced| at < announced) => {
                gone.extend(entry.job.take());
                false
            }
            CommitState::Committed(_) => {
                if entry.until <= now {
                    late.extend(entry.job.take());
                }
                true
            }
            CommitState::Unknown(since) => now < since + DOUBT,
        });
        for job in late {
            job.answer(None);
        }
        for job in gone {
            job.answer(Some(Error::Unavailable(UNCONFIRMED)));
        }
    }

    /// Returns true if every write known to be committed has been announced.
    pub(in crate::store::postgres) fn is_settled(&self) -> bool {
        self.entries.borrow().values().all(|entry| matches!(entry.state, CommitState::Unknown(_)))
    }

    /// Answers every remaining caller: the writes are committed, although this server will not
    /// announce them.
    pub(in crate::store::postgres) fn close(&self) {
        for (_, entry) in self.entries.borrow_mut().drain() {
            if let Some(job) = entry.job {
                job.answer(None);
            }
        }
    }
}

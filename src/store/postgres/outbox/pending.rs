//! Writes of this server between their COMMIT and their place in the log: what to do local their
//! events, and who waits for an answer.
//!
//! A write is entered before its COMMIT is sent, so whoever finds its rows finds it here. It leaves
//! when the last of its rows has been announced, when it surely was not committed, or, where nobody
//! knows, a minute later.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::store::BudgetPermit;
use crate::store::fault::UNCONFIRMED;
use crate::store::job::WriteJob;
use crate::store::postgres::outbox::{LocalSteps, Origin};

/// How long a write whose COMMIT was not answered is waited for: as long as a database may take to
/// start again.
const DOUBT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(in crate::store::postgres) struct PendingWrites {
    entries: RefCell<HashMap<Origin, PendingWrite>>,
    /// All that had been committed then was announced since.
    announced: Cell<Option<Instant>>,
}

struct PendingWrite {
    /// For each of its rows that has not been announced.
    local: VecDeque<LocalSteps>,
    /// Until it is answered.
    job: Option<Box<dyn WriteJob>>,
    permit: Option<BudgetPermit>,
    state: CommitState,
    /// When its caller has waited enough.
    until: Instant,
}

enum CommitState {
    /// Its COMMIT is on the way.
    InFlight,
    Committed(Instant),
    /// Its COMMIT was sent, and the answer is lost.
    Unknown(Instant),
}

/// What writes leave here when their last row is announced.
#[derive(Default)]
pub(in crate::store::postgres) struct FinishedWrites {
    pub(in crate::store::postgres) jobs: Vec<Box<dyn WriteJob>>,
    pub(in crate::store::postgres) permits: Vec<BudgetPermit>,
}

impl PendingWrites {
    pub(in crate::store::postgres) fn enter(
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

    /// It is committed; whoever announces its last row answers.
    pub(in crate::store::postgres) fn committed(&self, origin: Origin) {
        // Not there: it was announced before its own connection had the news.
        if let Some(entry) = self.entries.borrow_mut().get_mut(&origin) {
            entry.state = CommitState::Committed(Instant::now());
        }
    }

    /// It surely was not committed.
    pub(in crate::store::postgres) fn failed(&self, origin: Origin, error: Error) {
        let job = self.entries.borrow_mut().remove(&origin).and_then(|entry| entry.job);
        if let Some(job) = job {
            job.answer(Some(error));
        }
    }

    /// Nobody knows. The caller is told so, and the budget has its share back; should its rows show
    /// up, they are announced as any other.
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

    /// A row of that write has its place: what to do local it. None: it is not a write of this
    /// server, or not of any that is still waited for.
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

    /// The log has been announced up to where it was at that time, and the outbox was empty.
    pub(in crate::store::postgres) fn announced(&self, at: Instant) {
        self.announced.set(Some(at));
    }

    /// Answers those who have waited enough for the announcement of what is committed: it will
    /// come, only not before their answer. Forgets what was in doubt for too long, and what a
    /// database that was restored or has failed over does not have any more.
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

    /// Whether all that is known to be committed has been announced.
    pub(in crate::store::postgres) fn is_settled(&self) -> bool {
        self.entries.borrow().values().all(|entry| matches!(entry.state, CommitState::Unknown(_)))
    }

    /// Answers who still waits: what is committed stands, although this server will not announce
    /// it.
    pub(in crate::store::postgres) fn close(&self) {
        for (_, entry) in self.entries.borrow_mut().drain() {
            if let Some(job) = entry.job {
                job.answer(None);
            }
        }
    }
}

//! Whether writes work, as `/readyz` says it: what the last probe or write has found, or that one
//! takes too long. Shared by the thread that writes, or probes, and by [`Db::ready`](super::Db).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hubcast_realtime::throttled;

/// How often the database is probed while nothing else shows that writes work.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// An attempt that takes longer than this is a problem. With [`PROBE_EVERY`] it is less than the
/// five seconds within which `/readyz` has to tell the truth.
pub(super) const LATE: Duration = Duration::from_millis(2_500);

const STALLED: &str = "Events cannot be added to the log";

#[derive(Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    /// What the last attempt has found.
    problem: Option<&'static str>,
    /// When the present attempt began, and what it means if it takes long.
    attempt: Option<(Instant, &'static str)>,
    /// Committed events could not be appended to the log recently.
    log_stalled: bool,
}

impl Health {
    /// The present problem, in words for `/readyz`.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let state = self.state();
        let late = state.attempt.filter(|(began, _)| began.elapsed() > LATE);
        late.map(|(_, meaning)| meaning)
            .or(state.problem)
            .or_else(|| state.log_stalled.then_some(STALLED))
    }

    /// Returns true if the last attempt has found a problem.
    pub(super) fn has_failed(&self) -> bool {
        self.state().problem.is_some()
    }

    /// An attempt to write begins, or comes to its next step. `if_late` is the problem if it takes
    /// too long.
    pub(super) fn begin(&self, if_late: &'static str) {
        self.state().attempt = Some((Instant::now(), if_late));
    }

    /// The attempt is over, and shows nothing new.
    pub(super) fn end(&self) {
        self.state().attempt = None;
    }

    /// The attempt is over, with this problem or with none.
    pub(super) fn report(&self, problem: Option<&'static str>) {
        let mut state = self.state();
        state.attempt = None;
        let before = std::mem::replace(&mut state.problem, problem);
        drop(state);
        match (before, problem) {
            (_, Some(problem)) if before != Some(problem) => {
                throttled!(warn, by = problem, problem, "the database takes no writes");
            }
            (Some(problem), None) => {
                throttled!(info, by = problem, problem, "the database takes writes again");
            }
            _ => {}
        }
    }

    pub(super) fn set_log_stalled(&self, stalled: bool) {
        self.state().log_stalled = stalled;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code in this module panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Turns: how many writes and long reads of one user are with the database at once. More of them
//! wait for their turn outside of its queues, so that one user's calls, of which each may wait for
//! the same row, do not hold every connection while others wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::UserId;

/// Writes of one user at once.
const WRITES: usize = 4;
/// Long reads of one user at once, such as pages of a list.
const READS: usize = 2;
/// The table of users is first searched for idle ones when it has so many.
const FIRST_SWEEP: usize = 1024;

/// The users that have calls now.
pub(super) struct Turns(Mutex<Table>);

struct Table {
    users: HashMap<UserId, Weak<UserTurns>>,
    sweep_at: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self(Mutex::new(Table { users: HashMap::new(), sweep_at: FIRST_SWEEP }))
    }
}

impl Turns {
    /// The turns of a user, which are the same ones as long as anyone has or waits for one.
    pub(super) fn of(&self, user: UserId) -> Arc<UserTurns> {
        // No code in this module panics while it holds the lock.
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = table.users.get(&user).and_then(Weak::upgrade) {
            return turns;
        }
        if table.users.len() >= table.sweep_at {
            table.users.retain(|_, turns| turns.strong_count() > 0);
            table.sweep_at = (2 * table.users.len()).max(FIRST_SWEEP);
        }
        let turns = Arc::new(UserTurns {
            writes: Arc::new(Semaphore::new(WRITES)),
            reads: Arc::new(Semaphore::new(READS)),
        });
        table.users.insert(user, Arc::downgrade(&turns));
        turns
    }
}

/// The turns of one user.
pub(super) struct UserTurns {
    writes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    /// Keeps the user in the table.
    _turns: Arc<UserTurns>,
}

impl UserTurns {
    /// Waits for a turn to write. Turns are given in the order in which callers came.
    pub(super) async fn write(self: Arc<Self>) -> Turn {
        // The semaphores are never closed.
        Turn { _permit: Arc::clone(&self.writes).acquire_owned().await.ok(), _turns: self }
    }

    /// Waits for a turn to read.
    pub(super) async fn read(self: Arc<Self>) -> Turn {
        Turn { _permit: Arc::clone(&self.reads).acquire_owned().await.ok(), _turns: self }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now(turn: impl Future<Output = Turn>) -> Option<Turn> {
        match pin!(turn).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_user_has_so_many_turns_at_once_and_takes_none_of_others() {
        let turns = Turns::default();
        let write = |user| now(turns.of(UserId(user)).write());
        let mut held: Vec<Turn> = (0..WRITES).map(|_| write(1).expect("a turn")).collect();
        assert!(write(1).is_none());
        assert!(write(2).is_some(), "another user's");
        assert!(now(turns.of(UserId(1)).read()).is_some(), "reads have their own");
        held.pop();
        assert!(write(1).is_some(), "one was given back");
    }

    #[test]
    fn users_without_calls_are_forgotten() {
        let turns = Turns::default();
        let held = now(turns.of(UserId(0)).read());
        for user in 1..10_000 {
            assert!(now(turns.of(UserId(user)).write()).is_some());
        }
        let table = turns.0.lock().expect("no panic");
        assert!(table.users.len() <= FIRST_SWEEP + 1);
        assert!(table.users.contains_key(&UserId(0)));
        drop(held);
    }
}

//! Turns at a few places: callers wait in a queue for each address, and the addresses take turns.
//! So one address that sends many costs others only the time of its one turn.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::Error;

/// The most callers of one address that wait: an office that signs in at nine o'clock.
const MOST_AN_ADDRESS: usize = 1_000;
/// The most callers that wait in all.
const MOST: usize = 10_000;

/// The queue of those who wait for a place.
pub(super) struct Turns(Mutex<State>);

struct State {
    free: usize,
    /// The waiting callers of each address that has some.
    queues: HashMap<IpAddr, VecDeque<oneshot::Sender<Place>>>,
    /// The addresses with a queue, in the order of their turns.
    order: VecDeque<IpAddr>,
    waiting: usize,
}

/// A place, which goes to the next caller on drop.
pub(super) struct Place(Option<Arc<Turns>>);

impl Turns {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: places,
            queues: HashMap::new(),
            order: VecDeque::new(),
            waiting: 0,
        })))
    }

    /// Waits for a place. A caller that gives up loses its turn only.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait.
    pub(super) async fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, Error> {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place(Some(Arc::clone(self))));
            }
            state.queue(from)?
        };
        // Dropped unanswered when another address needs the place in the queue.
        turn.await.map_err(|_| too_many())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in this module panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Error {
    Error::Unavailable("Too many sign-ins at once")
}

impl State {
    fn queue(&mut self, from: IpAddr) -> Result<oneshot::Receiver<Place>, Error> {
        let own = self.queues.get(&from).map_or(0, VecDeque::len);
        let own = if own < MOST_AN_ADDRESS { own } else { self.forget_those_who_left(from) };
        if own >= MOST_AN_ADDRESS || (self.waiting >= MOST && !self.shorten_another(own)) {
            return Err(too_many());
        }
        let (sender, turn) = oneshot::channel();
        let queue = self.queues.entry(from).or_default();
        if queue.is_empty() {
            self.order.push_back(from);
        }
        queue.push_back(sender);
        self.waiting += 1;
        Ok(turn)
    }

    /// Returns how many of the address still wait. The first is kept, also if it has left.
    fn forget_those_who_left(&mut self, from: IpAddr) -> usize {
        let Some(queue) = self.queues.get_mut(&from) else { return 0 };
        let before = queue.len();
        let mut index = 0;
        queue.retain(|caller| {
            index += 1;
            index == 1 || !caller.is_closed()
        });
        self.waiting -= before - queue.len();
        queue.len()
    }

    /// Sends away the last caller of the longest queue, if it is longer than one of `own` and one
    /// more callers.
    fn shorten_another(&mut self, own: usize) -> bool {
        let longest = self.queues.values_mut().max_by_key(|queue| queue.len());
        let Some(queue) = longest.filter(|queue| queue.len() > own + 1) else { return false };
        queue.pop_back();
        self.waiting -= 1;
        true
    }

    /// The first caller of the address whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let from = self.order.pop_front()?;
        let queue = self.queues.get_mut(&from)?;
        let caller = queue.pop_front()?;
        self.waiting -= 1;
        if queue.is_empty() {
            self.queues.remove(&from);
        } else {
            self.order.push_back(from);
        }
        Some(caller)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        let mut state = turns.lock();
        while let Some(caller) = state.next() {
            match caller.send(Self(Some(Arc::clone(&turns)))) {
                Ok(()) => return,
                // The caller has given up. The place is emptied, so that its drop does not lock.
                Err(mut place) => drop(place.0.take()),
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waiting = std::pin::Pin<Box<dyn Future<Output = Result<Place, Error>>>>;

    fn wait(turns: &Arc<Turns>, from: u8) -> Waiting {
        let turns = Arc::clone(turns);
        let mut waiting: Waiting =
            Box::pin(async move { turns.take(IpAddr::from([127, 0, 0, from])).await });
        assert!(poll(&mut waiting).is_pending());
        waiting
    }

    fn poll(waiting: &mut Waiting) -> Poll<Result<Place, Error>> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn only(turns: &Arc<Turns>) -> Place {
        let mut first: Waiting = {
            let turns = Arc::clone(turns);
            Box::pin(async move { turns.take(IpAddr::from([127, 0, 0, 9])).await })
        };
        match poll(&mut first) {
            Poll::Ready(Ok(place)) => place,
            _ => panic!("it is free"),
        }
    }

    /// The place of the caller whose turn has come.
    fn turn(waiting: &mut Waiting) -> Place {
        match poll(waiting) {
            Poll::Ready(Ok(place)) => place,
            _ => panic!("it is its turn"),
        }
    }

    #[test]
    fn addresses_take_turns_however_many_callers_one_has() {
        let turns = Turns::new(1);
        let place = only(&turns);
        let mut many: Vec<Waiting> = (0..500).map(|_| wait(&turns, 1)).collect();
        let mut one = wait(&turns, 2);
        drop(place);
        let place = turn(&mut many[0]);
        assert!(poll(&mut one).is_pending());
        drop(place);
        drop(turn(&mut one));
        drop(turn(&mut many[1]));
    }

    #[test]
    fn a_caller_that_gives_up_loses_its_turn_only() {
        let turns = Turns::new(1);
        let place = only(&turns);
        let (gone, mut next) = (wait(&turns, 1), wait(&turns, 1));
        drop(gone);
        drop(place);
        drop(turn(&mut next));
        drop(only(&turns));
        // Also one that gives up when its turn has just come.
        let place = only(&turns);
        let (late, mut next) = (wait(&turns, 1), wait(&turns, 1));
        drop(place);
        drop(late);
        drop(turn(&mut next));
    }

    #[test]
    fn the_queue_of_one_address_and_that_of_all_have_a_bound() {
        let turns = Turns::new(1);
        let _place = only(&turns);
        let from = |n: usize| u8::try_from(n).expect("an address");
        let mut many: Vec<Waiting> =
            (0..MOST).map(|n| wait(&turns, from(n / MOST_AN_ADDRESS))).collect();
        let refused = |address| {
            let turns = Arc::clone(&turns);
            let mut one: Waiting =
                Box::pin(async move { turns.take(IpAddr::from([127, 0, 0, address])).await });
            matches!(poll(&mut one), Poll::Ready(Err(Error::Unavailable(_))))
        };
        assert!(refused(0), "the queue of its address is full");
        let _one = wait(&turns, 200);
        let sent_away = many.iter_mut().map(poll).filter(Poll::is_ready).count();
        assert_eq!(sent_away, 1, "the last of a long queue makes room");
        many.truncate(MOST_AN_ADDRESS / 2);
        assert!(!refused(0), "those who gave up count no more");
    }
}

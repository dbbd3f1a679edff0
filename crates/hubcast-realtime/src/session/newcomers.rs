//! The polling sessions that have joined no namespace yet: nobody has shown a token, they occupy no
//! connection, and each keeps a part of its request. Their memory has a bound. Above it the oldest
//! ones of the address that has the most give way.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hubcast_realtime::throttled;

use crate::core::settings::{MAX_NEWCOMERS, NEWCOMER};

#[derive(Default)]
pub(crate) struct Newcomers(Mutex<All>);

struct Newcomer {
    id: Box<str>,
    address: IpAddr,
    bytes: usize,
}

#[derive(Default)]
struct All {
    bytes: usize,
    last: u64,
    /// In the order in which they came.
    list: BTreeMap<u64, Newcomer>,
    by_address: HashMap<IpAddr, usize>,
}

impl All {
    fn remove(&mut self, number: u64) -> Option<Box<str>> {
        let Newcomer { id, address, bytes } = self.list.remove(&number)?;
        self.bytes -= bytes;
        if let Some(own) = self.by_address.get_mut(&address) {
            *own -= bytes;
            if *own == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(id)
    }

    /// Removes the older half of those of the address that has the most. Returns their ids.
    fn shed(&mut self) -> Vec<Box<str>> {
        let most = self.by_address.iter().max_by_key(|(_, bytes)| **bytes);
        let Some((address, bytes)) = most.map(|(address, bytes)| (*address, *bytes)) else {
            return Vec::new();
        };
        let own = self.list.iter().filter(|(_, newcomer)| newcomer.address == address);
        let mut freed = 0;
        let oldest = own.take_while(|(_, newcomer)| {
            let goes = freed < bytes.div_ceil(2) && freed < MAX_NEWCOMERS / 16;
            freed += newcomer.bytes;
            goes
        });
        let oldest: Vec<_> = oldest.map(|(number, _)| *number).collect();
        throttled!(
            warn,
            by = address,
            %address,
            sessions = oldest.len(),
            "too many polling sessions join no namespace; the oldest ones of the address with the \
             most were ended"
        );
        oldest.into_iter().filter_map(|number| self.remove(number)).collect()
    }
}

impl Newcomers {
    /// Adds a session that keeps so many bytes of its request. Returns its number, and the ids of
    /// those that have to end for it.
    pub(super) fn enter(&self, id: &str, address: IpAddr, kept: usize) -> (u64, Vec<Box<str>>) {
        let mut all = self.all();
        let bytes = kept + NEWCOMER;
        all.bytes += bytes;
        *all.by_address.entry(address).or_default() += bytes;
        all.last += 1;
        let number = all.last;
        all.list.insert(number, Newcomer { id: id.into(), address, bytes });
        let shed = if all.bytes > MAX_NEWCOMERS { all.shed() } else { Vec::new() };
        (number, shed)
    }

    /// The session has joined a namespace or ended.
    pub(super) fn leave(&self, number: u64) {
        self.all().remove(number);
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // No code that holds the lock can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_that_have_not_joined_the_oldest_of_the_largest_address_go() {
        let [flood, honest] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let newcomers = Newcomers::default();
        let (first, _) = newcomers.enter("honest", honest, 1_000);
        let each = NEWCOMER + 30_000;
        let shed: Vec<_> = (0..10_000)
            .flat_map(|number| newcomers.enter(&number.to_string(), flood, 30_000).1)
            .collect();
        let ids: Vec<_> = (0..shed.len()).map(|number| Box::from(number.to_string())).collect();
        assert_eq!(shed, ids, "in the order in which they came, and only of that address");
        let all = newcomers.all();
        assert!(all.bytes <= MAX_NEWCOMERS && all.bytes > MAX_NEWCOMERS / 4 * 3);
        assert_eq!(all.bytes, (10_000 - shed.len()) * each + NEWCOMER + 1_000);
        let left: Vec<_> = all.list.keys().copied().collect();
        drop(all);
        assert_eq!(left[0], first);
        for number in left {
            newcomers.leave(number);
        }
        let all = newcomers.all();
        assert_eq!((all.bytes, all.by_address.len()), (0, 0));
    }

    #[test]
    fn ten_thousand_clients_of_an_address_come_back_at_once() {
        let newcomers = Newcomers::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let shed = (0..10_000).flat_map(|_| newcomers.enter("id", address, 4_000).1);
        assert_eq!(shed.count(), 0);
    }
}

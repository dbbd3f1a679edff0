//! The seats of a server: one for each open TCP connection, at most so many in all and of one
//! address, and which one is given up when a connection more arrives.
//!
//! A few further seats are *short*: a connection that finds all others taken may make one request
//! there, and becomes no socket. So a probe and an operator get in while everything is full.
//!
//! A connection whose seat is given up is woken, and ends itself.

mod bodies;
mod place;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use place::{GRACE, NOWHERE, Phase, Place};

use crate::core::address::rate_key;
use crate::core::settings::{ConnectionLimits, MAX_UNREAD};

/// The most seats that are looked at to find one to give up.
const SAMPLE: usize = 512;

#[derive(Debug, Default)]
struct Taken {
    kept: Vec<Arc<Place>>,
    short: Vec<Arc<Place>>,
    by_address: HashMap<IpAddr, usize>,
    /// Where the next search begins.
    cursor: usize,
}

impl Taken {
    fn list(&mut self, is_short: bool) -> &mut Vec<Arc<Place>> {
        if is_short { &mut self.short } else { &mut self.kept }
    }

    fn add(&mut self, place: &Arc<Place>) {
        let list = self.list(place.is_short);
        place.at.store(list.len(), Ordering::Relaxed);
        list.push(Arc::clone(place));
        if place.is_counted && !place.is_short {
            *self.by_address.entry(place.address).or_default() += 1;
        }
    }

    fn remove(&mut self, place: &Place) {
        let at = place.at.swap(NOWHERE, Ordering::Relaxed);
        let list = self.list(place.is_short);
        if at >= list.len() {
            return;
        }
        list.swap_remove(at);
        if let Some(moved) = list.get(at) {
            moved.at.store(at, Ordering::Relaxed);
        }
        if list.is_empty() {
            *list = Vec::new();
        }
        if place.is_counted && !place.is_short {
            self.count_out(place.address);
        }
    }

    fn count_out(&mut self, address: IpAddr) {
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    fn of(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    /// Finds the seat to give up for a connection from `address`: the one idle for longest, else
    /// one that has joined nothing, else a slow request. In all, slow requests only of addresses
    /// that have more seats than this one.
    fn victim(&mut self, address: IpAddr, is_of_address: bool, now: u64) -> Option<Arc<Place>> {
        let own = self.of(address);
        let (count, begin) = (self.kept.len(), self.cursor);
        self.cursor = begin.wrapping_add(SAMPLE) % count.max(1);
        let sampled = self.kept.iter().cycle().skip(begin.min(count)).take(SAMPLE.min(count));
        let ranked = sampled.filter_map(|place| {
            let is_own = place.is_counted && place.address == address;
            let rank = place.rank(now, GRACE)?;
            let has_more = !place.is_counted || self.of(place.address) > own;
            let may_go = if is_of_address { is_own } else { rank.0 <= 1 || has_more };
            may_go.then_some((rank, place))
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, place)| Arc::clone(place))
    }

    /// Finds the short seat to give up: one that has been answered, else the oldest one that waits
    /// for its client, the head of a request last.
    fn short_victim(&self, now: u64) -> Option<Arc<Place>> {
        let ranked = self.short.iter().filter_map(|place| {
            let (rank, since) = place.rank(now, 0)?;
            Some(((rank > 0, place.phase() == Phase::Head, since), place))
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, place)| Arc::clone(place))
    }

    /// Finds the seat with the most bytes of an answer that its client does not take.
    fn most_unread(&self) -> Option<Arc<Place>> {
        let all = self.kept.iter().chain(&self.short);
        let unread = all.map(|place| (place.unread.load(Ordering::Acquire), place));
        unread.max_by_key(|(unread, _)| *unread).map(|(_, place)| Arc::clone(place))
    }
}

/// The seats of one server.
#[derive(Debug)]
pub(crate) struct Seats {
    limits: ConnectionLimits,
    began: Instant,
    taken: Mutex<Taken>,
    /// The bytes of answers that their clients do not take.
    unread: AtomicUsize,
    /// The bytes of bodies of which the rest is awaited.
    bodies: AtomicUsize,
}

/// Why a connection gets no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Full {
    /// The server has no seat left.
    Server,
    /// The address has no seat left.
    Address,
}

impl Seats {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let (began, taken) = (Instant::now(), Mutex::default());
        let (unread, bodies) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { limits, began, taken, unread, bodies })
    }

    /// Takes a seat for a connection from `peer`. `is_proxy` means that it comes for many clients.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Result<Arc<Seat>, Full> {
        let (address, now) = (rate_key(peer), self.now());
        let mut taken = self.taken();
        let is_of_address = !is_proxy && taken.of(address) >= self.limits.per_address;
        let is_full = taken.kept.len() >= self.limits.total;
        let mut is_short = false;
        if is_of_address || is_full {
            match taken.victim(address, is_of_address, now) {
                Some(victim) => {
                    taken.remove(&victim);
                    victim.give_up();
                }
                None => is_short = true,
            }
        }
        if is_short && taken.short.len() >= self.limits.reserved {
            let fault = if is_of_address { Full::Address } else { Full::Server };
            let victim = taken.short_victim(now).ok_or(fault)?;
            taken.remove(&victim);
            victim.give_up();
        }
        let place = Arc::new(Place {
            address,
            is_counted: !is_proxy,
            is_short,
            at: AtomicUsize::new(NOWHERE),
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(now),
            unread: AtomicUsize::new(0),
            body: AtomicUsize::new(0),
            body_since: AtomicU64::new(now),
            is_given_up: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        taken.add(&place);
        drop(taken);
        Ok(Arc::new(Seat { place, seats: Arc::clone(self), client: OnceLock::new() }))
    }

    /// Returns how many connections may be accepted that are no WebSocket.
    pub(crate) fn accepted(&self) -> usize {
        let ConnectionLimits { total, reserved, crossing, .. } = self.limits;
        total.saturating_add(reserved).saturating_add(crossing)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // No code that holds the lock can panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seat of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    place: Arc<Place>,
    seats: Arc<Seats>,
    /// The client for which a proxy opened this WebSocket.
    client: OnceLock<IpAddr>,
}

impl Seat {
    pub(crate) fn is_short(&self) -> bool {
        self.place.is_short
    }

    /// Returns true if this short seat's request may be handled: half of the short seats are kept
    /// for probes and admins.
    pub(crate) fn may_run(&self) -> bool {
        let taken = self.seats.taken();
        let is_busy = |place: &&Arc<Place>| matches!(place.phase(), Phase::Running | Phase::Body);
        taken.short.iter().filter(is_busy).count() <= self.seats.limits.reserved.div_ceil(2)
    }

    /// A request has arrived.
    pub(crate) fn run(&self) {
        self.set(Phase::Running);
    }

    /// The body of the request is awaited.
    pub(crate) fn await_body(&self) {
        self.change(Phase::Running, Phase::Body);
    }

    /// The body of the request is there.
    pub(crate) fn end_body(&self) {
        self.change(Phase::Body, Phase::Running);
    }

    /// The request is answered.
    pub(crate) fn rest(&self) {
        self.set(Phase::Idle);
    }

    /// Bytes of a next request have arrived.
    pub(crate) fn hear(&self) {
        self.change(Phase::Idle, Phase::Head);
    }

    /// The client does not take this many bytes of the answer. If all have too many of such bytes,
    /// the seat with the most is given up.
    pub(crate) fn block(&self, unread: usize) {
        self.change(Phase::Idle, Phase::Blocked);
        let before = self.place.unread.swap(unread, Ordering::AcqRel);
        let all = &self.seats.unread;
        all.fetch_sub(before, Ordering::AcqRel);
        if all.fetch_add(unread, Ordering::AcqRel) + unread <= MAX_UNREAD {
            return;
        }
        let mut taken = self.seats.taken();
        if let Some(victim) = taken.most_unread() {
            taken.remove(&victim);
            victim.give_up();
        }
    }

    /// The client has taken the answer.
    pub(crate) fn unblock(&self) {
        self.change(Phase::Blocked, Phase::Idle);
        self.seats.unread.fetch_sub(self.place.unread.swap(0, Ordering::AcqRel), Ordering::AcqRel);
    }

    /// The connection becomes a WebSocket of this client, whose seats are counted if it came
    /// through a proxy.
    pub(crate) fn keep(&self, client: IpAddr) -> Result<(), Full> {
        if !self.place.is_counted {
            let address = rate_key(client);
            let mut taken = self.seats.taken();
            if taken.of(address) >= self.seats.limits.per_address {
                return Err(Full::Address);
            }
            if self.client.set(address).is_ok() {
                *taken.by_address.entry(address).or_default() += 1;
            }
        }
        self.set(Phase::Unjoined);
        Ok(())
    }

    /// The request is the poll of a client that has joined no namespace, and waits for an answer.
    pub(crate) fn wait_unjoined(&self) {
        self.change(Phase::Running, Phase::Unjoined);
    }

    /// The server begins or ends to decide whether the client may join a namespace. Returns false
    /// if the seat was given up before.
    pub(crate) fn decide(&self, is_joining: bool) -> bool {
        if is_joining {
            return self.leave_unjoined(Phase::Joining);
        }
        // The wait counts from its begin, however often the client tries.
        if self.place.phase() == Phase::Joining {
            self.place.phase.store(Phase::Unjoined as u8, Ordering::Release);
        }
        true
    }

    /// The client of the WebSocket has joined a namespace. Returns false if the seat was given up
    /// before.
    pub(crate) fn join(&self) -> bool {
        self.leave_unjoined(Phase::Socket)
    }

    /// No seat is found to be given up meanwhile.
    fn leave_unjoined(&self, to: Phase) -> bool {
        let _taken = self.seats.taken();
        if matches!(self.place.phase(), Phase::Unjoined | Phase::Joining) {
            self.place.phase.store(to as u8, Ordering::Release);
        }
        !self.place.is_given_up.load(Ordering::Acquire)
    }

    /// Returns how long the connection may still wait for a head, of which a part is there, or
    /// between two requests. Returns `None` while it waits for neither.
    pub(crate) fn patience(&self, head: Duration, keep_alive: Duration) -> Option<Duration> {
        let most = match self.place.phase() {
            Phase::Head => head,
            Phase::Idle => keep_alive,
            _ => return None,
        };
        let since = Duration::from_millis(self.place.since.load(Ordering::Acquire));
        Some((since + most).saturating_sub(Duration::from_millis(self.seats.now())))
    }

    /// Returns `Ready` if the connection has to end, because its seat was given up.
    pub(crate) fn poll_given_up(&self, cx: &Context<'_>) -> Poll<()> {
        if self.place.phase() == Phase::Socket {
            return Poll::Pending;
        }
        let is_given_up = || self.place.is_given_up.load(Ordering::Acquire);
        if !is_given_up() {
            let mut waker = self.place.waker();
            if waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        if is_given_up() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn set(&self, phase: Phase) {
        self.place.since.store(self.seats.now(), Ordering::Release);
        self.place.phase.store(phase as u8, Ordering::Release);
    }

    fn change(&self, from: Phase, to: Phase) {
        if self.place.phase() == from {
            self.set(to);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.unblock();
        self.drop_body();
        let mut taken = self.seats.taken();
        taken.remove(&self.place);
        if let Some(client) = self.client.get() {
            taken.count_out(*client);
        }
    }
}

#[cfg(test)]
mod tests;

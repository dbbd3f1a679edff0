//! Which connection gets a seat, and which one loses its own.

use std::net::Ipv4Addr;

use super::*;
use crate::core::settings::MAX_BODIES;

fn seats(total: usize, per_address: usize, reserved: usize) -> Arc<Seats> {
    Seats::new(ConnectionLimits { total, per_address, reserved, crossing: 0 })
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn is_given_up(seat: &Seat) -> bool {
    seat.place.is_given_up.load(Ordering::Acquire)
}

#[test]
fn the_connection_idle_for_longest_goes_first() {
    let seats = seats(3, 3, 1);
    let all: Vec<_> = (0..3).map(|last| seats.take(address(last), false).unwrap()).collect();
    all[0].run();
    for (seat, since) in [(&all[1], 2), (&all[2], 1)] {
        seat.rest();
        seat.place.since.store(since, Ordering::Release);
    }
    let newcomer = seats.take(address(9), false).unwrap();
    assert!(!newcomer.is_short());
    let gone: Vec<_> = all.iter().map(|seat| is_given_up(seat)).collect();
    assert_eq!(gone, [false, false, true]);
}

#[test]
fn when_all_work_a_newcomer_gets_a_short_seat_and_then_none() {
    let seats = seats(1, 1, 1);
    let first = seats.take(address(0), false).unwrap();
    first.run();
    let short = seats.take(address(1), false).unwrap();
    assert!(short.is_short());
    // One that waits for its client goes; one whose request runs stays.
    let other = seats.take(address(2), false).unwrap();
    assert!(is_given_up(&short) && other.is_short());
    other.run();
    assert_eq!(seats.take(address(3), false).unwrap_err(), Full::Server);
    drop(first);
    assert!(!seats.take(address(3), false).unwrap().is_short(), "its seat is free again");
}

#[test]
fn an_address_has_its_share_and_a_proxy_all() {
    let seats = seats(9, 2, 1);
    let own: Vec<_> = (0..2).map(|_| seats.take(address(0), false).unwrap()).collect();
    for seat in &own {
        seat.keep(address(0)).unwrap();
    }
    let third = seats.take(address(0), false).unwrap();
    assert!(third.is_short());
    third.run();
    assert_eq!(seats.take(address(0), false).unwrap_err(), Full::Address);
    assert!(!seats.take(address(1), false).unwrap().is_short());
    let proxied: Vec<_> = (0..3).map(|_| seats.take(address(0), true).unwrap()).collect();
    assert_eq!(proxied[0].keep(address(5)), Ok(()));
    assert_eq!(proxied[1].keep(address(5)), Ok(()));
    assert_eq!(proxied[2].keep(address(5)), Err(Full::Address));
    drop(proxied);
    assert_eq!(seats.taken().of(address(5)), 0);
}

#[test]
fn a_slow_request_gives_way_to_those_who_have_fewer() {
    let seats = seats(3, 3, 1);
    let slow: Vec<_> = (0..2).map(|_| seats.take(address(0), false).unwrap()).collect();
    let other = seats.take(address(1), false).unwrap();
    other.run();
    assert!(seats.take(address(2), false).unwrap().is_short(), "nobody is slow yet");
    let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let seats = Arc::new(Seats {
        began,
        limits: seats.limits,
        taken: Mutex::default(),
        unread: AtomicUsize::new(0),
        bodies: AtomicUsize::new(0),
    });
    drop((slow, other));
    let slow: Vec<_> = (0..2).map(|_| seats.take(address(0), false).unwrap()).collect();
    for seat in &slow {
        seat.place.since.store(0, Ordering::Release);
    }
    let other = seats.take(address(1), false).unwrap();
    other.run();
    assert!(!seats.take(address(2), false).unwrap().is_short());
    assert_eq!(slow.iter().filter(|seat| is_given_up(seat)).count(), 1);
}

#[test]
fn a_socket_that_joins_nothing_gives_way_and_others_stay() {
    let seats = seats(3, 3, 1);
    let all: Vec<_> = (0..3).map(|last| seats.take(address(last), false).unwrap()).collect();
    for seat in &all {
        seat.keep(address(0)).unwrap();
    }
    assert!(all[0].join() && all[1].decide(true));
    assert!(seats.take(address(9), false).unwrap().is_short(), "the grace is not over");
    drop(all);
    let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let seats = Arc::new(Seats {
        began,
        limits: seats.limits,
        taken: Mutex::default(),
        unread: AtomicUsize::new(0),
        bodies: AtomicUsize::new(0),
    });
    let all: Vec<_> = (0..3).map(|last| seats.take(address(last), false).unwrap()).collect();
    for seat in &all {
        seat.keep(address(0)).unwrap();
        seat.place.since.store(0, Ordering::Release);
    }
    assert!(all[0].join() && all[1].decide(true));
    let ninth = seats.take(address(9), false).unwrap();
    assert!(!ninth.is_short());
    let gone: Vec<_> = all.iter().map(|seat| is_given_up(seat)).collect();
    assert_eq!(gone, [false, false, true]);
    assert!(!all[2].join() && !all[2].decide(true), "it is too late");
    // A refused client waits as long as it has waited before.
    assert!(all[1].decide(false));
    assert!(!seats.take(address(8), false).unwrap().is_short());
    assert!(is_given_up(&all[1]) && !is_given_up(&all[0]));
}

#[test]
fn the_list_holds_no_seat_that_was_dropped() {
    let seats = seats(100, 100, 1);
    let mut all: Vec<_> = (0..50).map(|last| seats.take(address(last), false).unwrap()).collect();
    while all.len() > 1 {
        all.swap_remove(all.len() / 2);
        let taken = seats.taken();
        assert_eq!((taken.kept.len(), taken.by_address.len()), (all.len(), all.len()));
        for (at, place) in taken.kept.iter().enumerate() {
            assert_eq!(place.at.load(Ordering::Relaxed), at);
        }
    }
}

#[test]
fn of_too_many_unread_bytes_the_most_go_first() {
    let seats = seats(9, 9, 1);
    let all: Vec<_> = (0..3).map(|last| seats.take(address(last), false).unwrap()).collect();
    for (seat, part) in all.iter().zip([4, 2, 4]) {
        seat.rest();
        seat.block(MAX_UNREAD / part);
    }
    assert!(!all.iter().any(|seat| is_given_up(seat)));
    all[0].block(MAX_UNREAD / 4 + 1);
    let gone: Vec<_> = all.iter().map(|seat| is_given_up(seat)).collect();
    assert_eq!(gone, [false, true, false]);
    drop(all);
    assert_eq!(seats.unread.load(Ordering::Relaxed), 0);
}

#[test]
fn of_too_many_bytes_of_bodies_those_that_do_not_come_go_first() {
    let seats = seats(99, 99, 1);
    let took = |last: u8| seats.take(address(last), false).unwrap();
    let part = MAX_BODIES / 32;
    let at = |seat: &Seat, since| seat.place.body_since.store(since, Ordering::Release);
    // Alone at its address, and begun first; but it comes on.
    let steady = took(1);
    steady.hold_body(part / 2);
    at(&steady, 1);
    let left: Vec<_> = (0..31).map(|_| took(0)).collect();
    for (number, seat) in left.iter().enumerate() {
        seat.hold_body(part);
        at(seat, 1_000 - number as u64);
    }
    assert!(!left.iter().any(|seat| is_given_up(seat)));
    steady.hold_body(part / 2 + 1);
    assert!(!is_given_up(&steady));
    let gone: Vec<_> = left.iter().map(|seat| is_given_up(seat)).collect();
    assert_eq!(gone, [vec![false; 22], vec![true; 9]].concat(), "down to three quarters");
    // One that is whole counts no more; nor does one whose connection has ended.
    left[0].drop_body();
    drop((left, steady));
    assert_eq!(seats.bodies.load(Ordering::Relaxed), 0);
}

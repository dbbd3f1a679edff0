//! Positions of the log on PostgreSQL: at a start, and after the database was replaced.

use super::postgres_servers::{Probe, TwoServers, until, until_ready};
use super::*;
use crate::model::EventId;
use crate::store::history;

#[test]
fn events_of_a_dead_server_are_announced_after_the_start_of_the_next() {
    let Some(server) = postgres() else {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    let store = postgres_store(server);
    run(async {
        store.db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes")
    });
    store.db.close();
    // A server leaves this row if it dies between a commit and its announcement.
    let left = "INSERT INTO outbox (origin, namespace, name, payload, rooms, members) \
                VALUES (1, '/', 'said', '\"left\"', '{room}', '{}')";
    run(async { Probe::connect(&store).await.execute(left).await });
    let log = Arc::new(Recorder::default());
    let next = Db::open(&store.database().settings(), log.clone()).expect("opens");
    run(until(async || log.ids() == [2]));
    let (start, last) = log.start.get().expect("the log has begun");
    assert_eq!(
        (start.id.0, last.iter().map(|event| event.position).collect::<Vec<_>>()),
        (1, vec![Some(*start)])
    );
    next.close();
}

/// Returns true for each of these positions that is good.
async fn are_good<const N: usize>(db: &Db, positions: [LogPosition; N]) -> [bool; N] {
    let mut good = [false; N];
    for (position, good) in positions.into_iter().zip(&mut good) {
        let asked = db.read(async move |conn| history::is_good(conn, position).await);
        *good = asked.await.expect("reads");
    }
    good
}

async fn place_one(db: &Db) {
    db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
}

/// The positions of all published events.
fn positions(log: &Recorder) -> Vec<LogPosition> {
    log.events().iter().filter_map(|event| event.position).collect()
}

/// The database as it was when it had this many events and epochs, put back by its rows. Everything
/// that names the database stays as it was, as in a copy of the data directory.
async fn put_back(probe: &mut Probe, events: usize, epochs: usize) {
    let sql = format!(
        "BEGIN; DELETE FROM events WHERE id > {events}; \
         DELETE FROM event_rooms WHERE event_id > {events}; \
         UPDATE log_head SET last_id = {events}; \
         DELETE FROM epochs WHERE number NOT IN \
             (SELECT number FROM epochs ORDER BY number LIMIT {epochs}); COMMIT"
    );
    probe.execute(&sql).await;
}

#[test]
fn an_offset_from_a_future_that_was_put_back_while_the_server_was_stopped_is_refused() {
    let Some(server) = postgres() else {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    // The first program on the database that was put back: a server, or a command beside none.
    for opener in [Opener::Server, Opener::Command] {
        let store = postgres_store(server.clone());
        run(async {
            place_one(&store.db).await;
            place_one(&store.db).await;
        });
        store.db.close();
        // The copy is made here.
        let log = Arc::new(Recorder::default());
        let later = Db::open(&store.database().settings(), log.clone()).expect("opens");
        run(async {
            for _ in 0..3 {
                place_one(&later).await;
            }
        });
        later.close();
        run(async { put_back(&mut Probe::connect(&store).await, 2, 1).await });

        let settings = DatabaseSettings { opener, ..store.database().settings() };
        let next = Db::open(&settings, Arc::new(NullPublisher)).expect("opens");
        run(async {
            for _ in 0..5 {
                place_one(&next).await;
            }
            let [kept, known] = positions(&store.log).try_into().expect("two events");
            let [third, fourth, fifth] = positions(&log).try_into().expect("three events");
            // As the offsets would be if the later server had begun no epoch.
            let of_first = |id| LogPosition { id: EventId(id), ..known };
            assert_eq!(
                are_good(&next, [kept, known, third, fourth, fifth]).await,
                [true, true, false, false, false],
                "{opener:?}"
            );
            assert_eq!(are_good(&next, [of_first(3), of_first(5)]).await, [false, false]);
        });
        next.close();
    }
}

#[test]
fn a_server_that_reconnects_refuses_what_another_one_has_sent_and_the_database_has_lost() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let (db, log) = (&servers.store.db, &servers.store.log);
        place_one(db).await;
        place_one(db).await;
        servers.settle().await;
        let mut probe = Probe::connect(&servers.store).await;
        let sent = *positions(log).last().expect("an event");
        // The other server, which is gone now, had sent two events more.
        servers.other.close();
        let lost = [3, 4].map(|id| LogPosition { id: EventId(id), ..sent });
        probe.kill_all().await;
        until_ready(db).await;
        for _ in 0..3 {
            place_one(db).await;
        }
        assert_eq!(are_good(db, lost).await, [false, false]);
        let all: [LogPosition; 5] = positions(log).try_into().expect("five events");
        assert_eq!(all.map(|position| position.id.0), [1, 2, 3, 4, 5]);
        assert_eq!(are_good(db, all).await, [true; 5], "nothing else is refused");
    });
}

#[test]
fn servers_on_one_database_refuse_no_client_of_each_other() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let (db, log) = (&servers.store.db, &servers.store.log);
        for _ in 0..3 {
            place_one(db).await;
            place_one(&servers.other).await;
            Probe::connect(&servers.store).await.kill_one().await;
            until_ready(db).await;
            until_ready(&servers.other).await;
        }
        servers.settle().await;
        assert_eq!(positions(log), positions(&servers.other_log));
        let all: [LogPosition; 6] = positions(log).try_into().expect("six events");
        let starts = [log.start(), servers.other_log.start()];
        assert_eq!(are_good(db, all).await, [true; 6]);
        assert_eq!(are_good(&servers.other, starts).await, [true; 2]);
    });
}

#[test]
fn a_log_whose_table_was_made_again_begins_an_epoch_also_without_a_broken_connection() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let (db, log) = (&servers.store.db, &servers.store.log);
        place_one(db).await;
        servers.settle().await;
        let restored = "BEGIN; ALTER TABLE events RENAME TO gone; \
                        CREATE TABLE events (LIKE gone INCLUDING ALL); \
                        INSERT INTO events SELECT * FROM gone; DROP TABLE gone; COMMIT";
        Probe::connect(&servers.store).await.execute(restored).await;
        place_one(db).await;
        servers.settle().await;
        let [first, second] = positions(log).try_into().expect("two events");
        assert_ne!(first.epoch, second.epoch);
        assert_eq!(positions(&servers.other_log), [first, second]);
        let lost = LogPosition { id: second.id, ..first };
        assert_eq!(are_good(db, [first, second, lost]).await, [true, true, false]);
    });
}

#[test]
fn a_log_without_its_tail_begins_an_epoch_and_announces_new_events() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let (db, log) = (&servers.store.db, &servers.store.log);
        for minor in 0..5 {
            db.write(Once::Unkeyed, async move |tx| place(tx, minor).await).await.expect("writes");
        }
        servers.settle().await;
        let mut probe = Probe::connect(&servers.store).await;
        let lose_tail = "BEGIN; DELETE FROM events WHERE id > 3; \
                         DELETE FROM event_rooms WHERE event_id > 3; \
                         UPDATE log_head SET last_id = 3; COMMIT";
        probe.execute(lose_tail).await;
        db.write(Once::Unkeyed, async |tx| place(tx, 9).await).await.expect("writes");
        until(async || servers.other_log.ids().len() == 6).await;
        assert_eq!(
            (log.ids(), servers.other_log.ids()),
            (vec![1, 2, 3, 4, 5, 4], vec![1, 2, 3, 4, 5, 4])
        );
        let last = |log: &Recorder| {
            log.events().last().and_then(|event| event.position).expect("has a place").epoch
        };
        assert_ne!(last(log), log.start().epoch);
        assert_eq!(last(log), last(&servers.other_log));
    });
}

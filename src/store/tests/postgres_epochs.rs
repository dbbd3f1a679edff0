//! Positions of the log on PostgreSQL: at a start, and after the database was replaced.

use super::postgres_servers::{Probe, TwoServers, until, until_ready};
use super::*;

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

#[test]
fn only_another_database_begins_an_epoch() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let (db, log) = (&servers.store.db, &servers.store.log);
        let mut probe = Probe::connect(&servers.store).await;
        let epochs = "SELECT epoch || ' ' || first_id AS n FROM epochs ORDER BY number";
        let [first] =
            probe.words(epochs).await.try_into().expect("two servers have begun one epoch");
        assert_eq!(first, format!("{} 1", log.start().epoch.0));
        db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");

        // The same database, another connection.
        probe.kill_all().await;
        until_ready(db).await;
        db.write(Once::Unkeyed, async |tx| place(tx, 2).await).await.expect("writes");
        assert_eq!(probe.words(epochs).await.len(), 1);

        // Makes the database look as if it had been restored elsewhere.
        probe.execute("UPDATE epochs SET identity = 'another'").await;
        probe.kill_all().await;
        until_ready(db).await;
        until(async || probe.words(epochs).await.len() == 2).await;
        db.write(Once::Unkeyed, async |tx| place(tx, 3).await).await.expect("writes");
        let positions: Vec<_> = log.events().iter().filter_map(|event| event.position).collect();
        assert_eq!(positions.iter().map(|position| position.id.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(positions[0].epoch, positions[1].epoch); // there are three
        assert_ne!(positions[1].epoch, positions[2].epoch); // there are three
        assert_eq!(probe.words(epochs).await[1], format!("{} 3", positions[2].epoch.0));
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

//! Several servers on one PostgreSQL, and the log when a server or its connections die. Skipped
//! without HUBCAST_TEST_POSTGRES.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use diesel::sql_query;

use super::conversations::{add_users, history, start_conversation, try_send};
use super::postgres_servers::{Number, Probe, TwoServers, until, until_ready};
use super::*;
use crate::model::{ConversationId, Message};
use crate::store::{Conn, conversations};

/// The messages that a server has announced.
fn announced_messages(log: &Recorder) -> Vec<Message> {
    let events = log.events();
    events
        .iter()
        .filter(|event| event.name == "message:new")
        .map(|event| serde_json::from_str(&event.data).expect("a message"))
        .collect()
}

#[test]
fn two_servers_announce_one_log_in_order_while_connections_are_killed() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let [ann, ben] = add_users(&servers.store.db, ["ann@x.test", "ben@x.test"]).await;
        let conversation = start_conversation(&servers.store.db, None, vec![ann, ben]).await;
        let mut probe = Probe::connect(&servers.store).await;
        let over = Arc::new(AtomicBool::new(false));
        let killer = tokio::spawn({
            let (over, mut probe) = (Arc::clone(&over), Probe::connect(&servers.store).await);
            async move {
                while !over.load(Ordering::Relaxed) {
                    probe.kill_one().await;
                    tokio::time::sleep(Duration::from_millis(rand::random_range(0..250))).await;
                }
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let db =
                    if writer % 2 == 0 { servers.store.db.clone() } else { servers.other.clone() };
                tokio::spawn(async move {
                    let mut sent = Vec::new();
                    for n in 0..EACH {
                        let content = format!("{writer}-{n}");
                        match try_send(&db, conversation, ann, content.clone(), None).await {
                            Ok(message) => sent.push(message.content),
                            Err(Error::Unavailable(_)) => {}
                            Err(other) => panic!("{other:?} is neither an answer nor a 503"),
                        }
                    }
                    sent
                })
            })
            .collect();
        let mut sent = BTreeSet::new();
        for writer in writers {
            sent.extend(writer.await.expect("joins"));
        }
        over.store(true, Ordering::Relaxed);
        killer.await.expect("joins");
        until_ready(&servers.store.db).await;
        // The last writes with an unknown outcome may still be in the outbox.
        until(async || {
            probe.number("SELECT count(*) AS n FROM outbox WHERE name IS NOT NULL").await == 0
        })
        .await;
        servers.settle().await;

        let all: Vec<i64> = (1..=probe.number("SELECT last_id AS n FROM log_head").await).collect();
        assert_eq!((servers.store.log.ids(), servers.other_log.ids()), (all.clone(), all));
        let stored = history(&servers.store.db, conversation).await;
        assert_eq!(
            announced_messages(&servers.store.log),
            stored,
            "each once, in the order of seq"
        );
        assert_eq!(announced_messages(&servers.other_log), stored);
        let contents: BTreeSet<String> =
            stored.iter().map(|message| message.content.clone()).collect();
        assert_eq!(contents.len(), stored.len());
        assert!(
            contents.is_superset(&sent),
            "answered but not stored: {:?}",
            sent.difference(&contents)
        );
        println!("{} answered, {} stored, of {}", sent.len(), stored.len(), WRITERS * EACH);
    });
}

#[test]
fn an_event_for_a_namespace_reaches_it_on_every_server() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let emit = async |tx: &mut Tx| {
            tx.emit(event::product_updated(event::ProductAction::Deleted(
                crate::model::ProductId(3),
            )));
            Ok(())
        };
        servers.store.db.write(Once::Unkeyed, emit).await.expect("writes");
        servers.settle().await;
        for log in [&servers.store.log, &servers.other_log] {
            let rooms: Vec<Vec<String>> =
                log.events().into_iter().map(|event| event.rooms).collect();
            assert_eq!(rooms, [Vec::<String>::new()]);
        }
    });
}

#[test]
fn local_steps_keep_their_position_among_the_events_of_others() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let [ann] = add_users(&servers.store.db, ["ann@x.test"]).await;
        let conversation = start_conversation(&servers.store.db, None, vec![ann]).await;
        let mark = |log: &Arc<Recorder>, seq: i64| {
            let log = Arc::clone(log);
            move || {
                let event = CommittedEvent {
                    position: None,
                    namespace: "/".into(),
                    name: "mark".into(),
                    rooms: vec![],
                    except: vec![],
                    data: seq.to_string(),
                };
                log.batches.lock().expect("no test panics in here").push(vec![event]);
            }
        };
        // Both writes increment the same counter, so that each waits for the other's commit: one
        // emits an event, the other has a local step.
        let run_local_steps = async |db: Db, log: Arc<Recorder>| {
            for _ in 0..60 {
                let log = Arc::clone(&log);
                let write = async move |tx: &mut Tx| {
                    let Conn::Postgres(conn) = tx.conn() else { unreachable!("there are two") };
                    let bump = format!(
                        "UPDATE conversations SET last_seq = last_seq + 1 \
                         WHERE id = {conversation} RETURNING last_seq AS n"
                    );
                    let Number { n: seq } =
                        diesel_async::RunQueryDsl::get_result(sql_query(bump), conn).await?;
                    tx.after_commit(mark(&log, seq));
                    Ok(())
                };
                db.write(Once::Unkeyed, write).await.expect("writes");
            }
        };
        let send_all = async |db: Db| {
            for n in 0..60 {
                try_send(&db, conversation, ann, n.to_string(), None).await.expect("writes");
            }
        };
        let (db, other) = (&servers.store.db, &servers.other);
        tokio::join!(
            run_local_steps(db.clone(), Arc::clone(&servers.store.log)),
            run_local_steps(other.clone(), Arc::clone(&servers.other_log)),
            send_all(db.clone()),
            send_all(other.clone())
        );
        servers.settle().await;
        for log in [&servers.store.log, &servers.other_log] {
            let seq = |event: &CommittedEvent| match &*event.name {
                "mark" => event.data.parse().ok(),
                "message:new" => {
                    serde_json::from_str(&event.data).ok().map(|message: Message| message.seq)
                }
                _ => None,
            };
            let seen: Vec<i64> = log.events().iter().filter_map(seq).collect();
            assert_eq!(seen.len(), 180);
            assert!(seen.is_sorted(), "{seen:?}");
        }
    });
}

/// An event in the outbox that no server here has written.
const STRAY: &str = "INSERT INTO outbox \
                         (origin, namespace, name, payload, rooms, members, except_json) \
                     VALUES (4711, '/', 'stray', '{}', '{admin,members:7}', '{3,5}', \
                         '[\"conversation:7\"]')";

#[test]
fn events_of_a_dead_server_are_announced_by_the_others() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let mut probe = Probe::connect(&servers.store).await;
        probe
            .execute("INSERT INTO outbox (origin, rooms, members) VALUES (4711, '{}', '{}')")
            .await;
        probe.execute(STRAY).await;
        until(async || !servers.store.log.ids().is_empty() && !servers.other_log.ids().is_empty())
            .await;
        for log in [&servers.store.log, &servers.other_log] {
            let [event] = log.events().try_into().expect("one event");
            assert_eq!((&*event.namespace, &*event.name, &*event.data), ("/", "stray", "{}"));
            assert_eq!(event.except, ["conversation:7"]);
            // One of the servers moved it, and the other read it from the log.
            let mut rooms = event.rooms;
            rooms.sort();
            assert_eq!(rooms, ["admin", "user:3", "user:5"]);
        }
    });
}

#[test]
fn members_of_a_conversation_are_those_of_the_commit_when_the_log_is_read() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let [ann, ben] = add_users(&servers.store.db, ["ann@x.test", "ben@x.test"]).await;
        let conversation = start_conversation(&servers.store.db, None, vec![ann, ben]).await;
        try_send(&servers.store.db, conversation, ann, "hello".into(), None).await.expect("writes");
        servers.settle().await;
        let received = |log: &Recorder| {
            let mut rooms = log
                .events()
                .into_iter()
                .find(|event| event.name == "messageReceived")
                .expect("is there")
                .rooms;
            rooms.sort();
            rooms
        };
        assert_eq!(received(&servers.store.log), [format!("user:{ann}"), format!("user:{ben}")]);
        assert_eq!(received(&servers.other_log), received(&servers.store.log));
    });
}

#[test]
fn a_write_is_rolled_back_if_its_events_cannot_be_inserted() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let db = &servers.store.db;
        let mut probe = Probe::connect(&servers.store).await;
        probe
            .execute("ALTER TABLE outbox ADD CONSTRAINT refused CHECK (name <> 'new_order')")
            .await;
        for _ in 0..20 {
            let refused = db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await;
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        }
        probe.execute("ALTER TABLE outbox DROP CONSTRAINT refused").await;
        db.write(Once::Unkeyed, async |tx| place(tx, 2).await).await.expect("writes");
        assert_eq!(all_orders(db).await, [2]);
        assert_eq!(servers.store.log.ids(), [1]);
    });
}

#[test]
fn a_deadlock_is_reported_as_temporary() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let db = &servers.store.db;
        let [ann] = add_users(db, ["ann@x.test"]).await;
        let (one, other) = (
            start_conversation(db, None, vec![ann]).await,
            start_conversation(db, None, vec![ann]).await,
        );
        let both = Arc::new(tokio::sync::Barrier::new(2));
        let touch = |first: ConversationId, second: ConversationId| {
            let (db, both) = (db.clone(), Arc::clone(&both));
            tokio::spawn(async move {
                db.write(Once::Unkeyed, async move |tx| {
                    conversations::touch(tx, first).await?;
                    both.wait().await;
                    conversations::touch(tx, second).await?;
                    Ok(())
                })
                .await
            })
        };
        let (left, right) = (touch(one, other), touch(other, one));
        let outcomes = [left.await.expect("joins"), right.await.expect("joins")];
        assert!(outcomes.contains(&Ok(())), "{outcomes:?}");
        assert!(
            outcomes.iter().any(|outcome| matches!(outcome, Err(Error::Unavailable(_)))),
            "{outcomes:?}"
        );
    });
}

#[test]
fn servers_that_start_at_once_migrate_once() {
    let Some(server) = postgres() else {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    let database = PostgresDatabase::create(server);
    let starting: Vec<_> = (0..6)
        .map(|_| {
            let settings = database.settings();
            std::thread::spawn(move || Db::open(&settings, Arc::new(NullPublisher)).expect("opens"))
        })
        .collect();
    for one in starting {
        one.join().expect("joins").close();
    }
}

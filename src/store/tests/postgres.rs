//! Several servers on one PostgreSQL, and what becomes of the log when they or their connections
//! die. Without HUBCAST_TEST_POSTGRES they pass without a look.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};

use super::chat::{add_users, history, start_conversation, try_send};
use super::*;
use crate::model::{ConversationId, Message};
use crate::store::{Conn, conversations};

/// A store on PostgreSQL, and a second server on the same database.
pub(super) struct TwoServers {
    pub(super) store: TestStore,
    other: Db,
    pub(super) other_log: Arc<Recorder>,
}

impl TwoServers {
    pub(super) fn open() -> Option<Self> {
        let Some(server) = postgres() else {
            println!("left out: HUBCAST_TEST_POSTGRES is not set");
            return None;
        };
        let store = postgres_store(server);
        let other_log = Arc::new(Recorder::default());
        let other = Db::open(&store.database().settings(), other_log.clone()).expect("opens");
        Some(Self { store, other, other_log })
    }

    /// Waits until both have announced everything.
    pub(super) async fn settle(&self) {
        let head =
            Probe::connect(&self.store).await.number("SELECT last_id AS n FROM log_head").await;
        for log in [&self.store.log, &self.other_log] {
            until(async || log.ids().last().copied().unwrap_or_default() == head).await;
        }
    }
}

impl Drop for TwoServers {
    fn drop(&mut self) {
        self.other.close();
    }
}

impl TestStore {
    pub(super) fn database(&self) -> &PostgresDatabase {
        self.postgres.as_ref().expect("it is one on PostgreSQL")
    }
}

/// A connection beside the servers.
pub(super) struct Probe(AsyncPgConnection);

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    n: String,
}

impl Probe {
    pub(super) async fn connect(store: &TestStore) -> Self {
        Self(AsyncPgConnection::establish(&store.database().url()).await.expect("connects"))
    }

    pub(super) async fn execute(&mut self, sql: &str) {
        self.0.batch_execute(sql).await.expect("runs");
    }

    pub(super) async fn number(&mut self, sql: &str) -> i64 {
        diesel_async::RunQueryDsl::get_result::<Number>(sql_query(sql), &mut self.0)
            .await
            .expect("answers")
            .n
    }

    pub(super) async fn words(&mut self, sql: &str) -> Vec<String> {
        let rows: Vec<Word> = diesel_async::RunQueryDsl::get_results(sql_query(sql), &mut self.0)
            .await
            .expect("answers");
        rows.into_iter().map(|row| row.n).collect()
    }

    /// Ends one of the servers' connections.
    async fn kill_one(&mut self) {
        let victim = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                      AND application_name = 'hubcast' ORDER BY random() LIMIT 1";
        self.execute(&format!("SELECT pg_terminate_backend(pid) FROM ({victim}) AS one")).await;
    }

    pub(super) async fn kill_all(&mut self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }
}

/// How long anything may take until it is as it should be.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to be so");
}

pub(super) async fn until_ready(db: &Db) {
    until(async || db.ready().await.is_ok()).await;
}

fn spoken(log: &Recorder) -> Vec<Message> {
    let events = log.events();
    events
        .iter()
        .filter(|event| event.name == "message:new")
        .map(|event| serde_json::from_str(&event.data).expect("a message"))
        .collect()
}

#[test]
fn two_servers_announce_one_log_in_one_order_whatever_connections_are_killed() {
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
                    let mut said = Vec::new();
                    for n in 0..EACH {
                        let content = format!("{writer}-{n}");
                        match try_send(&db, conversation, ann, content.clone(), None).await {
                            Ok(message) => said.push(message.content),
                            Err(Error::Unavailable(_)) => {}
                            Err(other) => panic!("{other:?} is neither an answer nor a 503"),
                        }
                    }
                    said
                })
            })
            .collect();
        let mut said = BTreeSet::new();
        for writer in writers {
            said.extend(writer.await.expect("joins"));
        }
        over.store(true, Ordering::Relaxed);
        killer.await.expect("joins");
        until_ready(&servers.store.db).await;
        // The last of what was in doubt may still be in the outbox.
        until(async || {
            probe.number("SELECT count(*) AS n FROM outbox WHERE name IS NOT NULL").await == 0
        })
        .await;
        servers.settle().await;

        let all: Vec<i64> = (1..=probe.number("SELECT last_id AS n FROM log_head").await).collect();
        assert_eq!((servers.store.log.ids(), servers.other_log.ids()), (all.clone(), all));
        let stored = history(&servers.store.db, conversation).await;
        assert_eq!(spoken(&servers.store.log), stored, "each once, and in the order of seq");
        assert_eq!(spoken(&servers.other_log), stored);
        let contents: BTreeSet<String> =
            stored.iter().map(|message| message.content.clone()).collect();
        assert_eq!(contents.len(), stored.len());
        assert!(
            contents.is_superset(&said),
            "answered and not there: {:?}",
            said.difference(&contents)
        );
        println!("{} answered, {} stored, of {}", said.len(), stored.len(), WRITERS * EACH);
    });
}

#[test]
fn what_is_for_a_whole_namespace_is_so_on_every_server() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let emit = async |tx: &mut Tx| {
            tx.emit(event::product_updated(event::ProductAction::Deleted(
                crate::model::ProductId(3),
            )));
            Ok(())
        };
        servers.store.db.write(Once::No, emit).await.expect("writes");
        servers.settle().await;
        for log in [&servers.store.log, &servers.other_log] {
            let rooms: Vec<Vec<String>> =
                log.events().into_iter().map(|event| event.rooms).collect();
            assert_eq!(rooms, [Vec::<String>::new()]);
        }
    });
}

#[test]
fn what_a_server_does_of_its_own_keeps_its_place_among_the_events_of_others() {
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
        // Both bump the same counter, so that each waits for the other's commit: one with an event,
        // the other with something of its own.
        let own = async |db: Db, log: Arc<Recorder>| {
            for _ in 0..60 {
                let log = Arc::clone(&log);
                let write = async move |tx: &mut Tx| {
                    let Conn::Postgres(conn) = tx.conn() else { unreachable!("there are two") };
                    let bump = format!(
                        "UPDATE conversations SET last_seq = last_seq + 1 WHERE id = {conversation} RETURNING last_seq AS n"
                    );
                    let Number { n: seq } =
                        diesel_async::RunQueryDsl::get_result(sql_query(bump), conn).await?;
                    tx.after_commit(mark(&log, seq));
                    Ok(())
                };
                db.write(Once::No, write).await.expect("writes");
            }
        };
        let speak = async |db: Db| {
            for n in 0..60 {
                try_send(&db, conversation, ann, n.to_string(), None).await.expect("writes");
            }
        };
        let (db, other) = (&servers.store.db, &servers.other);
        tokio::join!(
            own(db.clone(), Arc::clone(&servers.store.log)),
            own(other.clone(), Arc::clone(&servers.other_log)),
            speak(db.clone()),
            speak(other.clone())
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

const STRAY: &str = "INSERT INTO outbox (origin, namespace, name, payload, rooms, members, except_json) \
                     VALUES (4711, '/', 'stray', '{}', '{admin,members:7}', '{3,5}', '[\"conversation:7\"]')";

#[test]
fn what_a_server_has_committed_before_it_died_is_announced_by_the_others() {
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
            assert_eq!(event.rooms[0], "admin"); // whoever has read it from the log has asked who the members are: here there are none
        }
        let told: Vec<usize> =
            [&servers.store.log, &servers.other_log].map(|log| log.events()[0].rooms.len()).into();
        assert!(told.contains(&3), "{told:?}");
    });
}

#[test]
fn the_members_of_a_conversation_are_found_again_when_the_log_is_read() {
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
fn a_write_whose_events_find_no_place_is_rolled_back() {
    let Some(servers) = TwoServers::open() else { return };
    run(async {
        let db = &servers.store.db;
        let mut probe = Probe::connect(&servers.store).await;
        probe
            .execute("ALTER TABLE outbox ADD CONSTRAINT refused CHECK (name <> 'new_order')")
            .await;
        for _ in 0..20 {
            let refused = db.write(Once::No, async |tx| place(tx, 1).await).await;
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        }
        probe.execute("ALTER TABLE outbox DROP CONSTRAINT refused").await;
        db.write(Once::No, async |tx| place(tx, 2).await).await.expect("writes");
        assert_eq!(all_orders(db).await, [2]);
        assert_eq!(servers.store.log.ids(), [1]);
    });
}

#[test]
fn a_deadlock_is_told_as_something_that_passes() {
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
                db.write(Once::No, async move |tx| {
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
        println!("left out: HUBCAST_TEST_POSTGRES is not set");
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

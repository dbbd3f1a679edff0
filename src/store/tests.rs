//! The write path as its callers see it, on SQLite in a folder of each test's own.

use std::future::Future;
use std::sync::{Arc, Mutex, mpsc};

use tempfile::TempDir;

use crate::config::{DatabaseSettings, DatabaseUrl, Synchronous};
use crate::error::Error;
use crate::event;
use crate::model::{Money, Order, OrderStatus, Role, User, UserId};
use crate::store::orders::{self, NewOrder, Page};
use crate::store::users::{self, NewUser};
use crate::store::{Claim, Committed, Db, Once, OpenError, Publisher, Silent, StoredEvent, Ticket, Tx, is_missing_reference, is_taken};

/// Remembers what was published, batch by batch.
#[derive(Default)]
struct Recorder(Mutex<Vec<Vec<StoredEvent>>>);

impl Publisher for Recorder {
    fn admit<'a>(&'a self, _bytes: usize) -> std::pin::Pin<Box<dyn Future<Output = Ticket> + Send + 'a>> {
        Box::pin(std::future::ready(Box::new(()) as Ticket))
    }

    fn publish(&self, committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        self.0.lock().expect("no test panics in here").push(committed.into_events().0);
        routed();
    }
}

impl Recorder {
    fn events(&self) -> Vec<StoredEvent> {
        self.0.lock().expect("no test panics in here").concat()
    }

    fn ids(&self) -> Vec<i64> {
        self.events().iter().map(|event| event.id.0).collect()
    }
}

struct House {
    db: Db,
    log: Arc<Recorder>,
    folder: TempDir,
}

fn settings(folder: &TempDir) -> DatabaseSettings {
    let url = DatabaseUrl::Sqlite(folder.path().join("made/when/missing.db"));
    DatabaseSettings { url, synchronous: Synchronous::Normal, migrate: true, lock: true }
}

fn house() -> House {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = Arc::new(Recorder::default());
    let db = Db::open(&settings(&folder), log.clone()).expect("opens");
    House { db, log, folder }
}

impl Drop for House {
    fn drop(&mut self) {
        self.db.close();
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

/// Places an order for no one and announces it; the total tells orders apart.
async fn place(tx: &mut Tx, minor: i64) -> Result<Order, Error> {
    let order = orders::insert(tx, &NewOrder { customer_id: None, total: Money::from_minor(minor) }).await?;
    tx.emit(event::new_order(&order));
    Ok(order)
}

async fn all_orders(db: &Db) -> Vec<i64> {
    let page = Page { customer_id: None, before: None, limit: 1000 };
    let rows = db.read(async move |conn| orders::list(conn, &page).await).await.expect("reads");
    rows.into_iter().rev().map(|row| row.order.total.minor()).collect()
}

async fn add_user(db: &Db, email: &'static str) -> Result<User, Error> {
    db.write(Once::No, async move |tx| {
        let new = NewUser { email, name: "Some One", password_hash: "hash", role: Role::Customer };
        users::insert(tx, &new).await.map_err(|fault| if is_taken(&fault) { Error::Conflict("taken".into()) } else { fault.into() })
    })
    .await
}

fn key(name: &str, body: u8) -> Once {
    Once::Key(Claim { user: UserId(1), method: "POST".into(), path: "/orders".into(), key: name.into(), body_hash: [body; 32] })
}

/// Holds the writer inside a write until the sender is used or dropped, so that what is queued meanwhile becomes one batch with it.
fn hold(db: &Db) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (release, held) = mpsc::channel::<()>();
    let db = db.clone();
    let holder = tokio::spawn(async move {
        db.write(Once::No, async move |_tx| {
            let _ = held.recv();
            Ok(())
        })
        .await
    });
    (release, holder)
}

#[test]
fn what_is_written_is_read_back_and_announced_as_the_contract_says() {
    let House { db, log, .. } = &house();
    run(async {
        let order = db.write(Once::No, async |tx| place(tx, 1250).await).await.expect("writes");
        let read = db.read(async move |conn| orders::by_id(conn, order.id).await).await.expect("reads").expect("is there");
        assert_eq!(read.order, order);
        assert_eq!(read.customer, None);
        let [stored] = log.events().try_into().expect("one event");
        let new = event::new_order(&order);
        assert_eq!(
            (stored.id.0, &*stored.namespace, &*stored.name, stored.rooms, stored.data),
            (1, "/admin", "new_order", vec!["admin".to_owned()], new.data)
        );
    });
}

#[test]
fn a_crowd_is_committed_together_and_published_in_log_order() {
    let House { db, log, .. } = &house();
    run(async {
        let (release, holder) = hold(db);
        tokio::task::yield_now().await;
        let crowd: Vec<_> = (0..100)
            .map(|minor| {
                let db = db.clone();
                tokio::spawn(async move { db.write(Once::No, async move |tx| place(tx, minor).await).await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        holder.await.expect("joins").expect("writes");
        for write in crowd {
            write.await.expect("joins").expect("writes");
        }
        assert_eq!(log.ids(), (1..=100).collect::<Vec<_>>());
        assert_eq!(all_orders(db).await, (0..100).collect::<Vec<_>>());
        let batches = log.0.lock().expect("no test panics in here").len();
        assert!(batches < 100, "{batches} batches: nothing was joined");
    });
}

#[test]
fn a_write_that_fails_leaves_no_row_no_event_and_no_gap() {
    let House { db, log, .. } = &house();
    run(async {
        db.write(Once::No, async |tx| place(tx, 1).await).await.expect("writes");
        let failed = db
            .write(Once::No, async |tx| {
                place(tx, 2).await?;
                Err::<(), _>(Error::Forbidden)
            })
            .await;
        assert_eq!(failed, Err(Error::Forbidden));
        db.write(Once::No, async |tx| place(tx, 3).await).await.expect("writes");
        assert_eq!(log.ids(), [1, 2]);
        assert_eq!(all_orders(db).await, [1, 3]);
    });
}

#[test]
fn failures_and_panics_harm_no_neighbour_in_the_batch() {
    let House { db, log, .. } = &house();
    run(async {
        let (release, holder) = hold(db);
        tokio::task::yield_now().await;
        let crowd: Vec<_> = (0..30)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::No, async move |tx| {
                        place(tx, n).await?;
                        match n % 3 {
                            0 => Ok(()),
                            1 => Err(Error::Forbidden),
                            _ => panic!("expected by the test"),
                        }
                    })
                    .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        holder.await.expect("joins").expect("writes");
        for (n, write) in crowd.into_iter().enumerate() {
            let expected = [Ok(()), Err(Error::Forbidden), Err(Error::Internal)][n % 3].clone();
            assert_eq!(write.await.expect("joins"), expected);
        }
        assert_eq!(all_orders(db).await, (0..30).step_by(3).collect::<Vec<_>>());
        assert_eq!(log.ids(), (1..=10).collect::<Vec<_>>());
    });
}

#[test]
fn a_panic_in_a_read_leaves_the_readers_alive() {
    let House { db, .. } = &house();
    run(async {
        for _ in 0..4 {
            let failed: Result<(), Error> = db.read(async |_conn| panic!("expected by the test")).await;
            assert_eq!(failed, Err(Error::Internal));
        }
        assert_eq!(db.ready().await, Ok(()));
    });
}

#[test]
fn a_caller_that_goes_away_does_not_stop_its_write() {
    let House { db, log, .. } = &house();
    run(async {
        let (release, holder) = hold(db);
        tokio::task::yield_now().await;
        let abandoned = tokio::spawn({
            let db = db.clone();
            async move { db.write(Once::No, async |tx| place(tx, 7).await).await }
        });
        tokio::task::yield_now().await;
        abandoned.abort();
        assert!(abandoned.await.expect_err("was aborted").is_cancelled());
        drop(release);
        holder.await.expect("joins").expect("writes");
        // Behind the abandoned one in the queue.
        db.write(Once::No, async |_tx| Ok(())).await.expect("writes");
        assert_eq!(all_orders(db).await, [7]);
        assert_eq!(log.ids(), [1]);
    });
}

#[test]
fn the_same_key_gives_the_first_answer_and_another_body_is_refused() {
    let House { db, log, .. } = &house();
    run(async {
        let first = db.write(key("a", 1), async |tx| place(tx, 1).await).await.expect("writes");
        let again = db.write(key("a", 1), async |tx| place(tx, 1).await).await.expect("replays");
        assert_eq!(again, first);
        assert_eq!(db.write(key("a", 2), async |tx| place(tx, 2).await).await, Err(Error::KeyReused));
        db.write(key("b", 2), async |tx| place(tx, 3).await).await.expect("another key is another write");
        assert_eq!(all_orders(db).await, [1, 3]);
        assert_eq!(log.ids(), [1, 2]);
    });
}

#[test]
fn a_failed_write_does_not_use_its_key_up() {
    let House { db, .. } = &house();
    run(async {
        let failed: Result<Order, _> = db.write(key("a", 1), async |_tx| Err(Error::Forbidden)).await;
        assert_eq!(failed, Err(Error::Forbidden));
        db.write(key("a", 2), async |tx| place(tx, 1).await).await.expect("the key is free");
    });
}

#[test]
fn a_key_used_by_twenty_at_once_gives_one_row_and_one_event() {
    let House { db, log, .. } = &house();
    run(async {
        let crowd: Vec<_> = (0..20)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move { db.write(key("a", 1), async |tx| place(tx, 1).await).await })
            })
            .collect();
        let mut answers = Vec::new();
        for write in crowd {
            answers.push(write.await.expect("joins").expect("writes"));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1])); // windows of two have both
        assert_eq!(all_orders(db).await, [1]);
        assert_eq!(log.ids(), [1]);
    });
}

#[test]
fn keys_and_ids_go_on_after_a_restart() {
    let House { db, folder, .. } = &house();
    let first = run(db.write(key("a", 1), async |tx| place(tx, 1).await)).expect("writes");
    db.close();
    let log = Arc::new(Recorder::default());
    let db = Db::open(&settings(folder), log.clone()).expect("opens again");
    run(async {
        assert_eq!(db.write(key("a", 1), async |tx| place(tx, 1).await).await, Ok(first));
        db.write(Once::No, async |tx| place(tx, 2).await).await.expect("writes");
    });
    db.close();
    assert_eq!(log.ids(), [2]);
}

#[test]
fn a_second_server_is_refused_and_a_command_is_not() {
    let House { db, folder, .. } = &house();
    assert!(matches!(Db::open(&settings(folder), Arc::new(Silent)), Err(OpenError::Locked(_))));
    let beside = DatabaseSettings { lock: false, ..settings(folder) };
    let command = Db::open(&beside, Arc::new(Silent)).expect("opens beside the server");
    run(async {
        add_user(&command, "a@example.test").await.expect("the command writes");
        let found = db.read(async |conn| users::by_id(conn, UserId(1)).await).await.expect("the server reads");
        assert_eq!(found.map(|user| user.email), Some("a@example.test".to_owned()));
    });
    command.close();
    db.close();
    Db::open(&settings(folder), Arc::new(Silent)).expect("the lock is free again").close();
}

#[test]
fn ids_stay_gap_free_beside_another_process() {
    let House { db, log, folder } = &house();
    let beside = DatabaseSettings { lock: false, ..settings(folder) };
    let other_log = Arc::new(Recorder::default());
    let other = Db::open(&beside, other_log.clone()).expect("opens beside the server");
    run(async {
        for db in [db, &other, db, &other] {
            db.write(Once::No, async |tx| place(tx, 1).await).await.expect("writes");
        }
    });
    other.close();
    assert_eq!((log.ids(), other_log.ids()), (vec![1, 3], vec![2, 4]));
}

#[test]
fn a_schema_that_is_behind_is_refused_when_it_may_not_be_migrated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let no_migrate = DatabaseSettings { migrate: false, ..settings(&folder) };
    assert!(matches!(Db::open(&no_migrate, Arc::new(Silent)), Err(OpenError::SchemaBehind)));
    Db::open(&settings(&folder), Arc::new(Silent)).expect("migrates").close();
    Db::open(&no_migrate, Arc::new(Silent)).expect("is up to date").close();
}

#[test]
fn the_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let House { folder, .. } = &house();
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).expect("is there").permissions().mode() & 0o777;
    assert_eq!(
        [mode("made"), mode("made/when"), mode("made/when/missing.db"), mode("made/when/missing.db-wal")],
        [0o700, 0o700, 0o600, 0o600]
    );
}

#[test]
fn closing_finishes_what_is_queued_and_refuses_what_comes_later() {
    let House { db, log, .. } = &house();
    run(async {
        let (release, holder) = hold(db);
        tokio::task::yield_now().await;
        let queued: Vec<_> = (0..10)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move { db.write(Once::No, async move |tx| place(tx, n).await).await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        let closer = db.clone();
        tokio::task::spawn_blocking(move || closer.close()).await.expect("joins");
        holder.await.expect("joins").expect("writes");
        for write in queued {
            write.await.expect("joins").expect("what was queued is written");
        }
        assert_eq!(log.ids(), (1..=10).collect::<Vec<_>>());
        assert!(matches!(db.write(Once::No, async |_tx| Ok(())).await, Err(Error::Unavailable(_))));
        assert!(matches!(db.ready().await, Err(Error::Unavailable(_))));
    });
}

#[test]
fn an_e_mail_is_unique_without_regard_to_case() {
    let House { db, .. } = &house();
    run(async {
        let user = add_user(db, "Ann@Example.test").await.expect("adds");
        assert_eq!(add_user(db, "ann@example.TEST").await, Err(Error::Conflict("taken".into())));
        let found =
            db.read(async |conn| users::credentials_by_email(conn, "ANN@example.test").await).await.expect("reads").expect("is there");
        assert_eq!((found.user, found.password_hash.as_str()), (user.clone(), "hash"));
        let listed = db.read(async |conn| users::list(conn, None, 10).await).await.expect("reads");
        assert_eq!(listed, [user]);
    });
}

#[test]
fn orders_are_listed_newest_first_by_customer_and_by_page_each_with_its_customer() {
    let House { db, .. } = &house();
    run(async {
        let ann = add_user(db, "ann@example.test").await.expect("adds");
        for (customer_id, minor) in [(Some(ann.id), 1), (None, 2), (Some(ann.id), 3)] {
            let new = NewOrder { customer_id, total: Money::from_minor(minor) };
            db.write(Once::No, async move |tx| Ok(orders::insert(tx, &new).await?)).await.expect("writes");
        }
        let list = async |customer_id, before, limit| {
            let page = Page { customer_id, before, limit };
            let rows = db.read(async move |conn| orders::list(conn, &page).await).await.expect("reads");
            rows.into_iter().map(|row| (row.order.total.minor(), row.customer.map(|user| user.email))).collect::<Vec<_>>()
        };
        let ann_email = Some("ann@example.test".to_owned());
        assert_eq!(list(None, None, 10).await, [(3, ann_email.clone()), (2, None), (1, ann_email.clone())]);
        assert_eq!(list(Some(ann.id), None, 10).await, [(3, ann_email.clone()), (1, ann_email.clone())]);
        assert_eq!(list(None, Some(crate::model::OrderId(3)), 1).await, [(2, None)]);
    });
}

#[test]
fn an_order_for_a_customer_who_does_not_exist_is_a_missing_reference() {
    let House { db, .. } = &house();
    let missing = run(db.write(Once::No, async |tx| {
        let new = NewOrder { customer_id: Some(UserId(99)), total: Money::ZERO };
        Ok(orders::insert(tx, &new).await.is_err_and(|fault| is_missing_reference(&fault)))
    }));
    assert_eq!(missing, Ok(true));
}

#[test]
fn an_order_moves_on_only_from_where_the_caller_saw_it() {
    use OrderStatus::{Paid, Pending, Shipped};
    let House { db, .. } = &house();
    run(async {
        let order = db.write(Once::No, async |tx| place(tx, 1).await).await.expect("writes");
        let advance =
            async |from, to| db.write(Once::No, async move |tx| Ok(orders::advance(tx, order.id, from, to).await?)).await.expect("writes");
        assert_eq!(advance(Paid, Shipped).await, None);
        let paid = advance(Pending, Paid).await.expect("moves");
        assert_eq!((paid.status, paid.shipped_at), (Paid, None));
        let shipped = advance(Paid, Shipped).await.expect("moves");
        assert_eq!((shipped.status, shipped.shipped_at), (Shipped, Some(shipped.updated_at)));
        assert_eq!(advance(Paid, Shipped).await, None);
    });
}

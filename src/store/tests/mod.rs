//! The write path as its callers see it. Each test has its own database: SQLite in a folder, or
//! PostgreSQL if HUBCAST_TEST_POSTGRES is set to `postgres://user@host:port` of a server on which
//! databases can be created. Tests of SQLite's file or batches always use SQLite.

mod batched_writes;
mod batches;
mod conversations;
mod counts;
mod health;
mod keys;
mod members;
mod notifications;
mod opening;
mod order_holds;
mod postgres;
mod postgres_away;
mod postgres_epochs;
mod postgres_opening;
mod postgres_servers;
mod postgres_tls;
mod projects;
mod queries;
mod tokens;

pub(crate) use postgres_servers::until;

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use diesel::connection::{Connection, SimpleConnection};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use tempfile::TempDir;

use crate::config::{DatabaseSettings, DatabaseUrl, Opener, Synchronous};
use crate::error::Error;
use crate::event;
use crate::model::{LogPosition, Money, Order, OrderStatus, Role, User, UserId};
use crate::store::orders::{self, NewOrder, OrderPage};
use crate::store::users::{self, NewUser};
use crate::store::{
    BudgetPermit, Claim, Committed, CommittedEvent, Db, NullPublisher, Once, OpenError, Publisher,
    Tx, is_missing_reference, is_taken,
};

/// Records published events, batch by batch, and the position at the start.
#[derive(Default)]
struct Recorder {
    batches: Mutex<Vec<Vec<CommittedEvent>>>,
    start: OnceLock<(LogPosition, Vec<CommittedEvent>)>,
}

impl Publisher for Recorder {
    fn begin(&self, start: LogPosition, last: Vec<CommittedEvent>) {
        assert!(self.events().is_empty(), "something was published before the start");
        self.start.set((start, last)).expect("a log begins once");
    }

    fn admit<'a>(
        &'a self,
        _bytes: usize,
    ) -> std::pin::Pin<Box<dyn Future<Output = BudgetPermit> + Send + 'a>> {
        Box::pin(std::future::ready(Box::new(()) as BudgetPermit))
    }

    fn publish(&self, committed: Committed, routed: Box<dyn FnOnce() + Send>) {
        let batches = || self.batches.lock().expect("no test panics in here");
        committed.walk(|events| batches().push(events), |events| batches().push(events));
        routed();
    }
}

impl Recorder {
    fn events(&self) -> Vec<CommittedEvent> {
        self.batches.lock().expect("no test panics in here").concat()
    }

    fn start(&self) -> LogPosition {
        self.start.get().expect("the log has begun").0
    }

    fn ids(&self) -> Vec<i64> {
        self.events()
            .iter()
            .filter_map(|event| event.position.map(|position| position.id.0))
            .collect()
    }
}

struct TestStore {
    db: Db,
    log: Arc<Recorder>,
    folder: TempDir,
    postgres: Option<PostgresDatabase>,
}

fn settings(folder: &TempDir) -> DatabaseSettings {
    let url = DatabaseUrl::Sqlite(folder.path().join("made/when/missing.db"));
    DatabaseSettings {
        url,
        synchronous: Synchronous::Normal,
        pool: 21,
        migrate: true,
        opener: Opener::Server,
    }
}

/// A store on the database of this run.
fn test_store() -> TestStore {
    postgres().map_or_else(sqlite_store, postgres_store)
}

/// The PostgreSQL server of this run, if any.
pub(crate) fn postgres() -> Option<String> {
    std::env::var("HUBCAST_TEST_POSTGRES").ok()
}

fn postgres_store(server: String) -> TestStore {
    let database = PostgresDatabase::create(server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = database.settings();
    open(folder, &settings, Some(database))
}

fn sqlite_store() -> TestStore {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = settings(&folder);
    open(folder, &settings, None)
}

fn open(
    folder: TempDir,
    settings: &DatabaseSettings,
    postgres: Option<PostgresDatabase>,
) -> TestStore {
    let log = Arc::new(Recorder::default());
    let db = Db::open(settings, log.clone()).expect("opens");
    TestStore { db, log, folder, postgres }
}

/// A database that is dropped after its test.
pub(crate) struct PostgresDatabase {
    /// `postgres://…` without a database.
    server: String,
    name: String,
    admin: AsyncConnectionWrapper<AsyncPgConnection>,
}

impl PostgresDatabase {
    pub(crate) fn create(server: String) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("hubcast_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut admin =
            AsyncConnectionWrapper::<AsyncPgConnection>::establish(&format!("{server}/postgres"))
                .expect("the server answers");
        admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("makes a database");
        Self { server, name, admin }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    pub(crate) fn settings(&self) -> DatabaseSettings {
        postgres_settings(&self.url())
    }
}

fn postgres_settings(url: &str) -> DatabaseSettings {
    DatabaseSettings {
        url: url.parse().expect("a URL"),
        synchronous: Synchronous::Normal,
        pool: 21,
        migrate: true,
        opener: Opener::Server,
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // Best effort: what remains is another empty database.
        let _ = self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        self.db.close();
        drop(self.postgres.take());
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// Places an order without a customer, and announces it. The total identifies it.
async fn place(tx: &mut Tx, minor: i64) -> Result<Order, Error> {
    let order =
        orders::insert(tx, &NewOrder { customer_id: None, total: Money::from_minor(minor) })
            .await?;
    tx.emit(event::new_order(&order));
    Ok(order)
}

async fn all_orders(db: &Db) -> Vec<i64> {
    let page = OrderPage { customer_id: None, before: None, limit: 1000 };
    let rows = db.read(async move |conn| orders::list(conn, &page).await).await.expect("reads");
    rows.into_iter().rev().map(|row| row.order.total.minor()).collect()
}

async fn add_user(db: &Db, email: &'static str) -> Result<User, Error> {
    db.write(Once::Unkeyed, async move |tx| {
        let new = NewUser { email, name: "Some One", password_hash: "hash", role: Role::Customer };
        users::insert(tx, &new).await.map_err(|fault| {
            if is_taken(&fault) { Error::Conflict("taken".into()) } else { fault.into() }
        })
    })
    .await
}

fn key(name: &str, body: u8) -> Once {
    Once::Key(Claim {
        user: UserId(1),
        method: "POST".into(),
        path: "/orders".into(),
        key: name.into(),
        body_hash: [body; 32],
        body: Arc::default(),
        most: None,
    })
}

/// Blocks the writer inside a write until the sender is used or dropped, so that all writes queued
/// meanwhile are one batch.
fn block_writer(db: &Db) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (release, released) = mpsc::channel::<()>();
    let db = db.clone();
    let holder = tokio::spawn(async move {
        db.write(Once::Unkeyed, async move |_tx| {
            let _ = released.recv();
            Ok(())
        })
        .await
    });
    (release, holder)
}

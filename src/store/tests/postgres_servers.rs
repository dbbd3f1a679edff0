//! Helpers for tests on PostgreSQL: two servers on one database, and a connection beside them.

use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};

use super::*;

/// A store on PostgreSQL, and a second server on the same database.
pub(super) struct TwoServers {
    pub(super) store: TestStore,
    pub(super) other: Db,
    pub(super) other_log: Arc<Recorder>,
}

impl TwoServers {
    pub(super) fn open() -> Option<Self> {
        let Some(server) = postgres() else {
            println!("skipped: HUBCAST_TEST_POSTGRES is not set");
            return None;
        };
        let store = postgres_store(server);
        let other_log = Arc::new(Recorder::default());
        let other = Db::open(&store.database().settings(), other_log.clone()).expect("opens");
        Some(Self { store, other, other_log })
    }

    /// Waits until both servers have announced everything.
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
        self.postgres.as_ref().expect("the store is on PostgreSQL")
    }
}

/// A connection beside those of the servers.
pub(super) struct Probe(AsyncPgConnection);

#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = BigInt)]
    pub(super) n: i64,
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

    /// Terminates one of the servers' connections.
    pub(super) async fn kill_one(&mut self) {
        let victim = "SELECT pid FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid() \
                      AND application_name = 'hubcast' ORDER BY random() LIMIT 1";
        self.execute(&format!("SELECT pg_terminate_backend(pid) FROM ({victim}) AS one")).await;
    }

    pub(super) async fn kill_all(&mut self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }
}

/// Limit of [`until`].
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the condition becomes true");
}

pub(super) async fn until_ready(db: &Db) {
    until(async || db.ready().await.is_ok()).await;
}

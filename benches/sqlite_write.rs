//! What a write costs on SQLite, by the connection type of diesel: BEGIN, four inserts, COMMIT.
//!
//! `cargo bench --bench sqlite_write` prints the tables of docs/adr/0002-sqlite-write-path.md. It
//! compares three variants: plain diesel; diesel-async whose blocking calls run on the calling
//! thread ("inline"); diesel-async's stock wrapper, which sends each statement to another thread.
//! Each runs with a transaction per order, and with 64 orders in one transaction (a savepoint
//! each), at synchronous=FULL and NORMAL, without queues. A last table (alone with `-- store`)
//! measures the store itself, with 64 callers that each wait for their order before the next.

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use hubcast::config::{DatabaseSettings, DatabaseUrl, Opener, Synchronous};
use hubcast::event;
use hubcast::model::{Money, Timestamp};
use hubcast::schema::{event_rooms, events, orders};
use hubcast::store::orders::NewOrder;
use hubcast::store::{self, Db, NullPublisher, Once};
use tokio::runtime::Runtime;

const ORDERS_PER_BATCH: i64 = 64;
const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 4;

/// Runs a blocking call on the calling thread.
struct Inline;

impl SpawnBlocking for Inline {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = Result<R, Box<dyn Error + Send + Sync>>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(task())))
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Runs a future that never waits.
fn run_inline<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("an inline connection never waits"),
    }
}

/// Statements without values, prepared once like any other query.
macro_rules! statement {
    ($name:ident, $sql:literal) => {
        #[derive(QueryId)]
        struct $name;
        impl QueryFragment<Sqlite> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }
        impl<C> diesel::RunQueryDsl<C> for $name {}
    };
}

statement!(Begin, "BEGIN IMMEDIATE");
statement!(Commit, "COMMIT");
statement!(Savepoint, "SAVEPOINT job");
statement!(Release, "RELEASE job");

/// One variant: the same query text for all, with `.await` where it is async.
macro_rules! variant {
    ($module:ident, $conn:ty, $dsl:path, [$($async:ident)?], [$($wait:tt)*]) => {
        mod $module {
            use super::{Begin, Commit, Release, Savepoint, Timestamp, event_rooms, events, orders};
            use diesel::{ExpressionMethods, QueryResult};
            use $dsl as _;

            pub(super) $($async)? fn order(conn: &mut $conn, id: i64) -> QueryResult<()> {
                let now = Timestamp::now();
                let order: i64 = diesel::insert_into(orders::table)
                    .values((
                        orders::total_minor.eq(1250),
                        orders::status.eq("pending"),
                        orders::created_at.eq(now),
                        orders::updated_at.eq(now),
                    ))
                    .returning(orders::id)
                    .get_result(conn) $($wait)*?;
                let payload = format!(
                    r#"{{"orderId":{order},"customerId":null,"total":"12.50","createdAt":"{}"}}"#,
                    "2026-01-02T03:04:05.678Z"
                );
                let values = (
                    events::id.eq(id),
                    events::namespace.eq("/admin"),
                    events::name.eq("new_order"),
                    events::payload.eq(payload),
                    events::created_at.eq(now),
                );
                diesel::insert_into(events::table).values(values).execute(conn) $($wait)*?;
                for room in ["/admin#admin", "/#admin"] {
                    let values = (event_rooms::room.eq(room), event_rooms::event_id.eq(id));
                    diesel::insert_into(event_rooms::table).values(values).execute(conn) $($wait)*?;
                }
                Ok(())
            }

            pub(super) $($async)? fn write(
                conn: &mut $conn,
                orders: i64,
                next: &mut i64,
            ) -> QueryResult<()> {
                Begin.execute(conn) $($wait)*?;
                for id in *next..*next + orders {
                    if orders > 1 {
                        Savepoint.execute(conn) $($wait)*?;
                    }
                    order(conn, id) $($wait)*?;
                    if orders > 1 {
                        Release.execute(conn) $($wait)*?;
                    }
                }
                Commit.execute(conn) $($wait)*?;
                *next += orders;
                Ok(())
            }
        }
    };
}

type InlineConnection = SyncConnectionWrapper<SqliteConnection, Inline>;
type StockConnection = SyncConnectionWrapper<SqliteConnection>;

variant!(plain, diesel::SqliteConnection, diesel::RunQueryDsl, [], []);
variant!(inline, super::InlineConnection, diesel_async::RunQueryDsl, [async], [.await]);
variant!(stock, super::StockConnection, diesel_async::RunQueryDsl, [async], [.await]);

/// CPU time of the whole process so far, from /proc/self/stat (ticks of 10 ms).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc/self/stat");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn open(path: &Path, synchronous: &str) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(path.to_str().expect("a path of ours is UTF-8"))
        .expect("the file opens");
    let pragmas = format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA foreign_keys=ON;"
    );
    diesel::connection::SimpleConnection::batch_execute(&mut conn, &pragmas).expect("pragmas");
    let schema = include_str!("../migrations/sqlite/0001_start/up.sql");
    diesel::connection::SimpleConnection::batch_execute(&mut conn, schema).expect("the schema");
    conn
}

/// A variant under measurement: its name, its next event id, and its best round so far (wall and
/// CPU µs per order).
struct Variant<'a> {
    name: &'static str,
    batch: Box<dyn FnMut(&mut i64) + 'a>,
    next: i64,
    best: (f64, f64),
}

impl<'a> Variant<'a> {
    fn new(name: &'static str, batch: impl FnMut(&mut i64) + 'a) -> Self {
        Self { name, batch: Box::new(batch), next: 1, best: (f64::INFINITY, f64::INFINITY) }
    }

    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand orders")]
    fn round(&mut self) {
        (self.batch)(&mut self.next);
        let (first, start, cpu_before) = (self.next, Instant::now(), cpu());
        while start.elapsed() < ROUND {
            (self.batch)(&mut self.next);
        }
        let done = (self.next - first) as f64;
        let per_order = |span: Duration| span.as_secs_f64() * 1e6 / done;
        let (wall, cpu) = (per_order(start.elapsed()), per_order(cpu().saturating_sub(cpu_before)));
        self.best = (self.best.0.min(wall), self.best.1.min(cpu));
    }
}

/// Alternates between the variants, so that other load of the machine affects all of them, and
/// prints the best round of each.
fn compare(per_batch: i64, mut variants: [Variant<'_>; 3]) {
    for _ in 0..ROUNDS {
        variants.iter_mut().for_each(Variant::round);
    }
    let plain = variants[0].best; // an array of three has a first
    for Variant { name, best: (wall, cpu), .. } in variants {
        println!(
            "| {name} | {per_batch} | {:.0} | {wall:.1} | {cpu:.1} | {:.2} | {:.2} |",
            1e6 / wall,
            wall / plain.0,
            cpu / plain.1
        );
    }
}

fn main() {
    let folder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))
        .expect("a folder under target/");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if !std::env::args().any(|argument| argument == "store") {
        compare_variants(folder.path(), &runtime);
    }
    measure_store(folder.path(), &runtime);
}

fn compare_variants(folder: &Path, runtime: &Runtime) {
    for synchronous in ["FULL", "NORMAL"] {
        println!("\nsynchronous={synchronous}\n");
        println!(
            "| variant | orders per commit | orders/s | µs per order | CPU µs per order | \
             time / plain | CPU / plain |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for per_batch in [1, ORDERS_PER_BATCH] {
            let file = |name: &str| {
                open(&folder.join(format!("{name}-{per_batch}-{synchronous}.db")), synchronous)
            };
            let mut plain = file("plain");
            let mut inline = InlineConnection::new(file("inline"));
            let mut stock = runtime.block_on(async { StockConnection::new(file("stock")) });
            let variants = [
                Variant::new("plain diesel", |next| {
                    plain::write(&mut plain, per_batch, next).expect("write");
                }),
                Variant::new("diesel-async, inline", |next| {
                    run_inline(inline::write(&mut inline, per_batch, next)).expect("write");
                }),
                Variant::new("diesel-async, stock", |next| {
                    runtime.block_on(stock::write(&mut stock, per_batch, next)).expect("write");
                }),
            ];
            compare(per_batch, variants);
        }
    }
}

/// Measures the store, with its queues.
fn measure_store(folder: &Path, runtime: &Runtime) {
    println!(
        "\nthe store, {ORDERS_PER_BATCH} callers\n\n\
         | synchronous | orders/s | CPU µs per order |\n| --- | --- | --- |"
    );
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let path = folder.join(format!("store-{synchronous:?}.db"));
        let settings = DatabaseSettings {
            url: DatabaseUrl::Sqlite(path),
            synchronous,
            pool: 21,
            migrate: true,
            opener: Opener::Command,
        };
        let db = Db::open(&settings, Arc::new(NullPublisher)).expect("opens");
        let (start, cpu_before, mut done) = (Instant::now(), cpu(), 0);
        runtime.block_on(async {
            let callers: Vec<_> =
                (0..ORDERS_PER_BATCH).map(|_| tokio::spawn(place_orders(db.clone()))).collect();
            for caller in callers {
                done += caller.await.expect("joins");
            }
        });
        let (wall, cpu) = (start.elapsed(), cpu().saturating_sub(cpu_before));
        println!(
            "| {synchronous:?} | {:.0} | {:.1} |",
            f64::from(done) / wall.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / f64::from(done)
        );
        db.close();
    }
}

/// A caller: places one order after another, each with its event, until the time is up.
async fn place_orders(db: Db) -> u32 {
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < ROUND * 4 {
        let placed = db.write(Once::Unkeyed, async |tx| {
            let order = store::orders::insert(
                tx,
                &NewOrder { customer_id: None, total: Money::from_minor(1250) },
            )
            .await?;
            tx.emit(event::new_order(&order));
            Ok(order)
        });
        placed.await.expect("write");
        done += 1;
    }
    done
}

//! PostgreSQL goes away and comes back: what callers get meanwhile, and which events are announced.
//! A proxy plays a database that is cut off, does not answer, or is lost during a COMMIT. Skipped
//! without HUBCAST_TEST_POSTGRES.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::postgres_servers::{Probe, until, until_ready};
use super::*;

/// What the proxy does with connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProxyMode {
    /// Forwards everything.
    Open,
    /// Closes every connection.
    Cut,
    /// Forwards nothing.
    Silent,
    /// Forwards the COMMIT of the next order, and closes the connection instead of forwarding the
    /// answer.
    CutAtCommit,
}

struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    mode: Mutex<ProxyMode>,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl State {
    fn mode(&self) -> ProxyMode {
        *self.mode.lock().expect("no test panics in here")
    }

    fn set(&self, mode: ProxyMode) {
        *self.mode.lock().expect("no test panics in here") = mode;
        if mode == ProxyMode::Cut {
            for stream in self.open.lock().expect("no test panics in here").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Proxy {
    fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("is bound");
        let state = Arc::new(State {
            mode: Mutex::new(ProxyMode::Open),
            over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let (shared, server) =
            (Arc::clone(&state), server.rsplit('@').next().expect("has a host").to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                if shared.mode() == ProxyMode::Cut {
                    continue;
                }
                let server = TcpStream::connect(&server).expect("the server answers");
                let copy = |stream: &TcpStream| stream.try_clone().expect("is copied");
                shared
                    .open
                    .lock()
                    .expect("no test panics in here")
                    .extend([copy(&client), copy(&server)]);
                let (back, to_server) = ((copy(&server), copy(&client)), Arc::clone(&shared));
                thread::spawn(move || pass(client, server, &to_server, true));
                let to_client = Arc::clone(&shared);
                thread::spawn(move || pass(back.0, back.1, &to_client, false));
            }
        });
        Self { address, state }
    }

    fn set(&self, mode: ProxyMode) {
        self.state.set(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.set(ProxyMode::Cut);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &State, to_server: bool) {
    let mut buffer = vec![0; 1 << 16];
    let (mut ordering, mut committing) = (false, false);
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        while state.mode() == ProxyMode::Silent && !state.over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        // Some sockets are shut down before others.
        if state.mode() == ProxyMode::Cut {
            break;
        }
        let bytes = &buffer[..length];
        let says = |word: &[u8]| bytes.windows(word.len()).any(|found| found == word);
        if state.mode() == ProxyMode::CutAtCommit && to_server {
            // The appender has its own COMMITs.
            ordering |= says(b"new_order");
            committing = ordering && says(b"COMMIT");
            if committing {
                // From here on the other direction forwards nothing.
                state.set(ProxyMode::Silent);
            }
        }
        if to.write_all(bytes).is_err() {
            break;
        }
        if committing {
            state.set(ProxyMode::Cut);
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A store that reaches its database through a proxy.
struct ProxiedStore {
    store: TestStore,
    proxy: Proxy,
}

impl ProxiedStore {
    fn open() -> Option<Self> {
        let Some(server) = postgres() else {
            println!("skipped: HUBCAST_TEST_POSTGRES is not set");
            return None;
        };
        let proxy = Proxy::start(&server);
        let database = PostgresDatabase::create(server);
        let settings = postgres_settings(&proxied(&database, &proxy));
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { store: super::open(folder, &settings, Some(database)), proxy })
    }
}

/// Without TLS, so that the proxy recognizes a COMMIT.
fn proxied(database: &PostgresDatabase, proxy: &Proxy) -> String {
    let (user, _) = database.server.rsplit_once('@').expect("has a user");
    format!("{user}@{}/{}?sslmode=disable", proxy.address, database.name)
}

fn reason(outcome: Result<impl std::fmt::Debug, Error>) -> &'static str {
    match outcome {
        Err(Error::Unavailable(reason)) => reason,
        other => panic!("{other:?} is not a 503"),
    }
}

#[test]
fn calls_are_unavailable_while_the_database_is_cut_off_and_work_afterwards() {
    let Some(ProxiedStore { store, proxy }) = &ProxiedStore::open() else { return };
    run(async {
        let TestStore { db, log, .. } = store;
        db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        proxy.set(ProxyMode::Cut);
        for minor in 0..30 {
            reason(db.write(Once::Unkeyed, async move |tx| place(tx, minor).await).await);
            reason(db.read(async |conn| users::by_id(conn, UserId(1)).await).await);
        }
        // A probe that was cut off has had no answer; the next one finds no database.
        while reason(db.ready().await) == "The database does not answer" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(reason(db.ready().await), "The database cannot be reached");
        proxy.set(ProxyMode::Open);
        until_ready(db).await;
        db.write(Once::Unkeyed, async |tx| place(tx, 2).await).await.expect("writes");
        assert_eq!(all_orders(db).await, [1, 2]);
        assert_eq!(log.ids(), [1, 2]);
    });
}

#[test]
fn a_write_in_progress_is_unavailable_and_rolled_back_when_cut_off() {
    let Some(ProxiedStore { store, proxy }) = &ProxiedStore::open() else { return };
    run(async {
        let TestStore { db, log, .. } = store;
        let (begun, cut) =
            (Arc::new(tokio::sync::Barrier::new(2)), Arc::new(tokio::sync::Barrier::new(2)));
        let write = tokio::spawn({
            let (db, begun, cut) = (db.clone(), Arc::clone(&begun), Arc::clone(&cut));
            async move {
                db.write(Once::Unkeyed, async move |tx| {
                    place(tx, 1).await?;
                    begun.wait().await;
                    cut.wait().await;
                    place(tx, 2).await
                })
                .await
            }
        });
        begun.wait().await;
        proxy.set(ProxyMode::Cut);
        cut.wait().await;
        reason(write.await.expect("joins"));
        proxy.set(ProxyMode::Open);
        until_ready(db).await;
        assert_eq!(all_orders(db).await, [0; 0]);
        assert_eq!(log.ids(), [0; 0]);
    });
}

#[test]
fn an_unanswered_commit_is_unavailable_and_its_events_come_later() {
    let Some(ProxiedStore { store, proxy }) = &ProxiedStore::open() else { return };
    run(async {
        let TestStore { db, log, .. } = store;
        db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        let done = Arc::new(AtomicBool::new(false));
        proxy.set(ProxyMode::CutAtCommit);
        let then = Arc::clone(&done);
        let lost = db.write(Once::Unkeyed, async move |tx| {
            tx.after_commit(move || then.store(true, Ordering::Relaxed));
            place(tx, 2).await
        });
        assert_eq!(
            reason(lost.await),
            "The database went away before it confirmed; the change may have been made"
        );
        proxy.set(ProxyMode::Open);
        until(async || done.load(Ordering::Relaxed)).await;
        assert_eq!(log.ids(), [1, 2]);
        assert_eq!(all_orders(db).await, [1, 2]);
    });
}

#[test]
fn events_committed_before_a_cut_are_announced_afterwards() {
    let Some(ProxiedStore { store, proxy }) = &ProxiedStore::open() else { return };
    run(async {
        let TestStore { db, log, .. } = store;
        let mut probe = Probe::connect(store).await;
        probe.execute("BEGIN; SELECT last_id FROM log_head FOR UPDATE").await;
        let write = tokio::spawn({
            let db = db.clone();
            async move { db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await }
        });
        until(async || probe.number("SELECT count(*) AS n FROM outbox").await == 1).await;
        proxy.set(ProxyMode::Cut);
        probe.execute("ROLLBACK").await;
        assert_eq!(log.ids(), [0; 0]);
        proxy.set(ProxyMode::Open);
        write.await.expect("joins").expect("it is committed");
        until(async || log.ids() == [1]).await;
    });
}

#[test]
fn calls_end_in_time_when_the_database_does_not_answer() {
    let Some(ProxiedStore { store, proxy }) = &ProxiedStore::open() else { return };
    run(async {
        let TestStore { db, log, .. } = store;
        proxy.set(ProxyMode::Silent);
        let asked = Instant::now();
        assert_eq!(reason(db.ready().await), "The database does not answer");
        assert!(asked.elapsed() < Duration::from_secs(5));
        let crowd: Vec<_> = (0..40)
            .map(|minor| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::Unkeyed, async move |tx| place(tx, minor).await).await
                })
            })
            .collect();
        for write in crowd {
            reason(write.await.expect("joins"));
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        proxy.set(ProxyMode::Open);
        until_ready(db).await;
        db.write(Once::Unkeyed, async |tx| place(tx, 100).await).await.expect("writes");
        let stored = all_orders(db).await;
        until(async || log.ids().len() == stored.len()).await;
    });
}

#[test]
fn a_server_without_its_database_fails_to_start_with_one_line() {
    let Some(server) = postgres() else {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    let proxy = Proxy::start(&server);
    let database = PostgresDatabase::create(server);
    let url = proxied(&database, &proxy).replacen('@', ":hush-hush@", 1);
    for (mode, words) in
        [(ProxyMode::Cut, "cannot be reached"), (ProxyMode::Silent, "does not answer")]
    {
        proxy.set(mode);
        let Err(error) = Db::open(&postgres_settings(&url), Arc::new(NullPublisher)) else {
            panic!("it opened")
        };
        let text = error.to_string();
        assert!(
            text.contains(words) && !text.contains('\n') && !text.contains("hush-hush"),
            "{text}"
        );
    }
}

//! Whether the database takes writes, as `/readyz` says it, and the size of SQLite's WAL. Nothing
//! but the server itself writes meanwhile.

use diesel::sqlite::SqliteConnection;

use super::postgres_servers::until;
use super::*;

const WAL_LIMIT: u64 = 16 << 20;

fn beside(folder: &TempDir) -> SqliteConnection {
    let path = folder.path().join("made/when/missing.db");
    SqliteConnection::establish(path.to_str().expect("is text")).expect("opens")
}

#[test]
fn a_server_is_unready_while_another_process_holds_the_lock_of_sqlite() {
    let TestStore { db, folder, .. } = &sqlite_store();
    let mut command = beside(folder);
    let locked = Error::Unavailable("The database is locked by another process");
    run(async {
        assert_eq!(db.ready().await, Ok(()));
        command.batch_execute("BEGIN IMMEDIATE").expect("locks");
        until(async || db.ready().await == Err(locked.clone())).await;
        command.batch_execute("ROLLBACK").expect("unlocks");
        until(async || db.ready().await == Ok(())).await;
    });
}

#[test]
fn a_wal_that_was_large_is_cut_to_16_mib() {
    let TestStore { folder, .. } = &sqlite_store();
    let wal = folder.path().join("made/when/missing.db-wal");
    let size = || std::fs::metadata(&wal).expect("is there").len();
    let (mut reader, mut writer) = (beside(folder), beside(folder));
    reader.batch_execute("BEGIN; SELECT count(*) FROM events").expect("reads");
    writer
        .batch_execute("CREATE TABLE large AS SELECT randomblob(24 << 20) AS bytes")
        .expect("writes");
    assert!(size() > WAL_LIMIT);
    reader.batch_execute("COMMIT").expect("ends");
    run(async { until(async || size() <= WAL_LIMIT).await });
}

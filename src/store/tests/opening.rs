//! SQLite's file: which process may open it, and its permissions.

use super::*;

#[test]
fn a_second_server_is_refused_but_a_command_is_not() {
    let TestStore { db, folder, .. } = &sqlite_store();
    assert!(matches!(
        Db::open(&settings(folder), Arc::new(NullPublisher)),
        Err(OpenError::Locked(_))
    ));
    let beside = DatabaseSettings { lock: false, ..settings(folder) };
    let command = Db::open(&beside, Arc::new(NullPublisher)).expect("opens beside the server");
    run(async {
        add_user(&command, "a@example.test").await.expect("the command writes");
        let found = db
            .read(async |conn| users::by_id(conn, UserId(1)).await)
            .await
            .expect("the server reads");
        assert_eq!(found.map(|user| user.email), Some("a@example.test".to_owned()));
    });
    command.close();
    db.close();
    Db::open(&settings(folder), Arc::new(NullPublisher)).expect("the lock is free again").close();
}

#[test]
fn ids_are_gap_free_with_two_processes() {
    let TestStore { db, log, folder, .. } = &sqlite_store();
    let beside = DatabaseSettings { lock: false, ..settings(folder) };
    let other_log = Arc::new(Recorder::default());
    let other = Db::open(&beside, other_log.clone()).expect("opens beside the server");
    run(async {
        for db in [db, &other, db, &other] {
            db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        }
    });
    other.close();
    assert_eq!((log.ids(), other_log.ids()), (vec![1, 3], vec![2, 4]));
}

#[test]
fn an_outdated_schema_is_refused_with_no_migrate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let no_migrate = DatabaseSettings { migrate: false, ..settings(&folder) };
    assert!(matches!(Db::open(&no_migrate, Arc::new(NullPublisher)), Err(OpenError::SchemaBehind)));
    Db::open(&settings(&folder), Arc::new(NullPublisher)).expect("migrates").close();
    Db::open(&no_migrate, Arc::new(NullPublisher)).expect("is up to date").close();
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let TestStore { folder, .. } = &sqlite_store();
    let mode = |path: &str| {
        std::fs::metadata(folder.path().join(path)).expect("is there").permissions().mode() & 0o777
    };
    assert_eq!(
        [
            mode("made"),
            mode("made/when"),
            mode("made/when/missing.db"),
            mode("made/when/missing.db-wal")
        ],
        [0o700, 0o700, 0o600, 0o600]
    );
}

//! SQLite's file: which process may open it, and its permissions.

use diesel::sqlite::SqliteConnection;

use super::*;
use crate::store::{file, history};

#[test]
fn a_second_server_is_refused_but_a_command_is_not() {
    let TestStore { db, folder, .. } = &sqlite_store();
    assert!(matches!(
        Db::open(&settings(folder), Arc::new(NullPublisher)),
        Err(OpenError::Locked(_))
    ));
    let beside = DatabaseSettings { opener: Opener::Command, ..settings(folder) };
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
fn a_second_server_is_refused_by_way_of_a_symbolic_link() {
    let TestStore { folder, .. } = &sqlite_store();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("made/when/missing.db", &link).expect("links");
    let by_link = DatabaseSettings { url: DatabaseUrl::Sqlite(link), ..settings(folder) };
    let refused = Db::open(&by_link, Arc::new(NullPublisher)).err().expect("is refused");
    let real = folder.path().canonicalize().expect("is there").join("made/when/missing.db");
    assert_eq!(refused.to_string(), format!("another server is running on {}", real.display()));
}

#[test]
fn a_file_with_a_second_name_is_refused_also_for_a_command() {
    let TestStore { db, folder, .. } = &sqlite_store();
    db.close();
    let second = folder.path().join("second.db");
    std::fs::hard_link(folder.path().join("made/when/missing.db"), &second).expect("links");
    for opener in [Opener::Server, Opener::Command] {
        let url = DatabaseUrl::Sqlite(second.clone());
        let by_second = DatabaseSettings { url, opener, ..settings(folder) };
        assert!(matches!(
            Db::open(&by_second, Arc::new(NullPublisher)),
            Err(OpenError::Named(path)) if path.ends_with("second.db")
        ));
    }
    std::fs::remove_file(&second).expect("removes the second name");
    Db::open(&settings(folder), Arc::new(NullPublisher)).expect("has one name again").close();
}

#[test]
fn a_file_that_was_replaced_after_it_was_locked_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = file::create(&folder.path().join("a.db")).expect("makes a file");
    let lock = file::lock(&path).expect("locks");
    lock.check(&path).expect("is the same");
    let other = file::create(&folder.path().join("b.db")).expect("makes a file");
    std::fs::rename(other, &path).expect("replaces");
    assert!(matches!(lock.check(&path), Err(OpenError::Replaced(_))));
}

#[test]
fn ids_are_gap_free_with_two_processes() {
    let TestStore { db, log, folder, .. } = &sqlite_store();
    let beside = DatabaseSettings { opener: Opener::Command, ..settings(folder) };
    let other_log = Arc::new(Recorder::default());
    let other = Db::open(&beside, other_log.clone()).expect("opens beside the server");
    run(async {
        for db in [db, &other, db, &other] {
            db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        }
    });
    other.close();
    assert_eq!((log.ids(), other_log.ids()), (vec![1, 3], vec![2, 4]));
    let epoch = |log: &Recorder, at: usize| log.events()[at].position.expect("it is stored").epoch;
    assert_eq!(epoch(log, 0), log.start().epoch);
    let of_the_command = epoch(&other_log, 0);
    assert_ne!(of_the_command, log.start().epoch);
    assert_eq!([epoch(log, 1), epoch(&other_log, 1)], [of_the_command; 2]);
}

#[test]
fn a_command_on_a_file_that_was_put_back_begins_an_epoch_before_its_first_event() {
    let TestStore { db, log, folder, .. } = &sqlite_store();
    let file = folder.path().join("made/when/missing.db");
    let copy = folder.path().join("copy.db");
    let place_one = async |db: &Db| {
        db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
    };
    run(place_one(db));
    db.close();
    std::fs::copy(&file, &copy).expect("copies");
    let later_log = Arc::new(Recorder::default());
    let later = Db::open(&settings(folder), later_log.clone()).expect("opens");
    run(place_one(&later));
    later.close();
    let lost = later_log.events()[0].position.expect("it is stored");

    std::fs::copy(&copy, &file).expect("puts the copy back");
    let beside = DatabaseSettings { opener: Opener::Command, ..settings(folder) };
    let command = Db::open(&beside, Arc::new(NullPublisher)).expect("opens");
    run(async {
        for _ in 0..3 {
            place_one(&command).await;
        }
    });
    command.close();
    let server = Db::open(&settings(folder), Arc::new(NullPublisher)).expect("opens");
    let kept = log.events()[0].position.expect("it is stored");
    let is_good = async |position| {
        server.read(async move |conn| history::is_good(conn, position).await).await.expect("reads")
    };
    run(async { assert_eq!([is_good(kept).await, is_good(lost).await], [true, false]) });
    server.close();
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
fn a_command_makes_a_new_schema_and_leaves_one_that_is_behind_to_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let by = |opener| DatabaseSettings { opener, ..settings(&folder) };
    let open = |opener| Db::open(&by(opener), Arc::new(NullPublisher));
    open(Opener::Command).expect("makes a new schema").close();
    // As if this program knew one migration more than the one that made the schema.
    let path = folder.path().join("made/when/missing.db");
    let mut conn = SqliteConnection::establish(path.to_str().expect("is text")).expect("opens");
    let newest = "DELETE FROM __diesel_schema_migrations WHERE version = \
         (SELECT max(version) FROM __diesel_schema_migrations)";
    conn.batch_execute(newest).expect("forgets a migration");
    assert!(matches!(open(Opener::Command), Err(OpenError::SchemaBehind)));
    // It runs the migration, which has run already.
    assert!(matches!(open(Opener::Migration), Err(OpenError::Database(_))));
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

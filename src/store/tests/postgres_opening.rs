//! Opening PostgreSQL: the rights it takes, and the wait for a migration. Skipped without
//! HUBCAST_TEST_POSTGRES.

use super::*;
use crate::store::migrate::{self, Pending};

/// The lock of migrations: half of it each.
const LOCK: &str = "(1752523363::BIGINT << 32) | 1634956289";

fn database() -> Option<PostgresDatabase> {
    let server = postgres();
    if server.is_none() {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
    }
    server.map(PostgresDatabase::create)
}

fn connect(url: &str) -> AsyncConnectionWrapper<AsyncPgConnection> {
    AsyncConnectionWrapper::establish(url).expect("connects")
}

fn number(conn: &mut AsyncConnectionWrapper<AsyncPgConnection>, query: &str) -> i64 {
    use diesel::RunQueryDsl;
    let found: postgres_servers::Number =
        diesel::sql_query(query).get_result(conn).expect("answers");
    found.n
}

#[test]
fn a_migration_waits_for_another_and_gives_up_with_its_process() {
    let Some(database) = database() else { return };
    let (mut holder, mut waiter) = (connect(&database.url()), connect(&database.url()));
    holder.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).expect("locks");
    let pid = number(&mut holder, "SELECT pg_backend_pid()::BIGINT AS n");
    let given_up = migrate::postgres_on(&mut waiter, Pending::Run(std::time::Duration::ZERO));
    let Err(OpenError::Migrating(Some(by))) = given_up else { panic!("{given_up:?}") };
    assert_eq!(i64::from(by), pid);
    assert!(OpenError::Migrating(Some(by)).to_string().contains(&format!("process {pid},")));

    // A command waits for nobody.
    let command = DatabaseSettings { opener: Opener::Command, ..database.settings() };
    let given_up = Db::open(&command, Arc::new(NullPublisher));
    assert!(matches!(given_up, Err(OpenError::Migrating(Some(by))) if i64::from(by) == pid));

    let settings = database.settings();
    let waiting = std::thread::spawn(move || Db::open(&settings, Arc::new(NullPublisher)));
    drop(holder);
    waiting.join().expect("joins").expect("migrates").close();
    assert_eq!(
        number(&mut waiter, "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'"),
        0
    );
}

#[test]
fn nothing_waits_for_a_migration_when_the_schema_is_up_to_date() {
    let Some(database) = database() else { return };
    Db::open(&database.settings(), Arc::new(NullPublisher)).expect("migrates").close();
    let mut holder = connect(&database.url());
    holder.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).expect("locks");
    for migrate in [true, false] {
        let settings = DatabaseSettings { migrate, ..database.settings() };
        Db::open(&settings, Arc::new(NullPublisher)).expect("opens").close();
    }
}

#[test]
fn a_command_leaves_a_schema_that_is_behind_to_others_and_waits_for_nobody() {
    let Some(database) = database() else { return };
    let command = DatabaseSettings { opener: Opener::Command, ..database.settings() };
    Db::open(&command, Arc::new(NullPublisher)).expect("makes a new schema").close();
    let mut holder = connect(&database.url());
    holder
        .batch_execute(&format!(
            "DELETE FROM __diesel_schema_migrations WHERE version = \
             (SELECT max(version) FROM __diesel_schema_migrations); \
             SELECT pg_advisory_lock({LOCK})"
        ))
        .expect("forgets a migration, and locks");
    let refused = Db::open(&command, Arc::new(NullPublisher));
    assert!(matches!(refused, Err(OpenError::SchemaBehind)));
}

#[test]
fn a_role_that_may_create_nothing_opens_a_schema_that_is_up_to_date() {
    let Some(mut database) = database() else { return };
    Db::open(&database.settings(), Arc::new(NullPublisher)).expect("migrates").close();
    let role = format!("{}_role", database.name);
    connect(&database.url())
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN; \
             REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
        ))
        .expect("makes a role");
    let url = database.url().replacen("postgres@", &format!("{role}@"), 1);
    let settings = DatabaseSettings { migrate: false, ..postgres_settings(&url) };
    let opened = Db::open(&settings, Arc::new(NullPublisher));
    let written = opened.as_ref().map(|db| {
        run(async { db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.is_ok() })
    });
    assert!(matches!(written, Ok(true)), "{:?}", written.map_err(ToString::to_string));
    if let Ok(db) = opened {
        db.close();
    }
    let _ = connect(&database.url()).batch_execute(&format!("DROP OWNED BY {role}"));
    let _ = database.admin.batch_execute(&format!("DROP ROLE {role}"));
}

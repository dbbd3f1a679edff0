//! Sessions that are opened together.

use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::*;
use crate::store::NullPublisher;
use crate::store::tests::{PostgresDatabase, postgres, until};
use crate::store::users::{self, NewUser};

#[derive(diesel::QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[test]
fn a_user_who_is_removed_meanwhile_keeps_no_other_session_from_opening() {
    let Some(server) = postgres() else {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    let database = PostgresDatabase::create(server);
    let db = Db::open(&database.settings(), Arc::new(NullPublisher)).expect("opens");
    actix_rt::System::new().block_on(async {
        let hour = Duration::from_secs(3600);
        let (log, _) =
            start(&db, RecoverySettings { window: hour, retention: hour }).await.expect("starts");
        for email in ["stays@example.test", "leaves@example.test"] {
            let added = db.write(Once::Unkeyed, async move |tx| {
                let role = Role::Customer;
                let new = NewUser { email, name: "Some One", password_hash: "hash", role };
                Ok(users::insert(tx, &new).await?)
            });
            added.await.expect("adds a user");
        }
        let connect =
            async || AsyncPgConnection::establish(&database.url()).await.expect("connects");
        let (mut remover, mut watcher) = (connect().await, connect().await);
        remover
            .batch_execute("BEGIN; DELETE FROM users WHERE email = 'leaves@example.test'")
            .await
            .expect("removes");
        let opening: Vec<_> = (0..64)
            .map(|n: i64| {
                actix_rt::spawn(log.open(SessionAttempt {
                    sid: format!("session {n}").into(),
                    namespace: "/".into(),
                    user: if n == 32 { "2" } else { "1" }.into(),
                    connection_no: n,
                }))
            })
            .collect();
        // The session of the removed user waits for its row.
        until(async || {
            let waiting = "SELECT count(*) AS number FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let found: Waiting =
                diesel::sql_query(waiting).get_result(&mut watcher).await.expect("answers");
            found.number > 0
        })
        .await;
        remover.batch_execute("COMMIT").await.expect("commits");
        for (n, opened) in opening.into_iter().enumerate() {
            assert_eq!(opened.await.expect("joins"), Ok(()), "session {n}");
        }
        let kept = "SELECT count(*) AS number FROM sessions";
        let kept: Waiting =
            diesel::sql_query(kept).get_result(&mut watcher).await.expect("answers");
        assert_eq!(kept.number, 63);
    });
    db.close();
}

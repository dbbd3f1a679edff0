//! The kept counts of unread notifications and messages: they equal a count of the rows after any
//! operations, and those of an older database are found when it is migrated.

use diesel::QueryableByName;
use diesel::connection::Connection;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::MigrationHarness;

use super::conversations::{add_users, start_conversation, try_send};
use super::*;
use crate::model::{ConversationId, Notice, NotificationId, NotificationType};
use crate::store::conn::query;
use crate::store::{conversations, migrate, notifications};

/// Users whose count differs from their rows.
const WRONG_USERS: &str = "SELECT count(*) AS number FROM users WHERE unread_notifications <> \
    (SELECT count(*) FROM notifications WHERE user_id = users.id AND is_read = FALSE \
        AND id > notifications_read_up_to)";
/// Members whose count differs from the messages of others behind their read mark.
const WRONG_MEMBERS: &str = "SELECT count(*) AS number FROM conversation_members AS member \
    JOIN conversations ON conversations.id = member.conversation_id \
    WHERE last_seq - unread_after <> (SELECT count(*) FROM messages \
        WHERE messages.conversation_id = conversations.id AND seq > member.read_seq \
            AND COALESCE(sender_id, 0) <> member.user_id)";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

async fn number(db: &Db, text: &'static str) -> i64 {
    let read = db.read(async move |conn| {
        let row: Number = query!(&mut *conn, |c| diesel::sql_query(text).get_result(c))?;
        Ok(row.number)
    });
    read.await.expect("reads")
}

fn notice() -> Notice {
    let (title, message) = ("Tea".into(), "Half the price".into());
    Notice { kind: NotificationType::Promotion, title, message, data: None }
}

/// A random number below `limit`.
fn below(limit: usize) -> usize {
    rand::random::<u32>() as usize % limit
}

/// One random operation on the notifications of one of the users.
async fn change_notifications(db: &Db, users: [UserId; 3]) {
    let (user, what, pick) = (users[below(3)], below(10), below(40)); // there are three
    let write = async move |tx: &mut Tx| {
        notifications::lock_users(tx, &[user]).await?;
        let page = notifications::NotificationPage {
            user_id: user,
            unread_only: false,
            before: None,
            limit: 40,
        };
        let some: Option<NotificationId> =
            notifications::list(tx.conn(), &page).await?.get(pick).map(|row| row.id);
        match (what, some) {
            (0, _) => drop(notifications::mark_all_read(tx, user).await?),
            (1..=3, Some(id)) => drop(notifications::mark_read(tx, user, id).await?),
            (4..=5, Some(id)) => drop(notifications::delete(tx, user, id).await?),
            _ => drop(notifications::insert(tx, user, &notice()).await?),
        }
        // A change that is rolled back leaves the count as it was.
        if below(8) == 0 { Err(Error::Internal) } else { Ok(()) }
    };
    let outcome = db.write(Once::Unkeyed, write).await;
    assert!(matches!(outcome, Ok(()) | Err(Error::Internal)), "{outcome:?}");
}

/// One random operation of one of the users in the conversation.
async fn change_conversation(db: &Db, id: ConversationId, users: [UserId; 3]) {
    let (user, what) = (users[below(3)], below(10)); // there are three
    if what < 4 {
        try_send(db, id, user, "x".into(), None).await.expect("writes");
        return;
    }
    let write = async move |tx: &mut Tx| {
        conversations::touch(tx, id).await?;
        let held = conversations::lock(tx, &[id]).await?.remove(&id).expect("there is one");
        match what {
            4 => drop(conversations::remove_member(tx, &[id], user).await?),
            5 if !held.members.contains(&user) => {
                conversations::add_member(tx, id, user).await?;
            }
            _ if held.last_seq > 0 => {
                let seq = held.last_seq - i64::try_from(below(4)).expect("is small");
                conversations::mark_read(tx, id, user, seq.max(1)).await?;
            }
            _ => {}
        }
        Ok(())
    };
    db.write(Once::Unkeyed, write).await.expect("writes");
}

#[test]
fn kept_counts_equal_a_count_of_the_rows_after_random_operations() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let users = add_users(db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        let id = start_conversation(db, None, users.to_vec()).await;
        let lanes: Vec<_> = (0..6)
            .map(|lane| {
                let db = db.clone();
                tokio::spawn(async move {
                    for _ in 0..60 {
                        match lane % 2 {
                            0 => change_notifications(&db, users).await,
                            _ => change_conversation(&db, id, users).await,
                        }
                    }
                })
            })
            .collect();
        for lane in lanes {
            lane.await.expect("joins");
        }
        assert_eq!((number(db, WRONG_USERS).await, number(db, WRONG_MEMBERS).await), (0, 0));
        assert!(number(db, "SELECT max(last_seq) AS number FROM conversations").await > 20);
        assert!(number(db, "SELECT count(*) AS number FROM notifications").await > 20);
    });
}

/// What a server of 0.1 could have left: user 1 with two unread notifications and one read, user 2
/// with none; a conversation in which user 1 has written without reading, user 2 is two behind.
const OLDER: &str = "
    INSERT INTO users (id, email, email_key, name, password_hash, role, created_at) VALUES
        (1, 'a', 'a', 'a', 'h', 'customer', '2026-01-01 00:00:00'),
        (2, 'b', 'b', 'b', 'h', 'customer', '2026-01-01 00:00:00');
    INSERT INTO notifications (id, user_id, type, title, message, is_read, created_at) VALUES
        (1, 1, 'message', 't', 'm', TRUE, '2026-01-01 00:00:00'),
        (2, 1, 'message', 't', 'm', FALSE, '2026-01-01 00:00:00'),
        (3, 1, 'message', 't', 'm', FALSE, '2026-01-01 00:00:00'),
        (4, 2, 'message', 't', 'm', TRUE, '2026-01-01 00:00:00');
    INSERT INTO conversations (id, last_seq, created_at, updated_at) VALUES
        (1, 5, '2026-01-01 00:00:00', '2026-01-01 00:00:00');
    INSERT INTO conversation_members (conversation_id, user_id, read_seq, joined_at) VALUES
        (1, 1, 0, '2026-01-01 00:00:00'), (1, 2, 3, '2026-01-01 00:00:00');
    INSERT INTO messages (id, conversation_id, seq, sender_id, content, kind, created_at) VALUES
        (1, 1, 1, 2, 'x', 'text', '2026-01-01 00:00:00'),
        (2, 1, 2, 1, 'x', 'text', '2026-01-01 00:00:00'),
        (3, 1, 3, NULL, 'x', 'text', '2026-01-01 00:00:00'),
        (4, 1, 4, 1, 'x', 'text', '2026-01-01 00:00:00'),
        (5, 1, 5, NULL, 'x', 'text', '2026-01-01 00:00:00');";

/// Goes back to before the counts, adds rows of that time, migrates, and checks the counts; then
/// marks all of user 1 as read and goes back again, where they are read.
fn migrate_an_older_database<C>(
    conn: &mut C,
    source: impl Fn() -> diesel_migrations::EmbeddedMigrations,
    number: impl Fn(&mut C, &str) -> i64,
) where
    C: Connection + MigrationHarness<C::Backend>,
{
    const COUNTS: usize = 11;
    let go_back = |conn: &mut C| {
        while conn.applied_migrations().expect("reads").len() >= COUNTS {
            conn.revert_last_migration(source()).expect("goes back");
        }
    };
    conn.run_pending_migrations(source()).expect("migrates");
    go_back(conn);
    conn.batch_execute(OLDER).expect("adds");
    conn.run_pending_migrations(source()).expect("migrates");
    let of = |column: &str, user| {
        format!(
            "SELECT {column} AS number FROM users \
             JOIN conversation_members ON user_id = users.id \
             JOIN conversations ON conversations.id = conversation_id WHERE users.id = {user}"
        )
    };
    for (user, unread, read, behind) in [(1, 2, 3, 1), (2, 0, 3, 2)] {
        assert_eq!(number(conn, &of("unread_notifications", user)), unread);
        assert_eq!(number(conn, &of("read_seq", user)), read);
        assert_eq!(number(conn, &of("last_seq - unread_after", user)), behind);
    }
    assert_eq!((number(conn, WRONG_USERS), number(conn, WRONG_MEMBERS)), (0, 0));
    let mark =
        "UPDATE users SET notifications_read_up_to = 2, unread_notifications = 1 WHERE id = 1";
    conn.batch_execute(mark).expect("marks");
    go_back(conn);
    let unread = "SELECT id AS number FROM notifications WHERE is_read = FALSE";
    assert_eq!(number(conn, unread), 3);
    conn.run_pending_migrations(source()).expect("migrates");
}

fn number_of<C>(conn: &mut C, text: &str) -> i64
where
    C: Connection + diesel::connection::LoadConnection,
    for<'a> diesel::query_builder::SqlQuery: diesel::query_dsl::LoadQuery<'a, C, Number>,
{
    let row: Number =
        diesel::RunQueryDsl::get_result(diesel::sql_query(text), conn).expect("is one");
    row.number
}

#[test]
fn counts_of_an_older_database_are_found_and_given_up_again() {
    if let Some(server) = postgres() {
        let database = PostgresDatabase::create(server);
        let mut conn = AsyncConnectionWrapper::<AsyncPgConnection>::establish(&database.url())
            .expect("connects");
        migrate_an_older_database(&mut conn, || migrate::POSTGRES, number_of);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("older.db");
    let mut conn = SqliteConnection::establish(path.to_str().expect("is text")).expect("opens");
    migrate_an_older_database(&mut conn, || migrate::SQLITE, number_of);
}

//! Notifications: receivers, unread ones, and counts that are true when they are announced.

use diesel::sqlite::Sqlite;
use diesel::{ExpressionMethods, QueryDsl, debug_query};

use super::*;
use crate::model::{JsonObject, Notice, Notification, NotificationId, NotificationType, ProjectId};
use crate::schema::{notifications, users as user_rows};
use crate::store::broadcasts::{self, Audience, UserIdRange};
use crate::store::conn::query;
use crate::store::notifications::{self as rows, NotificationPage};

fn notice(title: &str) -> Notice {
    let data = JsonObject::from_text(r#"{"b":1.0,"a":{}}"#.into());
    Notice {
        kind: NotificationType::BackInStock,
        title: title.into(),
        message: "It is back".into(),
        data,
    }
}

/// Adds a notification for each of the titles.
async fn add(db: &Db, user: UserId, titles: &[&'static str]) -> Vec<Notification> {
    let mut added = Vec::new();
    for &title in titles {
        let written = db
            .write(Once::Unkeyed, async move |tx| {
                Ok(rows::insert(tx, user, &notice(title)).await?.0)
            })
            .await;
        added.push(written.expect("writes"));
    }
    added
}

async fn titles(db: &Db, page: NotificationPage) -> Vec<String> {
    let rows = db.read(async move |conn| rows::list(conn, &page).await).await.expect("reads");
    rows.into_iter().map(|row| row.title).collect()
}

async fn unread(db: &Db, user: UserId) -> i64 {
    db.read(async move |conn| rows::unread_count(conn, user).await).await.expect("reads")
}

async fn mark_read(
    db: &Db,
    user: UserId,
    id: NotificationId,
) -> Option<(Notification, Option<i64>)> {
    db.write(Once::Unkeyed, async move |tx| Ok(rows::mark_read(tx, user, id).await?))
        .await
        .expect("writes")
}

#[test]
fn a_notification_is_read_back_by_its_receiver_only() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let (ann, bob) = (
            add_user(db, "ann@x.test").await.expect("adds").id,
            add_user(db, "bob@x.test").await.expect("adds").id,
        );
        let [first] = add(db, ann, &["one"]).await.try_into().expect("one");
        let all = NotificationPage { user_id: ann, unread_only: false, before: None, limit: 10 };
        assert_eq!(
            db.read(async move |conn| rows::list(conn, &all).await).await,
            Ok(vec![first.clone()])
        );
        let Notice { kind, title, message, data } = notice("one");
        assert_eq!(
            first,
            Notification {
                kind,
                title,
                message,
                data,
                user_id: ann,
                is_read: false,
                ..first.clone()
            }
        );
        assert_eq!(
            titles(
                db,
                NotificationPage { user_id: bob, unread_only: false, before: None, limit: 10 }
            )
            .await,
            Vec::<String>::new()
        );
        assert_eq!(mark_read(db, bob, first.id).await, None);
        assert_eq!(
            db.write(Once::Unkeyed, async move |tx| Ok(rows::delete(tx, bob, first.id).await?))
                .await,
            Ok(None)
        );
        assert_eq!((unread(db, ann).await, unread(db, bob).await), (1, 0));
    });
}

#[test]
fn pages_are_newest_first_and_can_be_unread_only() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let ann = add_user(db, "ann@x.test").await.expect("adds").id;
        let added = add(db, ann, &["1", "2", "3", "4", "5"]).await;
        mark_read(db, ann, added[3].id).await.expect("is there"); // five were added
        let list = async |unread_only, before, limit| {
            titles(db, NotificationPage { user_id: ann, unread_only, before, limit }).await
        };
        assert_eq!(list(false, None, 10).await, ["5", "4", "3", "2", "1"]);
        assert_eq!(list(false, Some(added[3].id), 2).await, ["3", "2"]); // as above
        assert_eq!(list(true, None, 2).await, ["5", "3"]);
        assert_eq!(list(true, Some(added[2].id), 10).await, ["2", "1"]); // as above
    });
}

#[test]
fn marking_as_read_reports_a_change() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let (ann, bob) = (
            add_user(db, "ann@x.test").await.expect("adds").id,
            add_user(db, "bob@x.test").await.expect("adds").id,
        );
        let [one, two, three] = add(db, ann, &["1", "2", "3"]).await.try_into().expect("three");
        add(db, bob, &["b"]).await;
        let read = Notification { is_read: true, ..one.clone() };
        assert_eq!(mark_read(db, ann, one.id).await, Some((read.clone(), Some(2))));
        assert_eq!(mark_read(db, ann, one.id).await, Some((read, None)));
        assert_eq!(unread(db, ann).await, 2);
        assert_eq!(
            db.write(Once::Unkeyed, async move |tx| Ok(rows::delete(tx, ann, two.id).await?)).await,
            Ok(Some(1))
        );
        assert_eq!(
            db.write(Once::Unkeyed, async move |tx| Ok(rows::delete(tx, ann, two.id).await?)).await,
            Ok(None)
        );
        assert_eq!(unread(db, ann).await, 1);
        let mark_all = async || {
            db.write(Once::Unkeyed, async move |tx| Ok(rows::mark_all_read(tx, ann).await?)).await
        };
        assert_eq!((mark_all().await, mark_all().await), (Ok(1), Ok(0)));
        assert_eq!(mark_read(db, ann, three.id).await.map(|(_, count)| count), Some(None));
        assert_eq!((unread(db, ann).await, unread(db, bob).await), (0, 1));
    });
}

#[test]
fn ids_are_not_reused_and_a_removed_user_has_no_notifications() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let ann = add_user(db, "ann@x.test").await.expect("adds").id;
        let [first, newest] = add(db, ann, &["1", "2"]).await.try_into().expect("two");
        db.write(Once::Unkeyed, async move |tx| Ok(rows::delete(tx, ann, newest.id).await?))
            .await
            .expect("writes");
        let [later] = add(db, ann, &["3"]).await.try_into().expect("one");
        assert!(later.id > newest.id && newest.id > first.id);
        let remove = async move |tx: &mut Tx| {
            Ok(query!(tx.conn(), |c| diesel::delete(user_rows::table.find(ann)).execute(c))?)
        };
        assert_eq!(db.write(Once::Unkeyed, remove).await, Ok(1));
        assert_eq!(unread(db, ann).await, 0);
        let missing = db.write(Once::Unkeyed, async move |tx| {
            Ok(rows::insert(tx, ann, &notice("4"))
                .await
                .is_err_and(|fault| is_missing_reference(&fault)))
        });
        assert_eq!(missing.await, Ok(true));
    });
}

#[test]
fn counts_are_announced_in_the_order_in_which_they_became_true() {
    const WRITES: i64 = 60;
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let ann = add_user(db, "ann@x.test").await.expect("adds").id;
        let writers: Vec<_> = (0..WRITES)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::Unkeyed, async move |tx| {
                        rows::lock_users(tx, &[ann]).await?;
                        let (new, count) = rows::insert(tx, ann, &notice("n")).await?;
                        tx.emit(event::notification(&new));
                        tx.emit(event::notifications_unread(ann, count));
                        Ok(())
                    })
                    .await
                })
            })
            .collect();
        for write in writers {
            write.await.expect("joins").expect("writes");
        }
        let events = log.events();
        let names: Vec<&str> = events.iter().map(|event| &*event.name).collect();
        let stored: Vec<bool> = events.iter().map(|event| event.position.is_some()).collect();
        let pairs = usize::try_from(WRITES).expect("is small");
        assert_eq!(
            (names, stored),
            (["notification", "notifications:unread"].repeat(pairs), [true, false].repeat(pairs))
        );
        let counts: Vec<String> = events
            .into_iter()
            .filter(|event| event.position.is_none())
            .map(|event| event.data)
            .collect();
        assert_eq!(
            counts,
            (1..=WRITES).map(|count| format!(r#"{{"count":{count}}}"#)).collect::<Vec<_>>()
        );
    });
}

#[test]
fn receivers_are_found_by_id_and_by_role() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let (ann, bob) = (
            add_user(db, "ann@x.test").await.expect("adds").id,
            add_user(db, "bob@x.test").await.expect("adds").id,
        );
        let existing =
            db.read(async move |conn| users::existing(conn, &[bob, UserId(99), ann]).await).await;
        assert_eq!(existing, Ok(vec![ann, bob]));
        let ids = async |audience, span, limit| {
            let found = db.read(async move |conn| {
                let (count, last) = broadcasts::count(conn, audience).await?;
                Ok((broadcasts::receivers(conn, audience, span, limit).await?, count, last))
            });
            found.await.expect("reads")
        };
        assert_eq!(ids(Audience::All, UserIdRange::ALL, 10).await, (vec![ann, bob], 2, Some(bob)));
        assert_eq!(
            ids(Audience::Role(Role::Customer), UserIdRange::ALL, 1).await,
            (vec![ann], 2, Some(bob))
        );
        assert_eq!(ids(Audience::All, UserIdRange { after: ann, up_to: bob }, 10).await.0, [bob]);
        assert_eq!(
            ids(Audience::All, UserIdRange { after: UserId(0), up_to: ann }, 10).await.0,
            [ann]
        );
        assert_eq!(ids(Audience::Role(Role::Admin), UserIdRange::ALL, 10).await, (vec![], 0, None));
        assert_eq!(
            ids(Audience::OtherMembers(ProjectId(1), ann), UserIdRange::ALL, 10).await,
            (vec![], 0, None)
        );
    });
}

/// SQLite's plan for a query.
pub(super) fn plan(folder: &TempDir, query: &str) -> String {
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let mut conn = crate::store::file::connect(
        &folder.path().join("made/when/missing.db"),
        Synchronous::Normal,
    )
    .expect("opens");
    let (sql, _values) = query.split_once(" -- binds").expect("diesel tells both");
    let explained = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps = diesel::RunQueryDsl::load::<Step>(explained, &mut conn).expect("explains");
    steps.into_iter().map(|step| step.detail + "\n").collect()
}

#[test]
fn unread_notifications_are_found_by_their_own_index() {
    let TestStore { folder, .. } = &sqlite_store();
    let ann = UserId(1);
    let older = || notifications::id.lt(NotificationId(5));
    let plans = [
        debug_query::<Sqlite, _>(
            &rows::unread_of(ann).filter(older()).order(notifications::id.desc()),
        )
        .to_string(),
        debug_query::<Sqlite, _>(&rows::of(ann).filter(older()).order(notifications::id.desc()))
            .to_string(),
    ];
    let expected = [
        "SEARCH notifications USING INDEX notifications_unread \
         (user_id=? AND is_read=? AND id>? AND id<?)\n\
         SCALAR SUBQUERY 1\nSEARCH users USING INTEGER PRIMARY KEY (rowid=?)\n",
        "SEARCH notifications USING INDEX notifications_by_user (user_id=? AND id<?)\n",
    ];
    assert_eq!(plans.map(|query| plan(folder, &query)), expected);
}

#[test]
fn the_oldest_notifications_of_a_user_are_removed_when_there_are_too_many() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let ann = add_user(db, "ann@x.test").await.expect("registers").id;
        let ben = add_user(db, "ben@x.test").await.expect("registers").id;
        add(db, ben, &["his"]).await;
        let added = db.write(Once::Unkeyed, async move |tx| {
            let mut last = NotificationId(0);
            for n in 0..600 {
                let (new, _) = rows::insert(tx, ann, &notice(&n.to_string())).await?;
                let count = rows::trim(tx, ann, new.id, 20).await?;
                assert!(count.is_none_or(|count| count >= 20), "{count:?}");
                last = new.id;
            }
            Ok(last)
        });
        let last = added.await.expect("writes");
        let page =
            |user_id| NotificationPage { user_id, unread_only: false, before: None, limit: 1_000 };
        let left = db.read(async move |conn| rows::list(conn, &page(ann)).await);
        let left = left.await.expect("reads");
        assert!((20..250).contains(&left.len()), "{}", left.len());
        assert_eq!(left[0].id, last);
        assert!(left.windows(2).all(|pair| pair[0].id.0 == pair[1].id.0 + 1), "the newest");
        assert_eq!(unread(db, ann).await, i64::try_from(left.len()).expect("is small"));
        assert_eq!(titles(db, page(ben)).await, ["his"]);
    });
}

//! Notifications: insert, list, count, mark read, delete.

#![expect(clippy::missing_errors_doc, reason = "queries fail as the database does; what a caller can meet beyond that is in their docs")]

use diesel::dsl::not;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{Notice, Notification, NotificationId, Timestamp, UserId};
use crate::schema::{notifications, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// Which notifications of one user, and how many.
pub struct Page {
    pub user_id: UserId,
    pub unread_only: bool,
    /// Only those that came before this one.
    pub before: Option<NotificationId>,
    pub limit: i64,
}

/// Keeps these users' notifications for this transaction until its end. To be called before their rows are changed: then what is counted here is
/// still true when it is announced, and two transactions that change the same rows do not wait for each other. SQLite's writes are alone anyway.
pub async fn hold(tx: &mut Tx, ids: &[UserId]) -> QueryResult<()> {
    match tx.conn() {
        Conn::Sqlite(_) => Ok(()),
        Conn::Postgres(conn) => {
            use diesel_async::RunQueryDsl as _;
            // In the order of ids, so that no two wait for each other; and no lock that the foreign key's own would have to wait for.
            let held = users::table.filter(users::id.eq_any(ids)).order(users::id).select(users::id).for_no_key_update();
            held.load::<UserId>(conn).await.map(|_| ())
        }
    }
}

/// Adds an unread notification. A user who does not exist is a [missing reference](crate::store::is_missing_reference).
pub async fn insert(tx: &mut Tx, user_id: UserId, notice: &Notice) -> QueryResult<Notification> {
    let created_at = Timestamp::now();
    let Notice { kind, title, message, data } = notice;
    let row = (
        notifications::user_id.eq(user_id),
        notifications::kind.eq(kind),
        notifications::title.eq(title),
        notifications::message.eq(message),
        notifications::data.eq(data.as_ref()),
        notifications::is_read.eq(false),
        notifications::created_at.eq(created_at),
    );
    let id = query!(tx.conn(), c => diesel::insert_into(notifications::table).values(row).returning(notifications::id).get_result(c))?;
    let Notice { kind, title, message, data } = notice.clone();
    Ok(Notification { id, user_id, kind, title, message, data, is_read: false, created_at })
}

/// A page of a user's notifications, newest first.
pub async fn list(conn: &mut Conn, page: &Page) -> QueryResult<Vec<Notification>> {
    query!(conn, c => {
        let mine = notifications::table.filter(notifications::user_id.eq(page.user_id));
        let mut rows = mine.select(Notification::as_select()).order(notifications::id.desc()).limit(page.limit).into_boxed();
        if page.unread_only {
            // Not `is_read = false`: the partial index serves this form alone.
            rows = rows.filter(not(notifications::is_read));
        }
        if let Some(before) = page.before {
            rows = rows.filter(notifications::id.lt(before));
        }
        rows.load(c)
    })
}

/// How many a user has not read.
pub async fn unread_count(conn: &mut Conn, user: UserId) -> QueryResult<i64> {
    query!(conn, c => unread_of(user).count().get_result(c))
}

/// A user's unread ones, in the form that the partial index serves.
#[diesel::dsl::auto_type(no_type_alias)]
fn unread_of(user: UserId) -> _ {
    notifications::table.filter(notifications::user_id.eq(user)).filter(not(notifications::is_read))
}

/// Marks one of a user's as read; it, and whether that changed it. `None` when the user has no such notification.
pub async fn mark_read(tx: &mut Tx, user: UserId, id: NotificationId) -> QueryResult<Option<(Notification, bool)>> {
    let changed = query!(tx.conn(), c => {
        diesel::update(unread_of(user).filter(notifications::id.eq(id)))
            .set(notifications::is_read.eq(true))
            .returning(Notification::as_returning())
            .get_result(c)
    })
    .optional()?;
    if let Some(changed) = changed {
        return Ok(Some((changed, true)));
    }
    let found = query!(tx.conn(), c => {
        notifications::table.find(id).filter(notifications::user_id.eq(user)).select(Notification::as_select()).first(c)
    })
    .optional()?;
    Ok(found.map(|read_before| (read_before, false)))
}

/// Marks all of a user's as read; how many that changed.
pub async fn mark_all_read(tx: &mut Tx, user: UserId) -> QueryResult<usize> {
    query!(tx.conn(), c => diesel::update(unread_of(user)).set(notifications::is_read.eq(true)).execute(c))
}

/// Removes one of a user's; whether there was one.
pub async fn delete(tx: &mut Tx, user: UserId, id: NotificationId) -> QueryResult<bool> {
    let removed = query!(tx.conn(), c => {
        diesel::delete(notifications::table.find(id).filter(notifications::user_id.eq(user))).execute(c)
    })?;
    Ok(removed == 1)
}

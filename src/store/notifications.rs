//! Notifications: insert, list, count, mark read, delete.
//!
//! A count of unread notifications is a column of the user, which changes with the rows. To mark
//! all as read moves one mark of the user, and leaves the rows as they are. So none of these costs
//! more for a user with more notifications.

use diesel::sql_types::{Bool, Text};
use diesel::{
    ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
    SelectableHelper,
};

use crate::event::Room;
use crate::model::{EventId, Notice, Notification, NotificationId, Timestamp, UserId};
use crate::schema::{log_head, notifications, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A page of a user's notifications.
pub struct NotificationPage {
    pub user_id: UserId,
    pub unread_only: bool,
    /// The page has only notifications before this one.
    pub before: Option<NotificationId>,
    pub limit: i64,
}

// A literal, where `eq(false)` would bind a value: only this form uses the partial index.
diesel::postfix_operator!(IsFalse, " = FALSE", Bool);

#[diesel::dsl::auto_type]
pub(super) fn of(user: UserId) -> _ {
    notifications::table.filter(notifications::user_id.eq(user))
}

/// The notification up to which all of a user's count as read. A subquery, so that a page and the
/// mark are of one moment, and the index finds the page.
#[diesel::dsl::auto_type]
fn read_mark(user: UserId) -> _ {
    users::table.find(user).select(users::notifications_read_up_to).single_value().assume_not_null()
}

#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn unread_of(user: UserId) -> _ {
    let unread: IsFalse<notifications::is_read> = IsFalse::new(notifications::is_read);
    let (all, mark): (of, read_mark) = (of(user), read_mark(user));
    all.filter(unread).filter(notifications::id.gt(mark))
}

/// Locks these users' notifications and their counts until the commit. Must be called before they
/// change: then a count is still true when it is announced, ids of one user's notifications follow
/// the order of commits, and two transactions that change the same rows do not deadlock. On SQLite
/// writes never overlap. Returns the users that exist.
pub async fn lock_users(tx: &mut Tx, ids: &[UserId]) -> QueryResult<Vec<UserId>> {
    match tx.conn() {
        Conn::Sqlite(_) => Ok(ids.to_vec()),
        Conn::Postgres(conn) => {
            use diesel_async::RunQueryDsl as _;
            // Locks in id order, so that no two deadlock; and takes no stronger lock, which the
            // foreign key's own would have to wait for.
            let held = users::table
                .filter(users::id.eq_any(ids))
                .order(users::id)
                .select(users::id)
                .for_no_key_update();
            held.load(conn).await
        }
    }
}

/// Adds an unread notification. Also returns the new count. A missing user is a [missing
/// reference](crate::store::is_missing_reference).
pub async fn insert(
    tx: &mut Tx,
    user_id: UserId,
    notice: &Notice,
) -> QueryResult<(Notification, i64)> {
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
    let id = query!(tx.conn(), |c| diesel::insert_into(notifications::table)
        .values(row)
        .returning(notifications::id)
        .get_result(c))?;
    let count = add_to_count(tx, user_id, 1).await?;
    let Notice { kind, title, message, data } = notice.clone();
    let new = Notification { id, user_id, kind, title, message, data, is_read: false, created_at };
    Ok((new, count))
}

/// Changes the count of a user's unread notifications, and returns the new one.
async fn add_to_count(tx: &mut Tx, user: UserId, change: i64) -> QueryResult<i64> {
    query!(tx.conn(), |c| {
        diesel::update(users::table.find(user))
            .set(users::unread_notifications.eq(users::unread_notifications + change))
            .returning(users::unread_notifications)
            .get_result(c)
    })
}

/// A page of a user's notifications, newest first.
pub async fn list(conn: &mut Conn, page: &NotificationPage) -> QueryResult<Vec<Notification>> {
    let NotificationPage { user_id, before, limit, .. } = *page;
    let older = notifications::id.lt(before.unwrap_or(NotificationId(i64::MAX)));
    let newest = notifications::id.desc();
    let rows: Vec<(Notification, NotificationId)> = if page.unread_only {
        query!(conn, |c| unread_of(user_id)
            .filter(older)
            .order(newest)
            .limit(limit)
            .select((Notification::as_select(), read_mark(user_id)))
            .load(c))
    } else {
        query!(conn, |c| of(user_id)
            .filter(older)
            .order(newest)
            .limit(limit)
            .select((Notification::as_select(), read_mark(user_id)))
            .load(c))
    }?;
    let marked = |(row, mark): (Notification, _)| Notification {
        is_read: row.is_read || row.id <= mark,
        ..row
    };
    Ok(rows.into_iter().map(marked).collect())
}

/// The count of a user's unread notifications.
pub async fn unread_count(conn: &mut Conn, user: UserId) -> QueryResult<i64> {
    let count =
        query!(conn, |c| users::table.find(user).select(users::unread_notifications).first(c))
            .optional()?;
    Ok(count.unwrap_or_default())
}

/// The count of a user's unread notifications, and the log's last event at that moment: every
/// event that has changed the count is in the log up to there. `None` if such an event has no id
/// yet, as on PostgreSQL until it is appended, or if there is no such user.
pub async fn count_with_position(
    conn: &mut Conn,
    user: UserId,
) -> QueryResult<Option<(i64, EventId)>> {
    let head = log_head::table.select(log_head::last_id).single_value().assume_not_null();
    // One statement sees one moment.
    let found = match conn {
        Conn::Sqlite(conn) => {
            let columns = (users::unread_notifications, head);
            let row = users::table.find(user).select(columns);
            diesel::RunQueryDsl::first(row, conn).map(|(count, head)| (count, head, false))
        }
        Conn::Postgres(conn) => {
            let is_waiting =
                diesel::dsl::sql::<Bool>("EXISTS (SELECT FROM outbox WHERE name IS NOT NULL AND ")
                    .bind::<Text, _>(Room::User(user).to_string())
                    .sql(" = ANY (rooms))");
            let columns = (users::unread_notifications, head, is_waiting);
            let row = users::table.find(user).select(columns);
            diesel_async::RunQueryDsl::first(row, conn).await
        }
    };
    let found: Option<(i64, EventId, bool)> = found.optional()?;
    Ok(found.filter(|(.., is_waiting)| !is_waiting).map(|(count, head, _)| (count, head)))
}

/// Marks one of a user's notifications as read. Returns it, and the new count if that has changed;
/// `None` if the user has no such notification.
pub async fn mark_read(
    tx: &mut Tx,
    user: UserId,
    id: NotificationId,
) -> QueryResult<Option<(Notification, Option<i64>)>> {
    let changed = query!(tx.conn(), |c| {
        diesel::update(unread_of(user).filter(notifications::id.eq(id)))
            .set(notifications::is_read.eq(true))
            .returning(Notification::as_returning())
            .get_result(c)
    })
    .optional()?;
    if let Some(changed) = changed {
        return Ok(Some((changed, Some(add_to_count(tx, user, -1).await?))));
    }
    let found: Option<Notification> = query!(tx.conn(), |c| {
        of(user).filter(notifications::id.eq(id)).select(Notification::as_select()).first(c)
    })
    .optional()?;
    Ok(found.map(|read_before| (Notification { is_read: true, ..read_before }, None)))
}

/// Marks all of a user's notifications as read. Returns the number that changed.
pub async fn mark_all_read(tx: &mut Tx, user: UserId) -> QueryResult<usize> {
    let unread = unread_count(tx.conn(), user).await?;
    if unread == 0 {
        return Ok(0);
    }
    let newest = of(user).order(notifications::id.desc()).select(notifications::id);
    let newest: NotificationId = query!(tx.conn(), |c| newest.first(c))?;
    let mark = (users::notifications_read_up_to.eq(newest), users::unread_notifications.eq(0));
    query!(tx.conn(), |c| diesel::update(users::table.find(user)).set(mark).execute(c))?;
    Ok(usize::try_from(unread).unwrap_or_default())
}

/// Removes one of a user's notifications. Returns the new count; `None` if there was no such
/// notification.
pub async fn delete(tx: &mut Tx, user: UserId, id: NotificationId) -> QueryResult<Option<i64>> {
    let mine = of(user).filter(notifications::id.eq(id));
    let found: Option<(bool, NotificationId)> =
        query!(tx.conn(), |c| mine.select((notifications::is_read, read_mark(user))).first(c))
            .optional()?;
    let Some((is_read, mark)) = found else { return Ok(None) };
    query!(tx.conn(), |c| diesel::delete(notifications::table.find(id)).execute(c))?;
    let change = if is_read || id <= mark { 0 } else { -1 };
    add_to_count(tx, user, change).await.map(Some)
}

/// The most notifications of a user that are kept, give or take a few.
pub const KEPT: i64 = 10_000;
/// The most that one [`trim`] removes. More than are added between two that look.
const TRIMMED: i64 = 100;

/// Removes a user's oldest notifications beyond the newest `kept`, after `added` was added. Looks
/// once in 64 times, because the look counts. Returns the new count of unread ones, if it removes
/// any. The caller holds [the lock](lock_users).
pub async fn trim(
    tx: &mut Tx,
    user: UserId,
    added: NotificationId,
    kept: i64,
) -> QueryResult<Option<i64>> {
    // Fibonacci hashing: also of ids with a step between them one in 64 is looked at.
    let hash = added.0.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    if hash >> 58 != 0 {
        return Ok(None);
    }
    let newest_first = of(user).order(notifications::id.desc()).select(notifications::id);
    let newest: Option<NotificationId> =
        query!(tx.conn(), |c| newest_first.offset(kept).first(c)).optional()?;
    let Some(newest) = newest else { return Ok(None) };
    let old: Vec<NotificationId> = query!(tx.conn(), |c| of(user)
        .filter(notifications::id.le(newest))
        .order(notifications::id)
        .limit(TRIMMED)
        .select(notifications::id)
        .load(c))?;
    let mut count = None;
    for id in old {
        count = delete(tx, user, id).await?.or(count);
    }
    Ok(count)
}

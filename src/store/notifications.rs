//! Notifications: insert, list, count, mark read, delete.

use diesel::sql_types::Bool;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{Notice, Notification, NotificationId, Timestamp, UserId};
use crate::schema::{notifications, users};
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

#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn of(user: UserId) -> _ {
    notifications::table.filter(notifications::user_id.eq(user))
}

#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn unread_of(user: UserId) -> _ {
    let unread: IsFalse<notifications::is_read> = IsFalse::new(notifications::is_read);
    notifications::table.filter(notifications::user_id.eq(user)).filter(unread)
}

/// Locks these users' notifications until the commit. Must be called before their rows change: then
/// a count is still true when it is announced, and two transactions that change the same rows do
/// not deadlock. On SQLite writes never overlap. Returns the users that exist.
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

/// Adds an unread notification. A missing user is a [missing
/// reference](crate::store::is_missing_reference).
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
    let id = query!(tx.conn(), |c| diesel::insert_into(notifications::table)
        .values(row)
        .returning(notifications::id)
        .get_result(c))?;
    let Notice { kind, title, message, data } = notice.clone();
    Ok(Notification { id, user_id, kind, title, message, data, is_read: false, created_at })
}

/// A page of a user's notifications, newest first.
pub async fn list(conn: &mut Conn, page: &NotificationPage) -> QueryResult<Vec<Notification>> {
    let NotificationPage { user_id, before, limit, .. } = *page;
    let older = notifications::id.lt(before.unwrap_or(NotificationId(i64::MAX)));
    let newest = notifications::id.desc();
    if page.unread_only {
        query!(conn, |c| unread_of(user_id)
            .filter(older)
            .order(newest)
            .limit(limit)
            .select(Notification::as_select())
            .load(c))
    } else {
        query!(conn, |c| of(user_id)
            .filter(older)
            .order(newest)
            .limit(limit)
            .select(Notification::as_select())
            .load(c))
    }
}

/// Counts a user's unread notifications.
pub async fn unread_count(conn: &mut Conn, user: UserId) -> QueryResult<i64> {
    query!(conn, |c| unread_of(user).count().get_result(c))
}

/// Marks one of a user's notifications as read. Returns it, and true if that changed it; `None` if
/// the user has no such notification.
pub async fn mark_read(
    tx: &mut Tx,
    user: UserId,
    id: NotificationId,
) -> QueryResult<Option<(Notification, bool)>> {
    let changed = query!(tx.conn(), |c| {
        diesel::update(unread_of(user).filter(notifications::id.eq(id)))
            .set(notifications::is_read.eq(true))
            .returning(Notification::as_returning())
            .get_result(c)
    })
    .optional()?;
    if let Some(changed) = changed {
        return Ok(Some((changed, true)));
    }
    let found = query!(tx.conn(), |c| {
        notifications::table
            .find(id)
            .filter(notifications::user_id.eq(user))
            .select(Notification::as_select())
            .first(c)
    })
    .optional()?;
    Ok(found.map(|read_before| (read_before, false)))
}

/// Marks all of a user's notifications as read. Returns the number that changed.
pub async fn mark_all_read(tx: &mut Tx, user: UserId) -> QueryResult<usize> {
    // Selects ids first: SQLite does not use an index that the statement changes, and would scan
    // all of the user's notifications.
    let own = diesel::alias!(notifications as own);
    let unread = own
        .filter(own.field(notifications::user_id).eq(user))
        .filter(IsFalse::new(own.field(notifications::is_read)));
    let these = notifications::table
        .filter(notifications::id.eq_any(unread.select(own.field(notifications::id))));
    query!(tx.conn(), |c| diesel::update(these).set(notifications::is_read.eq(true)).execute(c))
}

/// Removes one of a user's notifications. Returns false if there was none.
pub async fn delete(tx: &mut Tx, user: UserId, id: NotificationId) -> QueryResult<bool> {
    let removed = query!(tx.conn(), |c| {
        diesel::delete(notifications::table.find(id).filter(notifications::user_id.eq(user)))
            .execute(c)
    })?;
    Ok(removed == 1)
}

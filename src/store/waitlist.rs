//! Waitlists of products: add, remove, count, empty. All changes except a removal require that the
//! product is [locked](crate::store::products::lock).

use diesel::{
    ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
};

use crate::model::{OrderId, ProductId, Timestamp, UserId, WaitlistEntry};
use crate::schema::{order_items, waitlist};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// Adds a user to the list.
pub async fn add(
    tx: &mut Tx,
    product_id: ProductId,
    user_id: UserId,
) -> QueryResult<WaitlistEntry> {
    let created_at = Timestamp::now();
    let row = (
        waitlist::product_id.eq(product_id),
        waitlist::user_id.eq(user_id),
        waitlist::created_at.eq(created_at),
    );
    query!(tx.conn(), |c| diesel::insert_into(waitlist::table).values(row).execute(c))?;
    Ok(WaitlistEntry { product_id, user_id, created_at })
}

/// The user's entry on the list.
pub async fn of(
    tx: &mut Tx,
    product: ProductId,
    user: UserId,
) -> QueryResult<Option<WaitlistEntry>> {
    query!(tx.conn(), |c| waitlist::table.find((product, user)).first(c)).optional()
}

/// Counts the users on a product's list.
pub async fn count(conn: &mut Conn, product: ProductId) -> QueryResult<i64> {
    query!(conn, |c| waitlist::table.filter(waitlist::product_id.eq(product)).count().get_result(c))
}

/// Counts the entries on the lists of an order's products.
pub async fn count_behind(conn: &mut Conn, order: OrderId) -> QueryResult<i64> {
    let ordered = order_items::table
        .filter(order_items::order_id.eq(order))
        .select(order_items::product_id.assume_not_null());
    query!(conn, |c| waitlist::table
        .filter(waitlist::product_id.eq_any(ordered))
        .count()
        .get_result(c))
}

/// Removes a user from the list. Returns false if the user was not on it.
pub async fn remove(tx: &mut Tx, product: ProductId, user: UserId) -> QueryResult<bool> {
    query!(tx.conn(), |c| diesel::delete(waitlist::table.find((product, user))).execute(c))
        .map(|removed| removed > 0)
}

/// Empties the list. Returns its users, ascending.
pub async fn empty(tx: &mut Tx, product: ProductId) -> QueryResult<Vec<UserId>> {
    let all = waitlist::table.filter(waitlist::product_id.eq(product));
    // Deletes in one statement, so a user that left meanwhile is not returned.
    let mut users: Vec<UserId> =
        query!(tx.conn(), |c| diesel::delete(all).returning(waitlist::user_id).get_results(c))?;
    users.sort_unstable();
    Ok(users)
}

//! Waitlists of products: add, remove, count, empty. Changed by who has the product
//! [locked](crate::store::products::hold), but for a removal.

#![expect(
    clippy::missing_errors_doc,
    reason = "queries fail as the database does; what a caller can meet beyond that is in their docs"
)]

use diesel::{
    ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, QueryResult,
};

use crate::model::{OrderId, ProductId, Timestamp, UserId, WaitlistEntry};
use crate::schema::{order_items, waitlist};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// Puts a user on the list.
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
    query!(tx.conn(), c => diesel::insert_into(waitlist::table).values(row).execute(c))?;
    Ok(WaitlistEntry { product_id, user_id, created_at })
}

/// The user's place on the list.
pub async fn of(
    tx: &mut Tx,
    product: ProductId,
    user: UserId,
) -> QueryResult<Option<WaitlistEntry>> {
    query!(tx.conn(), c => waitlist::table.find((product, user)).first(c)).optional()
}

/// How many wait for a product.
pub async fn count(conn: &mut Conn, product: ProductId) -> QueryResult<i64> {
    query!(conn, c => waitlist::table.filter(waitlist::product_id.eq(product)).count().get_result(c))
}

/// How many wait for what that order has.
pub async fn count_behind(conn: &mut Conn, order: OrderId) -> QueryResult<i64> {
    let ordered = order_items::table
        .filter(order_items::order_id.eq(order))
        .select(order_items::product_id.assume_not_null());
    query!(conn, c => waitlist::table.filter(waitlist::product_id.eq_any(ordered)).count().get_result(c))
}

/// Takes a user from the list; false: it was not there.
pub async fn remove(tx: &mut Tx, product: ProductId, user: UserId) -> QueryResult<bool> {
    query!(tx.conn(), c => diesel::delete(waitlist::table.find((product, user))).execute(c))
        .map(|removed| removed > 0)
}

/// Takes all from the list, and gives them, ascending.
pub async fn empty(tx: &mut Tx, product: ProductId) -> QueryResult<Vec<UserId>> {
    let all = waitlist::table.filter(waitlist::product_id.eq(product));
    // At once: who has left meanwhile is not given.
    let mut users: Vec<UserId> =
        query!(tx.conn(), c => diesel::delete(all).returning(waitlist::user_id).get_results(c))?;
    users.sort_unstable();
    Ok(users)
}

//! What each user has: the table `usage`, which triggers keep.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, QueryResult,
    Queryable, Selectable, SelectableHelper,
};

use crate::model::{OrderId, UserId};
use crate::schema::{order_items, orders, usage, waitlist};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// What one user has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = usage)]
pub struct Usage {
    pub products: i64,
    pub projects: i64,
    /// Those that the user owns.
    pub conversations: i64,
    pub reviews: i64,
    /// Places on waitlists.
    pub waiting: i64,
    /// Orders of the user that are pending.
    pub unpaid: i64,
    /// Answers under Idempotency-Keys.
    pub kept_answers: i64,
    /// Bytes of the texts of all these, of messages and of orders, each row with 200 more.
    pub bytes: i64,
}

/// What these users have. Users that do not exist are left out.
pub async fn of(conn: &mut Conn, users: &[UserId]) -> QueryResult<HashMap<UserId, Usage>> {
    let found: Vec<(UserId, Usage)> = match users {
        [] => Vec::new(),
        // One text for one user, which is prepared once.
        [user] => query!(conn, |c| usage::table
            .find(user)
            .select((usage::user_id, Usage::as_select()))
            .load(c))?,
        _ => query!(conn, |c| usage::table
            .filter(usage::user_id.eq_any(users))
            .select((usage::user_id, Usage::as_select()))
            .load(c))?,
    };
    Ok(found.into_iter().collect())
}

/// Locks the order, and then the rows that its cancellation changes, until the commit: those of its
/// customer and of the users who wait for its products, in one order, so that two cancellations do
/// not deadlock. The products are locked. On SQLite writes never overlap.
pub async fn lock_behind(tx: &mut Tx, order: OrderId) -> QueryResult<()> {
    let Conn::Postgres(conn) = tx.conn() else { return Ok(()) };
    let locked = orders::table.find(order).select(orders::id).for_no_key_update();
    diesel_async::RunQueryDsl::load::<OrderId>(locked, conn).await?;
    let customer = orders::table.find(order).select(orders::customer_id.assume_not_null());
    let ordered = order_items::table
        .filter(order_items::order_id.eq(order))
        .select(order_items::product_id.assume_not_null());
    let waiting =
        waitlist::table.filter(waitlist::product_id.eq_any(ordered)).select(waitlist::user_id);
    let rows = usage::table
        .filter(usage::user_id.eq_any(customer).or(usage::user_id.eq_any(waiting)))
        .order(usage::user_id)
        .select(usage::user_id)
        .for_no_key_update();
    diesel_async::RunQueryDsl::load::<UserId>(rows, conn).await.map(drop)
}

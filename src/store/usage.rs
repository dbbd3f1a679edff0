//! What each user has: the table `usage`, which triggers keep.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, QueryResult, Queryable, Selectable, SelectableHelper};

use crate::model::UserId;
use crate::schema::usage;
use crate::store::Conn;
use crate::store::conn::query;

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

//! Orders: insert, one or many, by id, list, advance, cancel those that nobody pays; their items.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Bool, Nullable, Text};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{Money, Order, OrderDetail, OrderId, OrderItem, OrderStatus, Timestamp, UserId};
use crate::schema::{order_items, orders, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// An order to insert.
pub struct NewOrder {
    pub customer_id: Option<UserId>,
    pub total: Money,
}

/// A page of orders.
pub struct OrderPage {
    /// The orders of one customer, or all.
    pub customer_id: Option<UserId>,
    /// The page has only orders placed before this one.
    pub before: Option<OrderId>,
    pub limit: i64,
}

/// Adds a pending order. A missing customer is a [missing
/// reference](crate::store::is_missing_reference).
pub async fn insert(tx: &mut Tx, new: &NewOrder) -> QueryResult<Order> {
    let now = Timestamp::now();
    let status = OrderStatus::Pending;
    let row = (
        orders::customer_id.eq(new.customer_id),
        orders::total_minor.eq(new.total),
        orders::status.eq(status),
        orders::created_at.eq(now),
        orders::updated_at.eq(now),
    );
    let id = query!(tx.conn(), |c| diesel::insert_into(orders::table)
        .values(row)
        .returning(orders::id)
        .get_result(c))?;
    Ok(Order {
        id,
        customer_id: new.customer_id,
        total: new.total,
        status,
        created_at: now,
        updated_at: now,
        shipped_at: None,
    })
}

/// Like [`insert`], for many orders, in that order. One missing customer fails all.
pub async fn insert_all(tx: &mut Tx, new: &[&NewOrder]) -> QueryResult<Vec<Order>> {
    let Conn::Postgres(conn) = tx.conn() else {
        let mut orders = Vec::with_capacity(new.len());
        for new in new {
            orders.push(insert(tx, new).await?);
        }
        return Ok(orders);
    };
    let (now, status) = (Timestamp::now(), OrderStatus::Pending);
    let statement = InsertAll {
        customers: new.iter().map(|new| new.customer_id).collect(),
        totals: new.iter().map(|new| new.total).collect(),
        status,
        now,
    };
    let mut ids: Vec<OrderId> = diesel_async::RunQueryDsl::load(statement, conn).await?;
    // PostgreSQL assigns ids in the order of the rows, and may return them in any.
    ids.sort_unstable();
    let order = |(new, id): (&&NewOrder, OrderId)| {
        let NewOrder { customer_id, total } = **new;
        Order { id, customer_id, total, status, created_at: now, updated_at: now, shipped_at: None }
    };
    Ok(new.iter().zip(ids).map(order).collect())
}

/// The same text for any number of rows, so that it is prepared only once.
#[derive(QueryId)]
struct InsertAll {
    customers: Vec<Option<UserId>>,
    totals: Vec<Money>,
    status: OrderStatus,
    now: Timestamp,
}

impl Query for InsertAll {
    type SqlType = BigInt;
}

impl QueryFragment<Pg> for InsertAll {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO orders (customer_id, total_minor, status, created_at, updated_at) \
             SELECT customer, total, ",
        );
        out.push_bind_param::<Text, _>(&self.status)?;
        out.push_sql(", ");
        out.push_bind_param::<sql_types::Timestamp, _>(&self.now)?;
        out.push_sql(", ");
        out.push_bind_param::<sql_types::Timestamp, _>(&self.now)?;
        out.push_sql(" FROM UNNEST(");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.customers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.totals)?;
        out.push_sql(") WITH ORDINALITY AS line (customer, total, nth) ORDER BY nth RETURNING id");
        Ok(())
    }
}

/// The order with that id, with its customer.
pub async fn by_id(conn: &mut Conn, id: OrderId) -> QueryResult<Option<OrderDetail>> {
    query!(conn, |c| {
        orders::table
            .left_join(users::table)
            .filter(orders::id.eq(id))
            .select(OrderDetail::as_select())
            .first(c)
    })
    .optional()
}

/// A page of orders with their customers, newest first, in one query.
pub async fn list(conn: &mut Conn, page: &OrderPage) -> QueryResult<Vec<OrderDetail>> {
    query!(conn, |c| {
        let mut rows = orders::table
            .left_join(users::table)
            .select(OrderDetail::as_select())
            .order(orders::id.desc())
            .limit(page.limit)
            .into_boxed();
        if let Some(customer) = page.customer_id {
            rows = rows.filter(orders::customer_id.eq(customer));
        }
        if let Some(before) = page.before {
            rows = rows.filter(orders::id.lt(before));
        }
        rows.load(c)
    })
}

/// Adds the items of an order.
pub async fn insert_items(tx: &mut Tx, id: OrderId, items: &[OrderItem]) -> QueryResult<()> {
    let row = |item: &OrderItem| {
        (
            order_items::order_id.eq(id),
            order_items::product_id.eq(item.product_id),
            order_items::name.eq(item.name.clone()),
            order_items::quantity.eq(item.quantity),
            order_items::price_minor.eq(item.price),
        )
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    query!(tx.conn(), |c| diesel::insert_into(order_items::table).values(rows).execute(c))
        .map(|_| ())
}

/// The items of these orders, in the order in which they were added.
pub async fn items(
    conn: &mut Conn,
    ids: &[OrderId],
) -> QueryResult<HashMap<OrderId, Vec<OrderItem>>> {
    let rows: Vec<(OrderId, OrderItem)> = query!(conn, |c| {
        order_items::table
            .filter(order_items::order_id.eq_any(ids))
            .order(order_items::id)
            .select((order_items::order_id, OrderItem::as_select()))
            .load(c)
    })?;
    let mut items: HashMap<OrderId, Vec<OrderItem>> = HashMap::new();
    for (id, item) in rows {
        items.entry(id).or_default().push(item);
    }
    Ok(items)
}

/// Changes an order's status, if it still is `expected`; `None` if it is not, or there is no such
/// order. Shipping sets `shipped_at`.
pub async fn advance(
    tx: &mut Tx,
    id: OrderId,
    expected: OrderStatus,
    next: OrderStatus,
) -> QueryResult<Option<Order>> {
    let now = Timestamp::now();
    // `None` leaves the column unchanged.
    let shipped_at = (next == OrderStatus::Shipped).then(|| orders::shipped_at.eq(now));
    query!(tx.conn(), |c| {
        diesel::update(orders::table.filter(orders::id.eq(id)).filter(orders::status.eq(expected)))
            .set((orders::status.eq(next), orders::updated_at.eq(now), shipped_at))
            .returning(Order::as_returning())
            .get_result(c)
    })
    .optional()
}

#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn unpaid(until: Timestamp) -> _ {
    // Literals, where `eq` would bind values: only this form uses the partial index.
    let is_unpaid: SqlLiteral<Bool> = sql::<Bool>("status = 'pending' AND paid_minor = 0");
    orders::table.filter(is_unpaid).filter(orders::created_at.le(until))
}

/// The pending orders that were placed up to `until`, and of which nothing was paid: the oldest
/// ones after the first `skip`.
pub async fn unpaid_until(
    conn: &mut Conn,
    until: Timestamp,
    skip: i64,
    limit: i64,
) -> QueryResult<Vec<OrderId>> {
    query!(conn, |c| unpaid(until)
        .order((orders::created_at, orders::id))
        .offset(skip)
        .limit(limit)
        .select(orders::id)
        .load(c))
}

/// Cancels one of the orders that [`unpaid_until`] finds; `None` if it is none of them any more.
pub async fn cancel_unpaid(
    tx: &mut Tx,
    id: OrderId,
    until: Timestamp,
) -> QueryResult<Option<Order>> {
    let set = (orders::status.eq(OrderStatus::Cancelled), orders::updated_at.eq(Timestamp::now()));
    query!(tx.conn(), |c| {
        diesel::update(unpaid(until).filter(orders::id.eq(id)))
            .set(set)
            .returning(Order::as_returning())
            .get_result(c)
    })
    .optional()
}

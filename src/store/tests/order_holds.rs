//! Orders that are cancelled because nobody pays: which ones are found, and by which index; a
//! payment at the last moment; two servers at once.

use diesel::sqlite::Sqlite;
use diesel::{ExpressionMethods, QueryDsl, debug_query};

use super::notifications::plan;
use super::*;
use crate::model::{OrderId, Timestamp};
use crate::schema::orders as columns;
use crate::store::payments;

async fn cancel(db: &Db, id: OrderId, until: Timestamp) -> Option<OrderStatus> {
    let write = async move |tx: &mut Tx| {
        Ok(orders::cancel_unpaid(tx, id, until).await?.map(|order| order.status))
    };
    db.write(Once::Unkeyed, write).await.expect("writes")
}

async fn pay(db: &Db, id: OrderId, minor: i64) -> bool {
    let write = async move |tx: &mut Tx| {
        Ok(payments::pay(tx, id, Money::from_minor(minor)).await?.is_some())
    };
    db.write(Once::Unkeyed, write).await.expect("writes")
}

async fn place_one(db: &Db) -> OrderId {
    db.write(Once::Unkeyed, async |tx| place(tx, 100).await).await.expect("writes").id
}

#[test]
fn only_orders_of_which_nothing_was_paid_are_due_the_oldest_first() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let mut placed = Vec::new();
        for _ in 0..5 {
            placed.push(place_one(db).await);
        }
        let [old, part, paid, older, young] = placed.try_into().expect("five");
        assert!(pay(db, part, 1).await && pay(db, paid, 100).await);
        let now = Timestamp::now();
        let age = async move |tx: &mut Tx| {
            for (id, seconds) in [(old, 20), (part, 30), (paid, 30), (older, 40)] {
                let placed = now.before(std::time::Duration::from_secs(seconds));
                let set = columns::created_at.eq(placed);
                crate::store::conn::query!(tx.conn(), |c| {
                    diesel::update(columns::table.find(id)).set(set).execute(c)
                })?;
            }
            Ok(orders::advance(tx, paid, OrderStatus::Pending, OrderStatus::Paid).await?.is_some())
        };
        assert_eq!(db.write(Once::Unkeyed, age).await, Ok(true));
        let until = now.before(std::time::Duration::from_secs(10));
        let due = async |skip, limit| {
            let read = async move |conn: &mut crate::store::Conn| {
                orders::unpaid_until(conn, until, skip, limit).await
            };
            db.read(read).await.expect("reads")
        };
        assert_eq!(
            (due(0, 9).await, due(0, 1).await, due(1, 9).await),
            (vec![older, old], vec![older], vec![old])
        );
        for (id, outcome) in [
            (old, Some(OrderStatus::Cancelled)),
            (old, None),
            (part, None),
            (paid, None),
            (young, None),
        ] {
            assert_eq!(cancel(db, id, until).await, outcome);
        }
    });
}

#[test]
fn a_payment_at_the_last_moment_wins_or_loses_and_one_of_two_servers_cancels() {
    let TestStore { db, .. } = &test_store();
    run(async {
        for _ in 0..20 {
            let id = place_one(db).await;
            let until = Timestamp::now();
            let tasks = [0, 1].map(|_| {
                let db = db.clone();
                tokio::spawn(async move { cancel(&db, id, until).await.is_some() })
            });
            let paid = pay(db, id, 1).await;
            let mut cancelled = 0;
            for task in tasks {
                cancelled += usize::from(task.await.expect("joins"));
            }
            assert_eq!(cancelled + usize::from(paid), 1);
        }
    });
}

#[test]
fn due_orders_are_found_by_their_own_index() {
    let TestStore { folder, .. } = &sqlite_store();
    let due = orders::unpaid(Timestamp::now())
        .order((columns::created_at, columns::id))
        .select(columns::id);
    assert_eq!(
        plan(folder, &debug_query::<Sqlite, _>(&due).to_string()),
        "SEARCH orders USING COVERING INDEX orders_unpaid (created_at<?)\n"
    );
}

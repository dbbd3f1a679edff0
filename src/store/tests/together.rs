//! Writes of a kind that come together, on both databases; only PostgreSQL makes one of them.

use diesel::QueryResult;
use diesel::result::Error as DieselError;

use super::*;
use crate::store::BatchedWrite;

/// Places an order. Notes how many came together.
struct Place {
    new: NewOrder,
    fate: Fate,
    batches: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Written,
    Refused,
    Panics,
}

impl BatchedWrite for Place {
    type Answer = Order;
    type Done = Order;

    async fn write_batch(tx: &mut Tx, batch: &[&Self]) -> QueryResult<Vec<Result<Order, Error>>> {
        batch[0].batches.lock().expect("no test panics in here").push(batch.len()); // never an empty one
        assert!(batch.iter().all(|place| place.fate != Fate::Panics), "expected by the test");
        let new: Vec<_> = batch
            .iter()
            .filter(|place| place.fate == Fate::Written)
            .map(|place| &place.new)
            .collect();
        let mut orders = orders::insert_all(tx, &new).await?.into_iter();
        let done = |place: &&Self| {
            if place.fate == Fate::Written {
                orders.next().ok_or(Error::Internal)
            } else {
                Err(Error::Forbidden)
            }
        };
        Ok(batch.iter().map(done).collect())
    }

    fn refused(fault: DieselError) -> Error {
        if is_missing_reference(&fault) {
            Error::BadRequest("No such customer".into())
        } else {
            fault.into()
        }
    }

    fn announce(order: Order, tx: &mut Tx) -> Order {
        tx.emit(event::new_order(&order));
        order
    }
}

/// One for each, at once. What they came to, and how many came together each time.
async fn all_at_once(
    db: &Db,
    wanted: Vec<(Option<UserId>, Fate)>,
) -> (Vec<Result<i64, Error>>, Vec<usize>) {
    let batches = Arc::new(Mutex::default());
    let crowd: Vec<_> = (0..)
        .zip(wanted)
        .map(|(minor, (customer_id, fate))| {
            let place = Place {
                new: NewOrder { customer_id, total: Money::from_minor(minor) },
                fate,
                batches: Arc::clone(&batches),
            };
            let db = db.clone();
            tokio::spawn(async move { db.write_batched(Once::No, 0, place).await })
        })
        .collect();
    let mut answers = Vec::new();
    for write in crowd {
        answers.push(write.await.expect("joins").map(|order| order.total.minor()));
    }
    let batches = batches.lock().expect("no test panics in here").clone();
    (answers, batches)
}

/// How the announced orders lie in the log.
fn announced(log: &Recorder) -> Vec<i64> {
    let total = |event: CommittedEvent| {
        serde_json::from_str::<serde_json::Value>(&event.data).ok()?["total"]
            .as_str()?
            .replace('.', "")
            .parse()
            .ok()
    };
    log.events().into_iter().filter_map(total).collect()
}

#[test]
fn each_of_a_crowd_gets_its_own_answer_and_its_own_place() {
    let TestStore { db, log, postgres, .. } = &test_store();
    run(async {
        let (answers, batches) = all_at_once(db, vec![(None, Fate::Written); 100]).await;
        assert_eq!(answers, (0..100).map(Ok).collect::<Vec<_>>());
        assert_eq!(all_orders(db).await, (0..100).collect::<Vec<_>>());
        assert_eq!((log.ids(), announced(log)), ((1..=100).collect(), (0..100).collect()));
        if postgres.is_some() {
            assert!(batches.len() < 50, "{batches:?}: nothing was joined");
        }
    });
}

#[test]
fn who_is_refused_or_breaks_the_statement_takes_nobody_along() {
    let TestStore { db, log, postgres, .. } = &test_store();
    run(async {
        let user = add_user(db, "a@example.test").await.expect("writes").id;
        let nobody = UserId(user.0 + 1);
        let of = |n| match n {
            7 => (Some(nobody), Fate::Written),
            11 => (Some(user), Fate::Refused),
            13 => (None, Fate::Panics),
            _ => (Some(user), Fate::Written),
        };
        let (answers, batches) = all_at_once(db, (0..20).map(of).collect()).await;
        let expected = |n| match n {
            7 => Err(Error::BadRequest("No such customer".into())),
            11 => Err(Error::Forbidden),
            13 => Err(Error::Internal),
            _ => Ok(n),
        };
        assert_eq!(answers, (0..20).map(expected).collect::<Vec<_>>());
        let good: Vec<i64> = (0..20).filter(|n| ![7, 11, 13].contains(n)).collect();
        let mut written = announced(log);
        written.sort_unstable();
        assert_eq!(written, good);
        assert_eq!(all_orders(db).await.len(), good.len());
        assert_eq!(log.ids(), (1..=17).collect::<Vec<_>>());
        if postgres.is_some() {
            assert!(batches.iter().any(|size| *size > 1), "{batches:?}: nothing was joined");
        }
    });
}

#[test]
fn a_key_holds_for_one_of_a_kind_too() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let place = || Place {
            new: NewOrder { customer_id: None, total: Money::from_minor(5) },
            fate: Fate::Written,
            batches: Arc::default(),
        };
        let first = db.write_batched(key("a", 1), 0, place()).await.expect("writes");
        assert_eq!(db.write_batched(key("a", 1), 0, place()).await, Ok(first));
        assert_eq!(db.write_batched(key("a", 2), 0, place()).await, Err(Error::KeyReused));
        assert_eq!((all_orders(db).await, log.ids()), (vec![5], vec![1]));
    });
}

//! Batches of one kind of write, on both databases; only PostgreSQL runs them as one.

use diesel::QueryResult;
use diesel::result::Error as DieselError;

use super::*;
use crate::store::BatchedWrite;

/// Places an order. Records the sizes of batches.
struct PlaceOrder {
    new: NewOrder,
    behaviour: Behaviour,
    batches: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Written,
    Refused,
    Panics,
}

impl BatchedWrite for PlaceOrder {
    type Answer = Order;
    type Done = Order;

    async fn write_batch(tx: &mut Tx, batch: &[&Self]) -> QueryResult<Vec<Result<Order, Error>>> {
        let batches = &batch[0].batches; // a batch is never empty
        batches.lock().expect("no test panics in here").push(batch.len());
        assert!(
            batch.iter().all(|place| place.behaviour != Behaviour::Panics),
            "expected by the test"
        );
        let new: Vec<_> = batch
            .iter()
            .filter(|place| place.behaviour == Behaviour::Written)
            .map(|place| &place.new)
            .collect();
        let mut orders = orders::insert_all(tx, &new).await?.into_iter();
        let done = |place: &&Self| {
            if place.behaviour == Behaviour::Written {
                orders.next().ok_or(Error::Internal)
            } else {
                Err(Error::Forbidden)
            }
        };
        Ok(batch.iter().map(done).collect())
    }

    fn translate_error(fault: DieselError) -> Error {
        if is_missing_reference(&fault) {
            Error::BadRequest("No such customer".into())
        } else {
            fault.into()
        }
    }

    fn emit_and_answer(order: Order, tx: &mut Tx) -> Order {
        tx.emit(event::new_order(&order));
        order
    }
}

/// Places an order for each at once. Returns the outcomes, and the sizes of the batches.
async fn all_at_once(
    db: &Db,
    wanted: Vec<(Option<UserId>, Behaviour)>,
) -> (Vec<Result<i64, Error>>, Vec<usize>) {
    let batches = Arc::new(Mutex::default());
    let crowd: Vec<_> = (0..)
        .zip(wanted)
        .map(|(minor, (customer_id, behaviour))| {
            let place = PlaceOrder {
                new: NewOrder { customer_id, total: Money::from_minor(minor) },
                behaviour,
                batches: Arc::clone(&batches),
            };
            let db = db.clone();
            tokio::spawn(async move { db.write_batched(Once::Unkeyed, 0, place).await })
        })
        .collect();
    let mut answers = Vec::new();
    for write in crowd {
        answers.push(write.await.expect("joins").map(|order| order.total.minor()));
    }
    let batches = batches.lock().expect("no test panics in here").clone();
    (answers, batches)
}

/// The totals of the announced orders, in log order.
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
fn each_write_of_a_batch_gets_its_own_answer_and_position() {
    let TestStore { db, log, postgres, .. } = &test_store();
    run(async {
        let (answers, batches) = all_at_once(db, vec![(None, Behaviour::Written); 100]).await;
        assert_eq!(answers, (0..100).map(Ok).collect::<Vec<_>>());
        assert_eq!(all_orders(db).await, (0..100).collect::<Vec<_>>());
        assert_eq!((log.ids(), announced(log)), ((1..=100).collect(), (0..100).collect()));
        if postgres.is_some() {
            assert!(batches.len() < 50, "{batches:?}: no batch was made");
        }
    });
}

#[test]
fn a_failing_write_does_not_fail_its_batch() {
    let TestStore { db, log, postgres, .. } = &test_store();
    run(async {
        let user = add_user(db, "a@example.test").await.expect("writes").id;
        let missing = UserId(user.0 + 1);
        let of = |n| match n {
            7 => (Some(missing), Behaviour::Written),
            11 => (Some(user), Behaviour::Refused),
            13 => (None, Behaviour::Panics),
            _ => (Some(user), Behaviour::Written),
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
            assert!(batches.iter().any(|size| *size > 1), "{batches:?}: no batch was made");
        }
    });
}

#[test]
fn an_idempotency_key_holds_for_batched_writes() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let place = || PlaceOrder {
            new: NewOrder { customer_id: None, total: Money::from_minor(5) },
            behaviour: Behaviour::Written,
            batches: Arc::default(),
        };
        let first = db.write_batched(key("a", 1), 0, place()).await.expect("writes");
        assert_eq!(db.write_batched(key("a", 1), 0, place()).await, Ok(first));
        assert_eq!(db.write_batched(key("a", 2), 0, place()).await, Err(Error::KeyReused));
        assert_eq!((all_orders(db).await, log.ids()), (vec![5], vec![1]));
    });
}

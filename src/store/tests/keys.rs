//! Idempotency-Keys.

use super::*;

#[test]
fn the_same_key_gives_the_first_answer_and_another_body_is_refused() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let first = db.write(key("a", 1), async |tx| place(tx, 1).await).await.expect("writes");
        let again = db.write(key("a", 1), async |tx| place(tx, 1).await).await.expect("replays");
        assert_eq!(again, first);
        assert_eq!(
            db.write(key("a", 2), async |tx| place(tx, 2).await).await,
            Err(Error::KeyReused)
        );
        db.write(key("b", 2), async |tx| place(tx, 3).await)
            .await
            .expect("another key is another write");
        assert_eq!(all_orders(db).await, [1, 3]);
        assert_eq!(log.ids(), [1, 2]);
    });
}

#[test]
fn a_failed_write_does_not_consume_its_key() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let failed: Result<Order, _> =
            db.write(key("a", 1), async |_tx| Err(Error::Forbidden)).await;
        assert_eq!(failed, Err(Error::Forbidden));
        db.write(key("a", 2), async |tx| place(tx, 1).await).await.expect("the key is free");
    });
}

#[test]
fn twenty_concurrent_uses_of_a_key_give_one_row_and_one_event() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let crowd: Vec<_> = (0..20)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(
                    async move { db.write(key("a", 1), async |tx| place(tx, 1).await).await },
                )
            })
            .collect();
        let mut answers = Vec::new();
        for write in crowd {
            answers.push(write.await.expect("joins").expect("writes"));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1])); // windows of two have both
        assert_eq!(all_orders(db).await, [1]);
        assert_eq!(log.ids(), [1]);
    });
}

#[test]
fn keys_and_ids_continue_after_a_restart() {
    let TestStore { db, folder, .. } = &sqlite_store();
    let first = run(db.write(key("a", 1), async |tx| place(tx, 1).await)).expect("writes");
    db.close();
    let log = Arc::new(Recorder::default());
    let db = Db::open(&settings(folder), log.clone()).expect("opens again");
    run(async {
        assert_eq!(db.write(key("a", 1), async |tx| place(tx, 1).await).await, Ok(first));
        db.write(Once::Unkeyed, async |tx| place(tx, 2).await).await.expect("writes");
    });
    db.close();
    assert_eq!(log.ids(), [2]);
}

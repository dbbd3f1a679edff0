//! Concurrent writes, and writes that fail.

use super::*;

#[test]
fn concurrent_writes_are_committed_together_and_published_in_log_order() {
    let TestStore { db, log, .. } = &sqlite_store();
    run(async {
        let (release, holder) = block_writer(db);
        tokio::task::yield_now().await;
        let crowd: Vec<_> = (0..100)
            .map(|minor| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::Unkeyed, async move |tx| place(tx, minor).await).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        holder.await.expect("joins").expect("writes");
        for write in crowd {
            write.await.expect("joins").expect("writes");
        }
        assert_eq!(log.ids(), (1..=100).collect::<Vec<_>>());
        assert_eq!(all_orders(db).await, (0..100).collect::<Vec<_>>());
        let batches = log.batches.lock().expect("no test panics in here").len();
        assert!(batches < 100, "{batches} batches: no batch was made");
    });
}

#[test]
fn failures_and_panics_do_not_affect_the_rest_of_the_batch() {
    let TestStore { db, log, .. } = &sqlite_store();
    run(async {
        let (release, holder) = block_writer(db);
        tokio::task::yield_now().await;
        let crowd: Vec<_> = (0..30)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::Unkeyed, async move |tx| {
                        place(tx, n).await?;
                        match n % 3 {
                            0 => Ok(()),
                            1 => Err(Error::Forbidden),
                            _ => panic!("expected by the test"),
                        }
                    })
                    .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        holder.await.expect("joins").expect("writes");
        for (n, write) in crowd.into_iter().enumerate() {
            let expected = [Ok(()), Err(Error::Forbidden), Err(Error::Internal)][n % 3].clone();
            assert_eq!(write.await.expect("joins"), expected);
        }
        assert_eq!(all_orders(db).await, (0..30).step_by(3).collect::<Vec<_>>());
        assert_eq!(log.ids(), (1..=10).collect::<Vec<_>>());
    });
}

#[test]
fn a_write_runs_on_when_its_caller_is_gone() {
    let TestStore { db, log, .. } = &sqlite_store();
    run(async {
        let (release, holder) = block_writer(db);
        tokio::task::yield_now().await;
        let abandoned = tokio::spawn({
            let db = db.clone();
            async move { db.write(Once::Unkeyed, async |tx| place(tx, 7).await).await }
        });
        tokio::task::yield_now().await;
        abandoned.abort();
        assert!(abandoned.await.expect_err("was aborted").is_cancelled());
        drop(release);
        holder.await.expect("joins").expect("writes");
        // Queued after the abandoned write.
        db.write(Once::Unkeyed, async |_tx| Ok(())).await.expect("writes");
        assert_eq!(all_orders(db).await, [7]);
        assert_eq!(log.ids(), [1]);
    });
}

#[test]
fn closing_finishes_queued_writes_and_refuses_later_ones() {
    let TestStore { db, log, .. } = &sqlite_store();
    run(async {
        let (release, holder) = block_writer(db);
        tokio::task::yield_now().await;
        let queued: Vec<_> = (0..10)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::Unkeyed, async move |tx| place(tx, n).await).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(release);
        let closer = db.clone();
        tokio::task::spawn_blocking(move || closer.close()).await.expect("joins");
        holder.await.expect("joins").expect("writes");
        for write in queued {
            write.await.expect("joins").expect("queued writes are written");
        }
        assert_eq!(log.ids(), (1..=10).collect::<Vec<_>>());
        assert!(matches!(
            db.write(Once::Unkeyed, async |_tx| Ok(())).await,
            Err(Error::Unavailable(_))
        ));
        assert!(matches!(db.ready().await, Err(Error::Unavailable(_))));
    });
}

#[test]
fn a_write_that_fails_leaves_no_row_no_event_and_no_gap() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        db.write(Once::Unkeyed, async |tx| place(tx, 1).await).await.expect("writes");
        let failed = db
            .write(Once::Unkeyed, async |tx| {
                place(tx, 2).await?;
                Err::<(), _>(Error::Forbidden)
            })
            .await;
        assert_eq!(failed, Err(Error::Forbidden));
        db.write(Once::Unkeyed, async |tx| place(tx, 3).await).await.expect("writes");
        assert_eq!(log.ids(), [1, 2]);
        assert_eq!(all_orders(db).await, [1, 3]);
    });
}

#[test]
fn readers_survive_a_panic_in_a_read() {
    let TestStore { db, .. } = &test_store();
    run(async {
        for _ in 0..4 {
            let failed: Result<(), Error> =
                db.read(async |_conn| panic!("expected by the test")).await;
            assert_eq!(failed, Err(Error::Internal));
        }
        assert_eq!(db.ready().await, Ok(()));
    });
}

#[test]
fn writes_in_parallel_are_published_in_log_order_without_a_gap() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let crowd: Vec<_> = (0..100)
            .map(|minor| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(Once::Unkeyed, async move |tx| place(tx, minor).await).await
                })
            })
            .collect();
        for write in crowd {
            write.await.expect("joins").expect("writes");
        }
        assert_eq!(log.ids(), (1..=100).collect::<Vec<_>>());
    });
}

#[test]
fn callbacks_run_in_order_after_a_commit_and_not_after_a_rollback() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let mark = |log: &Arc<Recorder>| {
            let log = Arc::clone(log);
            move || log.batches.lock().expect("no test panics in here").push(Vec::new())
        };
        let (done, undone) = (mark(log), mark(log));
        db.write(Once::Unkeyed, async move |tx| {
            place(tx, 1).await?;
            tx.after_commit(done);
            place(tx, 2).await
        })
        .await
        .expect("writes");
        let refused = db.write(Once::Unkeyed, async move |tx| {
            tx.after_commit(undone);
            Err::<(), _>(Error::Forbidden)
        });
        assert_eq!(refused.await, Err(Error::Forbidden));
        let batches: Vec<usize> =
            log.batches.lock().expect("no test panics in here").iter().map(Vec::len).collect();
        assert_eq!(batches, [1, 0, 1]);
    });
}

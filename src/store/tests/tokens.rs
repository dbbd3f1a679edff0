//! Ends of tokens: the state of one token, the ends that other servers find, and their removal.

use std::time::Duration;

use super::*;
use crate::auth::{EndedTokens, TokenHolder, TokenId};
use crate::model::Timestamp;
use crate::store::tokens::{self, TokenStatus};
use crate::store::users::Account;

const ONE: TokenId = TokenId([1; 32]);
const OTHER: TokenId = TokenId([2; 32]);

async fn status(db: &Db, user: UserId, token: TokenId) -> Option<(i64, bool, bool)> {
    let found = db
        .read(async move |conn| tokens::token_status(conn, &TokenHolder::User(user), &token).await)
        .await
        .expect("reads");
    found.map(|TokenStatus { generation, ended_at, has_ended, .. }| {
        (generation, ended_at.is_some(), has_ended)
    })
}

async fn end(db: &Db, user: UserId, token: TokenId, until: Timestamp) {
    db.write(Once::Unkeyed, async move |tx| Ok(tokens::end(tx, user, &token, until).await?))
        .await
        .expect("writes");
}

#[test]
fn one_token_ends_by_digest_and_all_by_generation() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let (ann, bob) = (
            add_user(db, "ann@example.test").await.expect("adds"),
            add_user(db, "bob@example.test").await.expect("adds"),
        );
        let later = Timestamp::now().after(Duration::from_secs(60));
        assert_eq!(status(db, ann.id, ONE).await, Some((0, false, false)));
        for _ in 0..2 {
            end(db, ann.id, ONE, later).await;
        }
        assert_eq!(status(db, ann.id, ONE).await, Some((0, false, true)));
        assert_eq!(status(db, ann.id, OTHER).await, Some((0, false, false)));
        for (account, generation) in
            [(Account::Id(ann.id), 1), (Account::Email("ANN@example.test".into()), 2)]
        {
            let ended = db
                .write(Once::Unkeyed, async move |tx| {
                    Ok(tokens::end_all(tx, &account).await?.map(|(user, _)| user))
                })
                .await;
            assert_eq!(ended, Ok(Some(ann.clone())));
            assert_eq!(status(db, ann.id, OTHER).await, Some((generation, true, false)));
        }
        assert_eq!(status(db, bob.id, OTHER).await, Some((0, false, false)));
        let missing = Account::Id(UserId(99));
        let ended = db
            .write(Once::Unkeyed, async move |tx| {
                Ok(tokens::end_all(tx, &missing).await?.map(|(user, _)| user))
            })
            .await;
        assert_eq!(ended, Ok(None));
        assert_eq!(status(db, UserId(99), ONE).await, None);
    });
}

#[test]
fn ends_are_found_by_other_servers_and_removed_after_expiry() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let ann = add_user(db, "ann@example.test").await.expect("adds");
        let (now, minute) = (Timestamp::now(), Duration::from_secs(60));
        end(db, ann.id, ONE, now.before(61 * minute)).await;
        end(db, ann.id, OTHER, now.after(minute)).await;
        let all = db.write(Once::Unkeyed, async move |tx| {
            tokens::end_removed(tx, ann.id).await?;
            Ok(tokens::end_all(tx, &Account::Id(ann.id)).await?.map(|(user, _)| user))
        });
        assert_eq!(all.await, Ok(Some(ann.clone())));
        let found = async |moment| {
            db.read(async move |conn| tokens::since(conn, moment).await).await.expect("reads")
        };
        let kinds = |found: Vec<(UserId, EndedTokens)>| {
            assert!(found.iter().all(|(user, _)| *user == ann.id));
            let count =
                |is: fn(&EndedTokens) -> bool| found.iter().filter(|(_, ended)| is(ended)).count();
            [
                count(|ended| *ended == EndedTokens::One(ONE)),
                count(|ended| *ended == EndedTokens::One(OTHER)),
                count(|ended| matches!(ended, EndedTokens::Before { generation: 1, .. })),
                count(|ended| *ended == EndedTokens::All),
            ]
        };
        assert_eq!(kinds(found(now.before(minute)).await), [1, 1, 1, 1]);
        assert_eq!(kinds(found(now.after(minute)).await), [0; 4]);
        let purge =
            async || db.write(Once::Unkeyed, async |tx| Ok(tokens::purge(tx, 10).await?)).await;
        assert_eq!((purge().await, purge().await), (Ok(1), Ok(0)));
        assert_eq!(kinds(found(now.before(minute)).await), [0, 1, 1, 1]);
        assert_eq!(status(db, ann.id, OTHER).await, Some((1, true, true)));
    });
}

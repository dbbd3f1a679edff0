//! Projects, their members and stages, and what they share with conversations.

use super::conversations::{add_users, overview, project, start_conversation};
use super::*;
use crate::model::ProjectId;
use crate::store::{conversations, members, projects};

#[test]
fn project_members_join_and_leave_its_conversations() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let [ann, ben, cat] = add_users(db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        let id = project(db, vec![ann, ben]).await;
        let (bens, anns) = (
            start_conversation(db, Some(id), vec![ben, ann]).await,
            start_conversation(db, Some(id), vec![ann]).await,
        );
        let apart = start_conversation(db, None, vec![ben, ann]).await;
        let added = db.write(Once::Unkeyed, async move |tx| {
            let new = conversations::insert(tx, ann, None, Some(id)).await?.id;
            let strangers = conversations::add_project_members(tx, new, id, Some(&[cat])).await?;
            Ok((strangers, conversations::add_project_members(tx, new, id, None).await?))
        });
        assert_eq!(added.await, Ok((0, 2)));

        let gone = db.write(Once::Unkeyed, async move |tx| {
            assert!(projects::remove_member(tx, id, ben).await?);
            assert!(!projects::remove_member(tx, id, ben).await?);
            let joint = conversations::touch_joint(tx, id, ben).await?;
            conversations::remove_member(tx, &joint, ben).await?;
            conversations::pass_on(tx, &joint, ben).await?;
            Ok(joint)
        });
        let mut gone = gone.await.expect("writes");
        gone.sort();
        assert_eq!(gone.len(), 2);
        assert!(
            gone.contains(&bens) && !gone.contains(&anns) && !gone.contains(&apart),
            "{gone:?}"
        );
        assert_eq!(overview(db, ben).await.iter().map(|one| one.0).collect::<Vec<_>>(), [apart]);
        let owner = async |id| {
            let found = db
                .read(async move |conn| conversations::by_id(conn, id, ann).await)
                .await
                .expect("reads");
            found.expect("is there").conversation.owner_id
        };
        assert_eq!((owner(bens).await, owner(apart).await), (Some(ann), Some(ben)));
    });
}

#[test]
fn members_are_listed_once_with_names_in_order_of_joining() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let [ann, ben] = add_users(db, ["ann@x.test", "ben@x.test"]).await;
        let id = project(db, vec![ben, ann]).await;
        let first = db.read(async move |conn| members::first_of_project(conn, id).await);
        let (members, more) = first.await.expect("reads");
        assert_eq!(more, None);
        let mut found: Vec<_> =
            members.iter().map(|member| (member.user_id, member.name.as_str())).collect();
        found.sort();
        assert_eq!(found, [(ann, "Some One"), (ben, "Some One")]);
        assert!(members.is_sorted_by_key(|member| member.joined_at));
        let is_member = async |id, user| {
            db.read(async move |conn| projects::is_member(conn, id, user).await)
                .await
                .expect("reads")
        };
        assert!(
            is_member(id, ann).await
                && !is_member(ProjectId(99), ann).await
                && !is_member(id, UserId(99)).await
        );
        let again = db.write(Once::Unkeyed, async move |tx| {
            let fault = projects::add_member(tx, id, ann).await.expect_err("is refused");
            Err::<(), _>(if is_taken(&fault) {
                Error::Conflict("taken".into())
            } else {
                fault.into()
            })
        });
        assert_eq!(again.await, Err(Error::Conflict("taken".into())));
    });
}

#[test]
fn a_stage_is_completed_once() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let [ann] = add_users(db, ["ann@x.test"]).await;
        let (id, other) = (project(db, vec![ann]).await, project(db, vec![ann]).await);
        let stage = db
            .write(Once::Unkeyed, async move |tx| {
                Ok(projects::insert_stage(tx, id, "Design".into()).await?)
            })
            .await
            .expect("writes");
        assert_eq!((stage.completed_at, stage.completed_by), (None, None));
        let complete = async || {
            db.write(Once::Unkeyed, async move |tx| {
                Ok(projects::complete_stage(tx, stage.id, ann).await?)
            })
            .await
        };
        let done = complete().await.expect("writes").expect("completes");
        assert!(done.completed_at.is_some() && done.completed_by == Some(ann));
        assert_eq!(complete().await, Ok(None));
        assert_eq!(
            db.read(async move |conn| projects::first_stages(conn, id).await).await,
            Ok((vec![done.clone()], None))
        );
        let find = async |id| {
            db.read(async move |conn| projects::stage(conn, id, done.id).await)
                .await
                .expect("reads")
        };
        assert!(find(id).await.is_some() && find(other).await.is_none());
    });
}

#[test]
fn a_locked_member_is_not_removed_before_the_commit() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let [ann, ben] = add_users(db, ["ann@x.test", "ben@x.test"]).await;
        let (project, id) =
            (project(db, vec![ann, ben]).await, start_conversation(db, None, vec![ann, ben]).await);
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let mark = |minor| {
            let total = Money::from_minor(minor);
            async move |tx: &mut Tx| -> Result<(), Error> {
                let order = orders::insert(tx, &NewOrder { customer_id: None, total }).await?;
                tx.emit(event::new_order(&order));
                Ok(())
            }
        };
        let holder = tokio::spawn({
            let (db, mark) = (db.clone(), mark(1));
            async move {
                let work = async move |tx: &mut Tx| {
                    assert!(
                        projects::lock_member(tx, project, ben).await?
                            && conversations::lock_member(tx, id, ben).await?
                    );
                    assert!(!conversations::lock_member(tx, id, UserId(99)).await?);
                    let _ = begun.send(());
                    let _ = released.await;
                    mark(tx).await
                };
                db.write(Once::Unkeyed, work).await
            }
        });
        begins.await.expect("begins");
        let mut removals: Vec<_> = [0, 1]
            .map(|which| {
                let (db, mark) = (db.clone(), mark(2));
                tokio::spawn(async move {
                    let work = async move |tx: &mut Tx| {
                        match which {
                            0 => assert!(projects::remove_member(tx, project, ben).await?),
                            _ => assert_eq!(conversations::remove_member(tx, &[id], ben).await?, 1),
                        }
                        mark(tx).await
                    };
                    db.write(Once::Unkeyed, work).await
                })
            })
            .into();
        for removal in &mut removals {
            let early = tokio::time::timeout(std::time::Duration::from_millis(100), removal).await;
            assert!(early.is_err(), "the removal has to wait");
        }
        drop(release);
        holder.await.expect("joins").expect("writes");
        for removal in removals {
            removal.await.expect("joins").expect("writes");
        }
        let order: Vec<bool> =
            log.events().iter().map(|event| event.data.contains("0.01")).collect();
        assert_eq!(order, [true, false, false]);
    });
}

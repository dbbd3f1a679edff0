//! Projects, conversations and messages.

use super::*;
use crate::model::{ConversationId, Message, ProjectId};
use crate::store::messages::{self, NewMessage};
use crate::store::{conversations, projects};

pub(super) async fn people<const N: usize>(db: &Db, emails: [&'static str; N]) -> [UserId; N] {
    let mut ids = [UserId(0); N];
    for (id, email) in ids.iter_mut().zip(emails) {
        *id = add_user(db, email).await.expect("adds").id;
    }
    ids
}

pub(super) async fn talk(
    db: &Db,
    project: Option<ProjectId>,
    members: Vec<UserId>,
) -> ConversationId {
    let write = async move |tx: &mut Tx| {
        let id = conversations::insert(tx, members[0], None, project).await?.id; // every test gives an owner first
        let added = match project {
            Some(project) => {
                conversations::add_project_members(tx, id, project, Some(&members)).await?
            }
            None => conversations::add_users(tx, id, &members).await?,
        };
        assert_eq!(added, members.len());
        Ok(id)
    };
    db.write(Once::No, write).await.expect("writes")
}

async fn project(db: &Db, members: Vec<UserId>) -> ProjectId {
    let write = async move |tx: &mut Tx| {
        let content = projects::Content {
            name: "Relaunch".into(),
            description: None,
            status: "active".into(),
        };
        let id = projects::insert(tx, members[0], content).await?.id; // every test gives an owner first
        for member in members {
            projects::add_member(tx, id, member).await?;
        }
        Ok(id)
    };
    db.write(Once::No, write).await.expect("writes")
}

async fn say(
    db: &Db,
    conversation: ConversationId,
    sender: UserId,
    content: String,
    client_id: Option<&'static str>,
) -> Message {
    try_say(db, conversation, sender, content, client_id).await.expect("writes")
}

/// As the verb does it, without who may.
pub(super) async fn try_say(
    db: &Db,
    conversation: ConversationId,
    sender: UserId,
    content: String,
    client_id: Option<&'static str>,
) -> Result<Message, Error> {
    let write = async move |tx: &mut Tx| {
        let held = conversations::hold(tx, &[conversation])
            .await?
            .remove(&conversation)
            .expect("there is one");
        let names = client_id.map(|id| (conversation, sender, id.into()));
        if let Some(before) =
            messages::by_names(tx.conn(), names.as_slice()).await?.into_values().next()
        {
            return Ok(before);
        }
        let (seq, client_id) = (held.last_seq + 1, client_id.map(Into::into));
        let new = NewMessage { conversation, seq, sender, content, kind: "text".into(), client_id };
        let message = messages::insert_all(tx, vec![new]).await?.remove(0);
        for event in event::new_message(&message, held.members) {
            tx.emit(event);
        }
        Ok(message)
    };
    db.write(Once::No, write).await
}

pub(super) async fn history(db: &Db, conversation: ConversationId) -> Vec<Message> {
    let page = messages::Page { conversation, before: None, limit: 1000 };
    let mut all =
        db.read(async move |conn| messages::list(conn, &page).await).await.expect("reads");
    all.reverse();
    all
}

/// The member's conversations, each with what is unread and what was said last.
async fn overview(db: &Db, member: UserId) -> Vec<(ConversationId, i64, Option<String>)> {
    let page = conversations::Page { member, before: None, limit: 100 };
    let list =
        db.read(async move |conn| conversations::list(conn, &page).await).await.expect("reads");
    list.into_iter()
        .map(|one| {
            (one.conversation.id, one.unread_count, one.last_message.map(|last| last.content))
        })
        .collect()
}

#[test]
fn messages_sent_at_once_get_places_without_a_gap_in_the_order_of_the_log() {
    let House { db, log, .. } = &house();
    run(async {
        let [ann, ben] = people(db, ["ann@x.test", "ben@x.test"]).await;
        let id = talk(db, None, vec![ann, ben]).await;
        let crowd: Vec<_> = (0..60)
            .map(|n| {
                let (db, sender) = (db.clone(), if n % 2 == 0 { ann } else { ben });
                tokio::spawn(async move { say(&db, id, sender, n.to_string(), None).await })
            })
            .collect();
        for one in crowd {
            one.await.expect("joins");
        }
        let stored = history(db, id).await;
        assert_eq!(
            stored.iter().map(|message| message.seq).collect::<Vec<_>>(),
            (1..=60).collect::<Vec<_>>()
        );
        let announced: Vec<Message> = log
            .events()
            .iter()
            .filter(|event| event.name == "message:new")
            .map(|event| serde_json::from_str(&event.data).expect("a message"))
            .collect();
        assert_eq!(announced, stored);
    });
}

#[test]
fn one_client_id_is_one_message_also_when_twenty_come_at_once() {
    let House { db, log, .. } = &house();
    run(async {
        let [ann, ben] = people(db, ["ann@x.test", "ben@x.test"]).await;
        let id = talk(db, None, vec![ann, ben]).await;
        let crowd: Vec<_> = (0..20)
            .map(|n: u32| {
                let db = db.clone();
                tokio::spawn(async move { say(&db, id, ann, n.to_string(), Some("c-1")).await })
            })
            .collect();
        let mut answers = Vec::new();
        for one in crowd {
            answers.push(one.await.expect("joins"));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0])); // there are twenty
        let other = say(db, id, ben, "x".into(), Some("c-1")).await;
        assert_eq!(
            other.seq, 2,
            "client ids are each sender's own, and a repetition takes no place"
        );
        let elsewhere = talk(db, None, vec![ann]).await;
        assert_eq!(
            say(db, elsewhere, ann, "x".into(), Some("c-1")).await.conversation_id,
            elsewhere
        );
        assert_eq!(history(db, id).await, [answers[0].clone(), other]); // there are twenty
        let announced = log.events().iter().filter(|event| event.name == "message:new").count();
        assert_eq!(announced, 3);
    });
}

#[test]
fn a_member_has_unread_what_others_said_since_it_read_or_came() {
    let House { db, .. } = &house();
    run(async {
        let [ann, ben, cat] = people(db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        let first = talk(db, None, vec![ann, ben]).await;
        let second = talk(db, None, vec![ann, ben]).await;
        let mut said = Vec::new();
        for (sender, content) in [(ann, "a1"), (ben, "b1"), (ann, "a2"), (ben, "b2"), (ben, "b3")] {
            said.push(say(db, first, sender, content.into(), None).await);
        }
        let last = Some("b3".to_owned());
        // An own message reads what comes before it.
        assert_eq!(overview(db, ann).await, [(second, 0, None), (first, 2, last.clone())]);
        assert_eq!(overview(db, ben).await, [(second, 0, None), (first, 0, last.clone())]);
        let read = async |member, seq| {
            db.write(Once::No, async move |tx| {
                Ok(conversations::mark_read(tx, first, member, seq).await?)
            })
            .await
            .expect("writes")
        };
        assert!(read(ann, 4).await);
        assert!(!read(ann, 4).await && !read(ann, 1).await, "a mark never goes back");
        assert!(read(ben, 5).await, "an own message can be marked as read");
        assert!(!read(cat, 5).await, "a stranger has no mark");
        assert_eq!(overview(db, ann).await[1].1, 1);
        assert_eq!(overview(db, ben).await[1].1, 0);

        db.write(Once::No, async move |tx| Ok(conversations::add_member(tx, first, cat).await?))
            .await
            .expect("writes");
        assert_eq!(overview(db, cat).await, [(first, 0, last)]);
        say(db, first, ben, "b4".into(), None).await;
        assert_eq!(overview(db, cat).await[0].1, 1);

        let alone = db
            .read(async move |conn| conversations::by_id(conn, first, ann).await)
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!((alone.conversation.id, alone.unread_count), (first, 2));
        let strange = db
            .read(async move |conn| conversations::by_id(conn, second, cat).await)
            .await
            .expect("reads");
        assert_eq!(strange, None);
        let seq = async |conversation, id| {
            db.read(async move |conn| messages::seq(conn, conversation, id).await)
                .await
                .expect("reads")
        };
        let third = said[2].id; // five were said
        assert_eq!((seq(first, third).await, seq(second, third).await), (Some(3), None));
    });
}

#[test]
fn lists_page_by_id_and_hold_only_what_is_the_members() {
    let House { db, .. } = &house();
    run(async {
        let [ann, ben] = people(db, ["ann@x.test", "ben@x.test"]).await;
        let mut mine = Vec::new();
        for n in 0..5 {
            let others = talk(db, None, vec![ben]).await;
            say(db, others, ben, "x".into(), None).await;
            mine.push(talk(db, None, if n % 2 == 0 { vec![ann] } else { vec![ann, ben] }).await);
        }
        mine.reverse();
        assert_eq!(overview(db, ann).await.iter().map(|one| one.0).collect::<Vec<_>>(), mine);
        let page = conversations::Page { member: ann, before: Some(mine[1]), limit: 2 }; // there are five
        let found =
            db.read(async move |conn| conversations::list(conn, &page).await).await.expect("reads");
        assert_eq!(found.iter().map(|one| one.conversation.id).collect::<Vec<_>>(), mine[2..4]);

        let mut owned = Vec::new();
        for _ in 0..3 {
            project(db, vec![ben]).await;
            owned.push(project(db, vec![ben, ann]).await);
        }
        let page = projects::Page { member: ann, before: Some(owned[2]), limit: 5 }; // there are three
        let found =
            db.read(async move |conn| projects::list(conn, &page).await).await.expect("reads");
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [owned[1], owned[0]]);

        let talk = mine[0]; // there are five
        for n in 0..5 {
            say(db, talk, ann, n.to_string(), None).await;
        }
        let all = history(db, talk).await;
        let page = messages::Page { conversation: talk, before: Some(all[3].id), limit: 2 }; // there are five
        let found =
            db.read(async move |conn| messages::list(conn, &page).await).await.expect("reads");
        assert_eq!(found, [all[2].clone(), all[1].clone()]);
    });
}

#[test]
fn a_project_gives_its_conversations_members_and_takes_them_away() {
    let House { db, .. } = &house();
    run(async {
        let [ann, ben, cat] = people(db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        let id = project(db, vec![ann, ben]).await;
        let (bens, anns) =
            (talk(db, Some(id), vec![ben, ann]).await, talk(db, Some(id), vec![ann]).await);
        let apart = talk(db, None, vec![ben, ann]).await;
        let added = db.write(Once::No, async move |tx| {
            let talk = conversations::insert(tx, ann, None, Some(id)).await?.id;
            let strangers = conversations::add_project_members(tx, talk, id, Some(&[cat])).await?;
            Ok((strangers, conversations::add_project_members(tx, talk, id, None).await?))
        });
        assert_eq!(added.await, Ok((0, 2)));

        let gone = db.write(Once::No, async move |tx| {
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
fn members_come_with_their_names_in_the_order_they_came_and_only_once() {
    let House { db, .. } = &house();
    run(async {
        let [ann, ben] = people(db, ["ann@x.test", "ben@x.test"]).await;
        let id = project(db, vec![ben, ann]).await;
        let members =
            db.read(async move |conn| projects::members(conn, id).await).await.expect("reads");
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
        let again = db.write(Once::No, async move |tx| {
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
    let House { db, .. } = &house();
    run(async {
        let [ann] = people(db, ["ann@x.test"]).await;
        let (id, other) = (project(db, vec![ann]).await, project(db, vec![ann]).await);
        let stage = db
            .write(Once::No, async move |tx| {
                Ok(projects::insert_stage(tx, id, "Design".into()).await?)
            })
            .await
            .expect("writes");
        assert_eq!((stage.completed_at, stage.completed_by), (None, None));
        let complete = async || {
            db.write(Once::No, async move |tx| {
                Ok(projects::complete_stage(tx, stage.id, ann).await?)
            })
            .await
        };
        let done = complete().await.expect("writes").expect("completes");
        assert!(done.completed_at.is_some() && done.completed_by == Some(ann));
        assert_eq!(complete().await, Ok(None));
        assert_eq!(
            db.read(async move |conn| projects::stages(conn, id).await).await,
            Ok(vec![done.clone()])
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
fn a_member_who_is_held_is_not_removed_before_what_follows_is_announced() {
    let House { db, log, .. } = &house();
    run(async {
        let [ann, ben] = people(db, ["ann@x.test", "ben@x.test"]).await;
        let (project, id) =
            (project(db, vec![ann, ben]).await, talk(db, None, vec![ann, ben]).await);
        let (release, held) = tokio::sync::oneshot::channel::<()>();
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
                        projects::hold_member(tx, project, ben).await?
                            && conversations::hold_member(tx, id, ben).await?
                    );
                    assert!(!conversations::hold_member(tx, id, UserId(99)).await?);
                    let _ = begun.send(());
                    let _ = held.await;
                    mark(tx).await
                };
                db.write(Once::No, work).await
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
                    db.write(Once::No, work).await
                })
            })
            .into();
        for removal in &mut removals {
            let early = tokio::time::timeout(std::time::Duration::from_millis(100), removal).await;
            assert!(early.is_err(), "it has to wait");
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

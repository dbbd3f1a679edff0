//! Conversations and messages.

use super::*;
use crate::model::{ConversationId, Message, ProjectId};
use crate::store::messages::{self, NewMessage};
use crate::store::{conversations, projects};

pub(super) async fn add_users<const N: usize>(db: &Db, emails: [&'static str; N]) -> [UserId; N] {
    let mut ids = [UserId(0); N];
    for (id, email) in ids.iter_mut().zip(emails) {
        *id = add_user(db, email).await.expect("adds").id;
    }
    ids
}

pub(super) async fn start_conversation(
    db: &Db,
    project: Option<ProjectId>,
    members: Vec<UserId>,
) -> ConversationId {
    let write = async move |tx: &mut Tx| {
        let owner = members[0]; // every test names an owner first
        let id = conversations::insert(tx, owner, None, project).await?.id;
        let added = match project {
            Some(project) => {
                conversations::add_project_members(tx, id, project, Some(&members)).await?
            }
            None => conversations::add_users(tx, id, &members).await?,
        };
        assert_eq!(added, members.len());
        Ok(id)
    };
    db.write(Once::Unkeyed, write).await.expect("writes")
}

pub(super) async fn project(db: &Db, members: Vec<UserId>) -> ProjectId {
    let write = async move |tx: &mut Tx| {
        let content = projects::ProjectContent {
            name: "Relaunch".into(),
            description: None,
            status: "active".into(),
        };
        let owner = members[0]; // every test names an owner first
        let id = projects::insert(tx, owner, content).await?.id;
        for member in members {
            projects::add_member(tx, id, member).await?;
        }
        Ok(id)
    };
    db.write(Once::Unkeyed, write).await.expect("writes")
}

async fn send(
    db: &Db,
    conversation: ConversationId,
    sender: UserId,
    content: String,
    client_id: Option<&'static str>,
) -> Message {
    try_send(db, conversation, sender, content, client_id).await.expect("writes")
}

/// Sends as the service function does, without its permission check.
pub(super) async fn try_send(
    db: &Db,
    conversation: ConversationId,
    sender: UserId,
    content: String,
    client_id: Option<&'static str>,
) -> Result<Message, Error> {
    let write = async move |tx: &mut Tx| {
        let locked = conversations::lock(tx, &[conversation])
            .await?
            .remove(&conversation)
            .expect("there is one");
        let names = client_id.map(|id| (conversation, sender, id.into()));
        if let Some(before) =
            messages::by_keys(tx.conn(), names.as_slice()).await?.into_values().next()
        {
            return Ok(before);
        }
        let (seq, client_id) = (locked.last_seq + 1, client_id.map(Into::into));
        let new = NewMessage { conversation, seq, sender, content, kind: "text".into(), client_id };
        let message = messages::insert_all(tx, vec![new]).await?.remove(0);
        for event in event::new_message(&message, locked.members) {
            tx.emit(event);
        }
        Ok(message)
    };
    db.write(Once::Unkeyed, write).await
}

pub(super) async fn history(db: &Db, conversation: ConversationId) -> Vec<Message> {
    let page = messages::MessagePage { conversation, before: None, limit: 1000 };
    let (mut all, is_cut) =
        db.read(async move |conn| messages::list(conn, &page).await).await.expect("reads");
    assert!(!is_cut);
    all.reverse();
    all
}

/// The member's conversations, each with its count of unread messages and its last message.
pub(super) async fn overview(
    db: &Db,
    member: UserId,
) -> Vec<(ConversationId, i64, Option<String>)> {
    let page = conversations::ConversationPage { member, before: None, limit: 100 };
    let list =
        db.read(async move |conn| conversations::list(conn, &page).await).await.expect("reads");
    list.into_iter()
        .map(|one| {
            (one.conversation.id, one.unread_count, one.last_message.map(|last| last.content))
        })
        .collect()
}

#[test]
fn concurrent_messages_get_gap_free_seqs_in_log_order() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let [ann, ben] = add_users(db, ["ann@x.test", "ben@x.test"]).await;
        let id = start_conversation(db, None, vec![ann, ben]).await;
        let senders: Vec<_> = (0..60)
            .map(|n| {
                let (db, sender) = (db.clone(), if n % 2 == 0 { ann } else { ben });
                tokio::spawn(async move { send(&db, id, sender, n.to_string(), None).await })
            })
            .collect();
        for one in senders {
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
fn twenty_concurrent_sends_of_a_client_id_make_one_message() {
    let TestStore { db, log, .. } = &test_store();
    run(async {
        let [ann, ben] = add_users(db, ["ann@x.test", "ben@x.test"]).await;
        let id = start_conversation(db, None, vec![ann, ben]).await;
        let senders: Vec<_> = (0..20)
            .map(|n: u32| {
                let db = db.clone();
                tokio::spawn(async move { send(&db, id, ann, n.to_string(), Some("c-1")).await })
            })
            .collect();
        let mut answers = Vec::new();
        for one in senders {
            answers.push(one.await.expect("joins"));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0])); // there are twenty
        let other = send(db, id, ben, "x".into(), Some("c-1")).await;
        assert_eq!(other.seq, 2, "client ids are each sender's own, and a repetition takes no seq");
        let elsewhere = start_conversation(db, None, vec![ann]).await;
        assert_eq!(
            send(db, elsewhere, ann, "x".into(), Some("c-1")).await.conversation_id,
            elsewhere
        );
        assert_eq!(history(db, id).await, [answers[0].clone(), other]); // there are twenty
        let announced = log.events().iter().filter(|event| event.name == "message:new").count();
        assert_eq!(announced, 3);
    });
}

#[test]
fn messages_of_others_since_reading_or_joining_are_unread() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let [ann, ben, cat] = add_users(db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        let first = start_conversation(db, None, vec![ann, ben]).await;
        let second = start_conversation(db, None, vec![ann, ben]).await;
        let mut sent = Vec::new();
        for (sender, content) in [(ann, "a1"), (ben, "b1"), (ann, "a2"), (ben, "b2"), (ben, "b3")] {
            sent.push(send(db, first, sender, content.into(), None).await);
        }
        let last = Some("b3".to_owned());
        // A sender's own message marks the messages before it as read.
        assert_eq!(overview(db, ann).await, [(second, 0, None), (first, 2, last.clone())]);
        assert_eq!(overview(db, ben).await, [(second, 0, None), (first, 0, last.clone())]);
        let read = async |member, seq| {
            db.write(Once::Unkeyed, async move |tx| {
                Ok(conversations::mark_read(tx, first, member, seq).await?)
            })
            .await
            .expect("writes")
        };
        assert!(read(ann, 4).await);
        assert!(!read(ann, 4).await && !read(ann, 1).await, "a read mark never moves back");
        assert!(!read(cat, 5).await, "a stranger has no read mark");
        assert!(read(ben, 5).await, "an own message can be marked as read");
        assert_eq!(overview(db, ann).await[1].1, 1);
        assert_eq!(overview(db, ben).await[1].1, 0);

        db.write(Once::Unkeyed, async move |tx| {
            Ok(conversations::add_member(tx, first, cat).await?)
        })
        .await
        .expect("writes");
        assert_eq!(overview(db, cat).await, [(first, 0, last)]);
        send(db, first, ben, "b4".into(), None).await;
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
        let third = sent[2].id; // five were sent
        assert_eq!((seq(first, third).await, seq(second, third).await), (Some(3), None));
    });
}

#[test]
fn lists_page_by_id_and_have_only_the_members_own() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let [ann, ben] = add_users(db, ["ann@x.test", "ben@x.test"]).await;
        let mut mine = Vec::new();
        for n in 0..5 {
            let others = start_conversation(db, None, vec![ben]).await;
            send(db, others, ben, "x".into(), None).await;
            mine.push(
                start_conversation(db, None, if n % 2 == 0 { vec![ann] } else { vec![ann, ben] })
                    .await,
            );
        }
        mine.reverse();
        assert_eq!(overview(db, ann).await.iter().map(|one| one.0).collect::<Vec<_>>(), mine);
        let before = Some(mine[1]); // there are five
        let page = conversations::ConversationPage { member: ann, before, limit: 2 };
        let found =
            db.read(async move |conn| conversations::list(conn, &page).await).await.expect("reads");
        assert_eq!(found.iter().map(|one| one.conversation.id).collect::<Vec<_>>(), mine[2..4]);

        let mut owned = Vec::new();
        for _ in 0..3 {
            project(db, vec![ben]).await;
            owned.push(project(db, vec![ben, ann]).await);
        }
        let before = Some(owned[2]); // there are three
        let page = projects::ProjectPage { member: ann, before, limit: 5 };
        let found =
            db.read(async move |conn| projects::list(conn, &page).await).await.expect("reads");
        assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [owned[1], owned[0]]);

        let conversation = mine[0]; // there are five
        for n in 0..5 {
            send(db, conversation, ann, n.to_string(), None).await;
        }
        let all = history(db, conversation).await;
        let before = Some(all[3].id); // there are five
        let page = messages::MessagePage { conversation, before, limit: 2 };
        let found =
            db.read(async move |conn| messages::list(conn, &page).await).await.expect("reads");
        assert_eq!(found, (vec![all[2].clone(), all[1].clone()], false));
    });
}

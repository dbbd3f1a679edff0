//! Events for the members of a conversation, read from the log after the members have changed.

use super::conversations::{add_users, start_conversation, try_send};
use super::*;
use crate::event::Room;
use crate::model::{ConversationId, EventId};
use crate::store::sessions::{self, SessionConnection, SessionRoom};
use crate::store::{conversations, history};

/// The conversation with ann and ben, in which ann says "before"; then ben goes and cat comes, and
/// ann says "after".
async fn change_members(db: &Db, [ann, ben, cat]: [UserId; 3]) -> ConversationId {
    let conversation = start_conversation(db, None, vec![ann, ben]).await;
    let write = async move |tx: &mut Tx| {
        let session =
            SessionConnection { sid: "ben's", namespace: "/", user: ben, connection_no: 1 };
        Ok(sessions::open(tx, &session).await?)
    };
    db.write(Once::Unkeyed, write).await.expect("opens a session");
    try_send(db, conversation, ann, "before".into(), None).await.expect("writes");
    let write = async move |tx: &mut Tx| {
        conversations::remove_member(tx, &[conversation], ben).await?;
        let members = Room::Members(conversation).to_string();
        sessions::note_former_member(tx, ben, &members).await?;
        sessions::note_former_member(tx, ben, &members).await?;
        conversations::add_users(tx, conversation, &[cat]).await?;
        Ok(())
    };
    db.write(Once::Unkeyed, write).await.expect("changes the members");
    try_send(db, conversation, ann, "after".into(), None).await.expect("writes");
    conversation
}

fn content(event: &CommittedEvent) -> String {
    let data: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
    data["content"].as_str().expect("a message").to_owned()
}

#[test]
fn an_event_for_members_is_replayed_to_those_who_were_members_at_its_commit() {
    let TestStore { db, .. } = &test_store();
    run(async {
        let users = add_users(db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        let conversation = change_members(db, users).await;
        let [ann, ben, cat] = users;
        let kept = db.read(async |conn| sessions::rooms(conn, "ben's").await).await.expect("reads");
        assert_eq!(
            kept.iter().map(|own| own.room.as_str()).collect::<Vec<_>>(),
            [Room::Members(conversation).to_string()]
        );
        for (user, former, expected) in [
            (ann, vec![], vec!["before", "after"]),
            (ben, kept, vec!["before"]),
            (cat, vec![], vec!["after"]),
        ] {
            let own =
                SessionRoom { room: Room::User(user).to_string(), since: EventId(0), until: None };
            let memberships = [own].into_iter().chain(former).collect();
            let audience = history::ReplayAudience { namespace: "/".into(), user, memberships };
            let page = db.read(async move |conn| {
                history::page(conn, &audience, EventId(0), EventId(i64::MAX)).await
            });
            let (events, _) = page.await.expect("reads").expect("nothing is pruned");
            assert_eq!(events.iter().map(content).collect::<Vec<_>>(), expected, "{user}");
        }
    });
}

#[test]
fn an_event_for_members_is_announced_to_those_of_its_commit_after_a_start() {
    let store = test_store();
    run(async {
        let users = add_users(&store.db, ["ann@x.test", "ben@x.test", "cat@x.test"]).await;
        change_members(&store.db, users).await;
        let last = store
            .db
            .read(async |conn| history::last(conn, EventId(i64::MAX)).await)
            .await
            .expect("reads");
        let to = |user: UserId| Room::User(user).to_string();
        let received: Vec<_> = last
            .into_iter()
            .filter(|event| event.name == "messageReceived")
            .map(|event| (content(&event), event.rooms))
            .collect();
        let [ann, ben, cat] = users;
        assert_eq!(
            received,
            [
                ("before".to_owned(), vec![to(ann), to(ben)]),
                ("after".to_owned(), vec![to(ann), to(cat)])
            ]
        );
    });
}

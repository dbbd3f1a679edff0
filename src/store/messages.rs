//! Messages: insert, by id, by the sender's own id, history.

#![expect(clippy::missing_errors_doc, reason = "queries fail as the database does; what a caller can meet beyond that is in their docs")]

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{ConversationId, Message, MessageId, Timestamp, UserId};
use crate::schema::messages;
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A message to be.
pub struct NewMessage {
    pub conversation: ConversationId,
    /// From [`conversations::next_seq`](crate::store::conversations::next_seq).
    pub seq: i64,
    pub sender: UserId,
    pub content: String,
    pub kind: String,
    pub client_id: Option<String>,
}

/// Which of a conversation's messages, and how many.
pub struct Page {
    pub conversation: ConversationId,
    /// Only those sent before this one.
    pub before: Option<MessageId>,
    pub limit: i64,
}

/// Adds a message; `None` when its sender has used its `client_id` in this conversation before.
pub async fn insert(tx: &mut Tx, new: &NewMessage) -> QueryResult<Option<Message>> {
    let row = (
        messages::conversation_id.eq(new.conversation),
        messages::seq.eq(new.seq),
        messages::sender_id.eq(new.sender),
        messages::content.eq(&new.content),
        messages::kind.eq(&new.kind),
        messages::client_id.eq(&new.client_id),
        messages::created_at.eq(Timestamp::now()),
    );
    query!(tx.conn(), c => {
        diesel::insert_into(messages::table).values(row).on_conflict_do_nothing().returning(Message::as_returning()).get_result(c)
    })
    .optional()
}

/// The message that its sender gave that id.
pub async fn by_client_id(conn: &mut Conn, conversation: ConversationId, sender: UserId, client_id: &str) -> QueryResult<Message> {
    query!(conn, c => {
        messages::table
            .filter(messages::conversation_id.eq(conversation))
            .filter(messages::sender_id.eq(sender))
            .filter(messages::client_id.eq(client_id))
            .select(Message::as_select())
            .first(c)
    })
}

/// The place of a message in that conversation.
pub async fn seq(conn: &mut Conn, conversation: ConversationId, id: MessageId) -> QueryResult<Option<i64>> {
    query!(conn, c => {
        messages::table.find(id).filter(messages::conversation_id.eq(conversation)).select(messages::seq).first(c)
    })
    .optional()
}

/// A page of a conversation's messages, newest first. In one conversation ids grow as `seq` does.
pub async fn list(conn: &mut Conn, page: &Page) -> QueryResult<Vec<Message>> {
    query!(conn, c => {
        let mut rows = messages::table
            .filter(messages::conversation_id.eq(page.conversation))
            .select(Message::as_select())
            .order(messages::id.desc())
            .limit(page.limit)
            .into_boxed();
        if let Some(before) = page.before {
            rows = rows.filter(messages::id.lt(before));
        }
        rows.load(c)
    })
}

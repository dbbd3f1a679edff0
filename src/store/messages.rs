//! Messages: insert many, find by the sender's own ids, seq, history.

use std::collections::HashMap;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Nullable, Text};
use diesel::sqlite::SqliteConnection;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{ConversationId, Message, MessageId, Timestamp, UserId};
use crate::schema::{conversation_members, conversations, messages};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A message to insert.
pub struct NewMessage {
    pub conversation: ConversationId,
    /// The conversation's next seq, while it is locked
    /// ([`conversations::lock`](crate::store::conversations::lock)).
    pub seq: i64,
    pub sender: UserId,
    pub content: String,
    pub kind: String,
    /// Must be new for this sender in this conversation.
    pub client_id: Option<String>,
}

/// The most characters of a page's messages, but for its last one.
const PAGE_CHARACTERS: i64 = 1 << 20;

#[diesel::declare_sql_function]
extern "SQL" {
    /// The characters of a text.
    fn length(text: Text) -> sql_types::Integer;
}

/// A sender's own id of a message, which is unique per sender and conversation.
pub type MessageKey = (ConversationId, UserId, String);

/// A page of a conversation's messages.
pub struct MessagePage {
    pub conversation: ConversationId,
    /// The page has only messages sent before this one.
    pub before: Option<MessageId>,
    pub limit: i64,
}

/// Adds messages, in that order, and advances their conversations' `last_seq`. Moves the read mark
/// of each sender to the message before its own: an answer reads all that comes before it. No other
/// member's row changes, however many there are.
pub async fn insert_all(tx: &mut Tx, new: Vec<NewMessage>) -> QueryResult<Vec<Message>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let now = Timestamp::now();
    let mut ids: Vec<MessageId> = match tx.conn() {
        Conn::Postgres(conn) => {
            diesel_async::RunQueryDsl::load(InsertAll::of(&new, now), conn).await?
        }
        Conn::Sqlite(conn) => {
            let insert = |new| insert(conn, new, now);
            new.iter().map(insert).collect::<QueryResult<_>>()?
        }
    };
    // PostgreSQL assigns ids in the order of the rows, and may return them in any.
    ids.sort_unstable();
    let message = |(new, id): (NewMessage, MessageId)| {
        let NewMessage { conversation: conversation_id, seq, sender, content, kind, client_id } =
            new;
        Message {
            id,
            conversation_id,
            seq,
            sender_id: Some(sender),
            content,
            kind,
            client_id,
            created_at: now,
        }
    };
    Ok(new.into_iter().zip(ids).map(message).collect())
}

fn insert(conn: &mut SqliteConnection, new: &NewMessage, now: Timestamp) -> QueryResult<MessageId> {
    let row = (
        messages::conversation_id.eq(new.conversation),
        messages::seq.eq(new.seq),
        messages::sender_id.eq(new.sender),
        messages::content.eq(&new.content),
        messages::kind.eq(&new.kind),
        messages::client_id.eq(&new.client_id),
        messages::created_at.eq(now),
    );
    let count = diesel::update(conversations::table.find(new.conversation))
        .set(conversations::last_seq.eq(new.seq));
    diesel::RunQueryDsl::execute(count, conn)?;
    // `InsertAll` does the same on PostgreSQL.
    let mark = diesel::update(conversation_members::table.find((new.conversation, new.sender)))
        .set((
            conversation_members::read_seq.eq(new.seq - 1),
            conversation_members::unread_after.eq(new.seq),
        ));
    diesel::RunQueryDsl::execute(mark, conn)?;
    diesel::RunQueryDsl::get_result(
        diesel::insert_into(messages::table).values(row).returning(messages::id),
        conn,
    )
}

/// The same text for any number of rows, so that it is prepared only once.
struct InsertAll<'a> {
    conversations: Vec<ConversationId>,
    seqs: Vec<i64>,
    senders: Vec<UserId>,
    contents: Vec<&'a str>,
    kinds: Vec<&'a str>,
    client_ids: Vec<Option<&'a str>>,
    now: Timestamp,
}

impl<'a> InsertAll<'a> {
    fn of(new: &'a [NewMessage], now: Timestamp) -> Self {
        Self {
            conversations: new.iter().map(|new| new.conversation).collect(),
            seqs: new.iter().map(|new| new.seq).collect(),
            senders: new.iter().map(|new| new.sender).collect(),
            contents: new.iter().map(|new| new.content.as_str()).collect(),
            kinds: new.iter().map(|new| new.kind.as_str()).collect(),
            client_ids: new.iter().map(|new| new.client_id.as_deref()).collect(),
            now,
        }
    }
}

impl QueryId for InsertAll<'_> {
    type QueryId = InsertAll<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for InsertAll<'_> {
    type SqlType = BigInt;
}

impl QueryFragment<Pg> for InsertAll<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH line AS (SELECT * FROM UNNEST(");
        out.push_bind_param::<Array<BigInt>, _>(&self.conversations)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.senders)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.contents)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.kinds)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.client_ids)?;
        out.push_sql(
            ") WITH ORDINALITY \
                 AS line (conversation, seq, sender, content, kind, client_id, nth)), \
             counted AS ( \
                 UPDATE conversations SET last_seq = last FROM ( \
                     SELECT conversation, max(seq) AS last FROM line GROUP BY conversation \
                 ) AS counts \
                 WHERE id = conversation \
             ), \
             marked AS ( \
                 UPDATE conversation_members \
                 SET read_seq = own.last - 1, unread_after = own.last \
                 FROM (SELECT conversation, sender, max(seq) AS last FROM line \
                     GROUP BY conversation, sender) AS own \
                 WHERE conversation_id = own.conversation AND user_id = own.sender \
             ) \
             INSERT INTO messages \
                 (conversation_id, seq, sender_id, content, kind, client_id, created_at) \
             SELECT conversation, seq, sender, content, kind, client_id, ",
        );
        out.push_bind_param::<sql_types::Timestamp, _>(&self.now)?;
        out.push_sql(" FROM line ORDER BY nth RETURNING id");
        Ok(())
    }
}

/// The messages that exist under these keys.
pub async fn by_keys(
    conn: &mut Conn,
    keys: &[MessageKey],
) -> QueryResult<HashMap<MessageKey, Message>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    // Matches each column on its own, which hardly finds more than is wanted; the map's keys sort
    // it out.
    let conversations: Vec<_> = keys.iter().map(|(conversation, ..)| *conversation).collect();
    let senders: Vec<_> = keys.iter().map(|(_, sender, _)| *sender).collect();
    let ids: Vec<_> = keys.iter().map(|(.., id)| id.as_str()).collect();
    let found: Vec<Message> = query!(conn, |c| {
        messages::table
            .filter(messages::conversation_id.eq_any(conversations))
            .filter(messages::sender_id.eq_any(senders))
            .filter(messages::client_id.eq_any(ids))
            .select(Message::as_select())
            .load(c)
    })?;
    let entry = |message: Message| {
        Some(((message.conversation_id, message.sender_id?, message.client_id.clone()?), message))
    };
    Ok(found.into_iter().filter_map(entry).collect())
}

/// The seq of a message in that conversation.
pub async fn seq(
    conn: &mut Conn,
    conversation: ConversationId,
    id: MessageId,
) -> QueryResult<Option<i64>> {
    query!(conn, |c| {
        messages::table
            .find(id)
            .filter(messages::conversation_id.eq(conversation))
            .select(messages::seq)
            .first(c)
    })
    .optional()
}

/// A page of a conversation's messages, newest first, and true if it was cut short because they are
/// long. In one conversation ids grow as `seq` does.
pub async fn list(conn: &mut Conn, page: &MessagePage) -> QueryResult<(Vec<Message>, bool)> {
    let before = page.before.unwrap_or(MessageId(i64::MAX));
    let sizes: Vec<(MessageId, i32)> = query!(conn, |c| messages::table
        .filter(messages::conversation_id.eq(page.conversation))
        .filter(messages::id.lt(before))
        .order(messages::id.desc())
        .limit(page.limit)
        .select((messages::id, length(messages::content)))
        .load(c))?;
    let mut sum = 0;
    let fitting = sizes.iter().take_while(|(_, size)| {
        let fits = sum < PAGE_CHARACTERS;
        sum += i64::from(*size);
        fits
    });
    let count = fitting.count();
    let Some((last, _)) = count.checked_sub(1).and_then(|last| sizes.get(last)) else {
        return Ok((Vec::new(), false));
    };
    let rows = query!(conn, |c| messages::table
        .filter(messages::conversation_id.eq(page.conversation))
        .filter(messages::id.between(*last, MessageId(before.0.saturating_sub(1))))
        .order(messages::id.desc())
        .select(Message::as_select())
        .load(c))?;
    Ok((rows, count < sizes.len()))
}

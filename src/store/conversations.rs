//! Conversations: insert, touch, by id, list; their members; the count of unread messages and how
//! far each member has read.

use std::collections::HashMap;

use diesel::dsl::exists;
use diesel::sql_types::BigInt;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, IntoSql, JoinOnDsl, OptionalExtension,
    QueryDsl, QueryResult, SelectableHelper,
};

use crate::model::{
    Conversation, ConversationId, ConversationSummary, Message, ProjectId, Timestamp, UserId,
};
use crate::schema::{conversation_members, conversations, messages, project_members, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// A page of a member's conversations.
pub struct ConversationPage {
    pub member: UserId,
    /// The page has only conversations created before this one.
    pub before: Option<ConversationId>,
    pub limit: i64,
}

/// Adds a conversation, without members.
pub async fn insert(
    tx: &mut Tx,
    owner: UserId,
    title: Option<String>,
    project: Option<ProjectId>,
) -> QueryResult<Conversation> {
    let now = Timestamp::now();
    let row = (
        conversations::title.eq(title),
        conversations::project_id.eq(project),
        conversations::owner_id.eq(owner),
        conversations::created_at.eq(now),
        conversations::updated_at.eq(now),
    );
    query!(tx.conn(), |c| diesel::insert_into(conversations::table)
        .values(row)
        .returning(Conversation::as_returning())
        .get_result(c))
}

/// The project that a conversation belongs to; it never changes. `None` also for a missing
/// conversation.
pub async fn project_of(conn: &mut Conn, id: ConversationId) -> QueryResult<Option<ProjectId>> {
    query!(conn, |c| conversations::table.find(id).select(conversations::project_id).first(c))
        .optional()
        .map(Option::flatten)
}

/// Sets `updated_at`, and returns the conversation. On PostgreSQL this also locks it until the
/// commit: decisions based on it stay valid, and no message is sent meanwhile.
pub async fn touch(tx: &mut Tx, id: ConversationId) -> QueryResult<Option<Conversation>> {
    let now = Timestamp::now();
    query!(tx.conn(), |c| {
        diesel::update(conversations::table.find(id))
            .set(conversations::updated_at.eq(now))
            .returning(Conversation::as_returning())
            .get_result(c)
    })
    .optional()
}

/// Like [`touch`], for the conversations of a project that the user is a member of. Returns their
/// ids.
pub async fn touch_joint(
    tx: &mut Tx,
    project: ProjectId,
    user: UserId,
) -> QueryResult<Vec<ConversationId>> {
    let now = Timestamp::now();
    let mine = conversation_members::table
        .filter(conversation_members::user_id.eq(user))
        .select(conversation_members::conversation_id);
    query!(tx.conn(), |c| {
        diesel::update(
            conversations::table
                .filter(conversations::project_id.eq(project))
                .filter(conversations::id.eq_any(mine)),
        )
        .set(conversations::updated_at.eq(now))
        .returning(conversations::id)
        .get_results(c)
    })
}

/// A page of a member's conversations, newest first, in one query: each with its last message and
/// its count of unread messages.
pub async fn list(
    conn: &mut Conn,
    page: &ConversationPage,
) -> QueryResult<Vec<ConversationSummary>> {
    let unread = conversations::last_seq - conversation_members::unread_after;
    let rows: Vec<(Conversation, Option<Message>, i64)> = query!(conn, |c| {
        let mut rows = conversation_members::table
            .inner_join(conversations::table)
            .left_join(
                messages::table.on(messages::conversation_id
                    .eq(conversations::id)
                    .and(messages::seq.eq(conversations::last_seq))),
            )
            .filter(conversation_members::user_id.eq(page.member))
            .select((Conversation::as_select(), Option::<Message>::as_select(), unread))
            .order(conversation_members::conversation_id.desc())
            .limit(page.limit)
            .into_boxed();
        if let Some(before) = page.before {
            rows = rows.filter(conversation_members::conversation_id.lt(before));
        }
        rows.load(c)
    })?;
    let summary = |(conversation, last_message, unread_count)| ConversationSummary {
        conversation,
        unread_count,
        last_message,
    };
    Ok(rows.into_iter().map(summary).collect())
}

/// One of a member's conversations, as in [`list`]; `None` also if the user is not a member.
pub async fn by_id(
    conn: &mut Conn,
    id: ConversationId,
    member: UserId,
) -> QueryResult<Option<ConversationSummary>> {
    // The first one before the next id is the conversation itself, or an older one.
    let page =
        ConversationPage { member, before: Some(ConversationId(id.0.saturating_add(1))), limit: 1 };
    let found = list(conn, &page).await?;
    Ok(found.into_iter().find(|summary| summary.conversation.id == id))
}

/// The number of messages of others that the member has not read. It is the distance of two kept
/// numbers, so nothing is counted: a message is unread to all others, and moves its sender's mark.
pub async fn unread(conn: &mut Conn, member: UserId, id: ConversationId) -> QueryResult<i64> {
    let count = query!(conn, |c| {
        conversation_members::table
            .inner_join(conversations::table)
            .filter(conversation_members::conversation_id.eq(id))
            .filter(conversation_members::user_id.eq(member))
            .select(conversations::last_seq - conversation_members::unread_after)
            .first(c)
    })
    .optional()?;
    Ok(count.unwrap_or_default())
}

/// Returns true if the user is a member; false for a missing conversation.
pub async fn is_member(conn: &mut Conn, id: ConversationId, user: UserId) -> QueryResult<bool> {
    query!(conn, |c| diesel::select(exists(conversation_members::table.find((id, user))))
        .get_result(c))
}

/// Like [`is_member`], and locks the membership until the commit: a removal waits. Use it for steps
/// that must not follow a removal.
pub async fn lock_member(tx: &mut Tx, id: ConversationId, user: UserId) -> QueryResult<bool> {
    let row = conversation_members::table.find((id, user)).select(conversation_members::user_id);
    let found: Option<UserId> = match tx.conn() {
        // SQLite has one writer, so nothing else changes meanwhile, and it has no such clause.
        Conn::Sqlite(c) => diesel::RunQueryDsl::first(row, c),
        Conn::Postgres(c) => diesel_async::RunQueryDsl::first(row.for_key_share(), c).await,
    }
    .optional()?;
    Ok(found.is_some())
}

/// The ids of the members, per conversation.
pub async fn members_of(
    conn: &mut Conn,
    ids: &[ConversationId],
) -> QueryResult<HashMap<ConversationId, Vec<UserId>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(ConversationId, UserId)> = query!(conn, |c| {
        conversation_members::table
            .filter(conversation_members::conversation_id.eq_any(ids))
            .select((conversation_members::conversation_id, conversation_members::user_id))
            .load(c)
    })?;
    let mut members: HashMap<_, Vec<_>> = HashMap::new();
    for (conversation, user) in rows {
        members.entry(conversation).or_default().push(user);
    }
    Ok(members)
}

/// The conversations that the user is a member of.
pub async fn of_member(conn: &mut Conn, user: UserId) -> QueryResult<Vec<ConversationId>> {
    query!(conn, |c| {
        conversation_members::table
            .filter(conversation_members::user_id.eq(user))
            .select(conversation_members::conversation_id)
            .load(c)
    })
}

/// Adds the first members: those of the users that exist. Returns their number.
pub async fn add_users(tx: &mut Tx, id: ConversationId, among: &[UserId]) -> QueryResult<usize> {
    let rows = users::table.filter(users::id.eq_any(among)).select((
        id.into_sql::<BigInt>(),
        users::id,
        0.into_sql::<BigInt>(),
        Timestamp::now().into_sql::<diesel::sql_types::Timestamp>(),
    ));
    query!(tx.conn(), |c| rows
        .insert_into(conversation_members::table)
        .into_columns(COLUMNS)
        .execute(c))
}

/// Adds the first members: the project's members, all or those in `among`. Returns their number.
pub async fn add_project_members(
    tx: &mut Tx,
    id: ConversationId,
    project: ProjectId,
    among: Option<&[UserId]>,
) -> QueryResult<usize> {
    query!(tx.conn(), |c| {
        let mut rows = project_members::table
            .filter(project_members::project_id.eq(project))
            .select((
                id.into_sql::<BigInt>(),
                project_members::user_id,
                0.into_sql::<BigInt>(),
                Timestamp::now().into_sql::<diesel::sql_types::Timestamp>(),
            ))
            .into_boxed();
        if let Some(among) = among {
            rows = rows.filter(project_members::user_id.eq_any(among));
        }
        rows.insert_into(conversation_members::table).into_columns(COLUMNS).execute(c)
    })
}

/// The columns that [`add_users`] and [`add_project_members`] fill; `unread_after` is 0.
const COLUMNS: (
    conversation_members::conversation_id,
    conversation_members::user_id,
    conversation_members::read_seq,
    conversation_members::joined_at,
) = (
    conversation_members::conversation_id,
    conversation_members::user_id,
    conversation_members::read_seq,
    conversation_members::joined_at,
);

/// Adds a member, for whom all earlier messages count as read. An existing member is a unique
/// violation ([`is_taken`](crate::store::is_taken)).
pub async fn add_member(tx: &mut Tx, id: ConversationId, user: UserId) -> QueryResult<Timestamp> {
    let now = Timestamp::now();
    let last: i64 = query!(tx.conn(), |c| conversations::table
        .find(id)
        .select(conversations::last_seq)
        .first(c))?;
    let row = (
        conversation_members::conversation_id.eq(id),
        conversation_members::user_id.eq(user),
        conversation_members::read_seq.eq(last),
        conversation_members::unread_after.eq(last),
        conversation_members::joined_at.eq(now),
    );
    query!(tx.conn(), |c| diesel::insert_into(conversation_members::table).values(row).execute(c))?;
    Ok(now)
}

/// Removes a member from those conversations. Returns the number of conversations that it removed
/// the member from.
pub async fn remove_member(
    tx: &mut Tx,
    ids: &[ConversationId],
    user: UserId,
) -> QueryResult<usize> {
    query!(tx.conn(), |c| {
        diesel::delete(
            conversation_members::table
                .filter(conversation_members::conversation_id.eq_any(ids))
                .filter(conversation_members::user_id.eq(user)),
        )
        .execute(c)
    })
}

/// Passes the ownership of those conversations, where `from` owns them, to their longest-standing
/// member.
pub async fn pass_on(tx: &mut Tx, ids: &[ConversationId], from: UserId) -> QueryResult<usize> {
    let heir = conversation_members::table
        .filter(conversation_members::conversation_id.eq(conversations::id))
        .order((conversation_members::joined_at, conversation_members::user_id))
        .limit(1)
        .select(conversation_members::user_id)
        .single_value();
    query!(tx.conn(), |c| {
        diesel::update(
            conversations::table
                .filter(conversations::id.eq_any(ids))
                .filter(conversations::owner_id.eq(from)),
        )
        .set(conversations::owner_id.eq(heir))
        .execute(c)
    })
}

/// A conversation that is locked until the commit: nobody else sends to, leaves or deletes it.
pub struct LockedConversation {
    pub last_seq: i64,
    pub members: Vec<UserId>,
}

/// Locks those conversations; missing ones are left out.
pub async fn lock(
    tx: &mut Tx,
    ids: &[ConversationId],
) -> QueryResult<HashMap<ConversationId, LockedConversation>> {
    let rows = conversations::table
        .filter(conversations::id.eq_any(ids))
        .select((conversations::id, conversations::last_seq));
    let found: Vec<(ConversationId, i64)> = match tx.conn() {
        // SQLite has one writer, so nothing else changes meanwhile, and it has no such clause.
        Conn::Sqlite(c) => diesel::RunQueryDsl::load(rows, c)?,
        // Always locks in the same order, so that two of these never deadlock.
        Conn::Postgres(c) => {
            diesel_async::RunQueryDsl::load(rows.order(conversations::id).for_no_key_update(), c)
                .await?
        }
    };
    // Read after the lock, and so with everything committed while waiting for it.
    let mut members = members_of(tx.conn(), ids).await?;
    let locked = |(id, last_seq)| {
        (id, LockedConversation { last_seq, members: members.remove(&id).unwrap_or_default() })
    };
    Ok(found.into_iter().map(locked).collect())
}

/// Advances a member's read mark to `seq`. Returns false if it is there or further already, or if
/// the user is not a member.
pub async fn mark_read(
    tx: &mut Tx,
    id: ConversationId,
    user: UserId,
    seq: i64,
) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::update(
            conversation_members::table
                .find((id, user))
                .filter(conversation_members::read_seq.lt(seq)),
        )
        // A message of the member's own is at most one behind its read mark.
        .set((conversation_members::read_seq.eq(seq), conversation_members::unread_after.eq(seq)))
        .execute(c)
    })
    .map(|moved| moved > 0)
}

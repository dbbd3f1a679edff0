//! The lists of members, of projects and of conversations.

use diesel::dsl::count_star;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};

use crate::model::{ConversationId, Member, ProjectId, UserId};
use crate::schema::{conversation_members, project_members, users};
use crate::store::conn::query;
use crate::store::{Conn, FIRST, more_than, projects};

/// The project's first members, in the order in which they joined, and the number of all, if there
/// are more.
pub async fn first_of_project(
    conn: &mut Conn,
    id: ProjectId,
) -> QueryResult<(Vec<Member>, Option<i64>)> {
    let members: Vec<Member> = query!(conn, |c| {
        project_members::table
            .inner_join(users::table)
            .filter(project_members::project_id.eq(id))
            .select((users::id, users::name, project_members::joined_at))
            .order((project_members::joined_at, users::id))
            .limit(FIRST)
            .load(c)
    })?;
    let count = more_than(members.len(), async || projects::member_count(conn, id).await).await?;
    Ok((members, count))
}

/// A page of the project's members, highest user id first.
pub async fn of_project(
    conn: &mut Conn,
    id: ProjectId,
    before: Option<UserId>,
    limit: i64,
) -> QueryResult<Vec<Member>> {
    query!(conn, |c| {
        project_members::table
            .inner_join(users::table)
            .filter(project_members::project_id.eq(id))
            .filter(project_members::user_id.lt(before.unwrap_or(UserId(i64::MAX))))
            .select((users::id, users::name, project_members::joined_at))
            .order(project_members::user_id.desc())
            .limit(limit)
            .load(c)
    })
}

/// The conversation's first members, in the order in which they joined, and the number of all, if
/// there are more.
pub async fn first_of_conversation(
    conn: &mut Conn,
    id: ConversationId,
) -> QueryResult<(Vec<Member>, Option<i64>)> {
    let members: Vec<Member> = query!(conn, |c| {
        conversation_members::table
            .inner_join(users::table)
            .filter(conversation_members::conversation_id.eq(id))
            .select((users::id, users::name, conversation_members::joined_at))
            .order((conversation_members::joined_at, users::id))
            .limit(FIRST)
            .load(c)
    })?;
    let count = more_than(members.len(), async || conversation_count(conn, id).await).await?;
    Ok((members, count))
}

/// A page of the conversation's members, highest user id first.
pub async fn of_conversation(
    conn: &mut Conn,
    id: ConversationId,
    before: Option<UserId>,
    limit: i64,
) -> QueryResult<Vec<Member>> {
    query!(conn, |c| {
        conversation_members::table
            .inner_join(users::table)
            .filter(conversation_members::conversation_id.eq(id))
            .filter(conversation_members::user_id.lt(before.unwrap_or(UserId(i64::MAX))))
            .select((users::id, users::name, conversation_members::joined_at))
            .order(conversation_members::user_id.desc())
            .limit(limit)
            .load(c)
    })
}

/// Counts the conversation's members.
pub async fn conversation_count(conn: &mut Conn, id: ConversationId) -> QueryResult<i64> {
    query!(conn, |c| conversation_members::table
        .filter(conversation_members::conversation_id.eq(id))
        .count()
        .get_result(c))
}

/// Whether the two share a conversation or a project.
pub async fn share_a_room(conn: &mut Conn, one: UserId, other: UserId) -> QueryResult<bool> {
    let both = [one, other];
    let conversation: Option<ConversationId> = query!(conn, |c| {
        conversation_members::table
            .filter(conversation_members::user_id.eq_any(both))
            .group_by(conversation_members::conversation_id)
            .having(count_star().gt(1))
            .select(conversation_members::conversation_id)
            .first(c)
    })
    .optional()?;
    if conversation.is_some() {
        return Ok(true);
    }
    let project: Option<ProjectId> = query!(conn, |c| {
        project_members::table
            .filter(project_members::user_id.eq_any(both))
            .group_by(project_members::project_id)
            .having(count_star().gt(1))
            .select(project_members::project_id)
            .first(c)
    })
    .optional()?;
    Ok(project.is_some())
}

//! Invitations to conversations and projects: what was sent and received, insert, list, close.
//!
//! A row stays after its person has refused it, and exists also for a person who does not see it.
//! So an inviter cannot invite again, and all that an inviter can count is the same for everybody.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use diesel::{
    ExpressionMethods, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl,
    QueryResult,
};

use crate::event::Joinable;
use crate::model::{
    ConversationId, Invitation, InvitationId, InvitationKind, InvitedBy, ProjectId, Timestamp,
    UserId,
};
use crate::schema::{conversations, invitations, projects, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// The time after which an invitation ends by itself.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An invitation to insert.
#[derive(Debug, Clone, Copy)]
pub struct NewInvitation {
    pub room: Joinable,
    pub inviter: UserId,
    /// The user that the inviter has named.
    pub named: UserId,
    /// Whether that user sees the invitation.
    pub is_seen: bool,
}

/// A page of the invitations that a user sees.
pub struct InvitationPage {
    pub user: UserId,
    /// The page has only invitations older than this one.
    pub before: Option<InvitationId>,
    pub limit: i64,
}

/// Invitations made after this time have not ended.
fn oldest() -> Timestamp {
    Timestamp::now().before(LIFETIME)
}

/// The users among these who were invited to the room already. Removes their invitations that have
/// ended.
pub async fn invited(
    tx: &mut Tx,
    room: Joinable,
    among: &[UserId],
) -> QueryResult<HashSet<UserId>> {
    let (conversation, project) = ids(room);
    let found: Vec<(UserId, Timestamp)> = query!(tx.conn(), |c| {
        let mut rows = invitations::table
            .filter(invitations::named_id.eq_any(among))
            .select((invitations::named_id, invitations::created_at))
            .into_boxed();
        rows = match (conversation, project) {
            (Some(id), _) => rows.filter(invitations::conversation_id.eq(id)),
            (None, id) => rows.filter(invitations::project_id.eq(id)),
        };
        rows.load(c)
    })?;
    let oldest = oldest();
    let (open, ended): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, at)| *at > oldest);
    for (user, _) in ended {
        remove(tx, room, user).await?;
    }
    Ok(open.into_iter().map(|(user, _)| user).collect())
}

async fn remove(tx: &mut Tx, room: Joinable, named: UserId) -> QueryResult<usize> {
    match room {
        Joinable::Conversation(id) => query!(tx.conn(), |c| diesel::delete(
            invitations::table
                .filter(invitations::conversation_id.eq(id))
                .filter(invitations::named_id.eq(named))
        )
        .execute(c)),
        Joinable::Project(id) => query!(tx.conn(), |c| diesel::delete(
            invitations::table
                .filter(invitations::project_id.eq(id))
                .filter(invitations::named_id.eq(named))
        )
        .execute(c)),
    }
}

/// The numbers of invitations that the inviter has sent to each user and that were not accepted.
pub async fn sent(conn: &mut Conn, inviter: UserId) -> QueryResult<HashMap<UserId, i64>> {
    let counts: Vec<(UserId, i64)> = query!(conn, |c| {
        invitations::table
            .filter(invitations::inviter_id.eq(inviter))
            .filter(invitations::created_at.gt(oldest()))
            .group_by(invitations::named_id)
            .select((invitations::named_id, diesel::dsl::count_star()))
            .load(c)
    })?;
    Ok(counts.into_iter().collect())
}

/// The numbers of invitations that these users see.
pub async fn received(conn: &mut Conn, among: &[UserId]) -> QueryResult<HashMap<UserId, i64>> {
    let counts: Vec<(Option<UserId>, i64)> = query!(conn, |c| {
        invitations::table
            .filter(invitations::user_id.eq_any(among))
            .filter(invitations::created_at.gt(oldest()))
            .group_by(invitations::user_id)
            .select((invitations::user_id, diesel::dsl::count_star()))
            .load(c)
    })?;
    Ok(counts.into_iter().filter_map(|(user, count)| Some((user?, count))).collect())
}

/// The invitations that the user sees and their inviters, oldest first.
pub async fn seen_by(conn: &mut Conn, user: UserId) -> QueryResult<Vec<(InvitationId, UserId)>> {
    query!(conn, |c| {
        invitations::table
            .filter(invitations::user_id.eq(user))
            .filter(invitations::created_at.gt(oldest()))
            .select((invitations::id, invitations::inviter_id))
            .order(invitations::id)
            .load(c)
    })
}

/// Adds an invitation. `None` if the user was invited to the room meanwhile.
pub async fn insert(tx: &mut Tx, new: NewInvitation) -> QueryResult<Option<InvitationId>> {
    let (conversation, project) = ids(new.room);
    let row = (
        invitations::conversation_id.eq(conversation),
        invitations::project_id.eq(project),
        invitations::inviter_id.eq(new.inviter),
        invitations::named_id.eq(new.named),
        invitations::user_id.eq(new.is_seen.then_some(new.named)),
        invitations::created_at.eq(Timestamp::now()),
    );
    query!(tx.conn(), |c| diesel::insert_into(invitations::table)
        .values(row)
        .on_conflict_do_nothing()
        .returning(invitations::id)
        .get_result(c))
    .optional()
}

/// An invitation that the user sees.
pub async fn by_id(
    conn: &mut Conn,
    id: InvitationId,
    user: UserId,
) -> QueryResult<Option<Invitation>> {
    // The first one before the next id is the invitation itself, or an older one.
    let before = Some(InvitationId(id.0.saturating_add(1)));
    let found = list(conn, &InvitationPage { user, before, limit: 1 }).await?;
    Ok(found.into_iter().find(|invitation| invitation.id == id))
}

/// A page of the invitations that a user sees, newest first.
pub async fn list(conn: &mut Conn, page: &InvitationPage) -> QueryResult<Vec<Invitation>> {
    type Row = (
        (InvitationId, Option<ConversationId>, Option<ProjectId>, Timestamp),
        (Option<String>, Option<String>),
        (UserId, String),
    );
    let rows: Vec<Row> = query!(conn, |c| {
        let mut rows = invitations::table
            .inner_join(users::table.on(users::id.eq(invitations::inviter_id)))
            .left_join(conversations::table)
            .left_join(projects::table)
            .filter(invitations::user_id.eq(page.user))
            .filter(invitations::created_at.gt(oldest()))
            .select((
                (
                    invitations::id,
                    invitations::conversation_id,
                    invitations::project_id,
                    invitations::created_at,
                ),
                (conversations::title.nullable(), projects::name.nullable()),
                (users::id, users::name),
            ))
            .order(invitations::id.desc())
            .limit(page.limit)
            .into_boxed();
        if let Some(before) = page.before {
            rows = rows.filter(invitations::id.lt(before));
        }
        rows.load(c)
    })?;
    let invitation = |row: Row| {
        let ((id, conversation_id, project_id, created_at), (title, project), (by, name)) = row;
        let kind = if project_id.is_some() {
            InvitationKind::Project
        } else {
            InvitationKind::Conversation
        };
        let invited_by = InvitedBy { id: by, name };
        let title = title.or(project);
        Invitation { id, kind, conversation_id, project_id, title, invited_by, created_at }
    };
    Ok(rows.into_iter().map(invitation).collect())
}

/// Removes an invitation that the user sees. Returns false if there is none.
pub async fn accept(tx: &mut Tx, id: InvitationId, user: UserId) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::delete(invitations::table.find(id).filter(invitations::user_id.eq(user))).execute(c)
    })
    .map(|removed| removed > 0)
}

/// Hides an invitation from the user who sees it. Returns false if there is none.
pub async fn refuse(tx: &mut Tx, id: InvitationId, user: UserId) -> QueryResult<bool> {
    query!(tx.conn(), |c| {
        diesel::update(invitations::table.find(id).filter(invitations::user_id.eq(user)))
            .set(invitations::user_id.eq(None::<UserId>))
            .execute(c)
    })
    .map(|hidden| hidden > 0)
}

/// Hides all invitations of that inviter from the user. Returns their ids.
pub async fn refuse_all(
    tx: &mut Tx,
    inviter: UserId,
    user: UserId,
) -> QueryResult<Vec<InvitationId>> {
    query!(tx.conn(), |c| {
        diesel::update(
            invitations::table
                .filter(invitations::inviter_id.eq(inviter))
                .filter(invitations::user_id.eq(user)),
        )
        .set(invitations::user_id.eq(None::<UserId>))
        .returning(invitations::id)
        .get_results(c)
    })
}

/// Hides the invitation to the room from the named user. Returns its id and the user who saw it, or
/// `None` if the inviters of the room have named no such user.
pub async fn withdraw(
    tx: &mut Tx,
    room: Joinable,
    named: UserId,
) -> QueryResult<Option<(InvitationId, Option<UserId>)>> {
    let (conversation, project) = ids(room);
    let found: Option<(InvitationId, Option<UserId>)> = query!(tx.conn(), |c| {
        let mut rows = invitations::table
            .filter(invitations::named_id.eq(named))
            .select((invitations::id, invitations::user_id))
            .into_boxed();
        rows = match (conversation, project) {
            (Some(id), _) => rows.filter(invitations::conversation_id.eq(id)),
            (None, id) => rows.filter(invitations::project_id.eq(id)),
        };
        rows.first(c)
    })
    .optional()?;
    if let Some((id, Some(user))) = found {
        refuse(tx, id, user).await?;
    }
    Ok(found)
}

/// Removes at most `most` invitations that have ended. Returns their number.
pub async fn purge(tx: &mut Tx, most: i64) -> QueryResult<usize> {
    let ended: Vec<InvitationId> = query!(tx.conn(), |c| {
        invitations::table
            .filter(invitations::created_at.le(oldest()))
            .select(invitations::id)
            .limit(most)
            .load(c)
    })?;
    query!(tx.conn(), |c| {
        diesel::delete(invitations::table.filter(invitations::id.eq_any(&ended))).execute(c)
    })
}

fn ids(room: Joinable) -> (Option<ConversationId>, Option<ProjectId>) {
    match room {
        Joinable::Conversation(id) => (Some(id), None),
        Joinable::Project(id) => (None, Some(id)),
    }
}

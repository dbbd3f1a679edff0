//! Notices to many users: their receivers, and the progress of those that are written in steps.

use diesel::dsl::{count_star, max};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable};

use crate::model::{
    BroadcastId, JsonObject, Notice, NotificationType, ProjectId, Role, Timestamp, UserId,
};
use crate::schema::{broadcasts, project_members, users};
use crate::store::conn::query;
use crate::store::{Conn, Tx};

/// The receivers of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    All,
    Role(Role),
    /// The members of a project, except one.
    OtherMembers(ProjectId, UserId),
}

/// A range of user ids: above `after`, up to `up_to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIdRange {
    pub after: UserId,
    pub up_to: UserId,
}

impl UserIdRange {
    /// Every user.
    pub const ALL: Self = Self { after: UserId(0), up_to: UserId(i64::MAX) };
}

/// A notice that has not reached all receivers yet.
#[derive(Debug, Clone)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub audience: Audience,
    pub notice: Notice,
    /// The receivers that do not have it yet.
    pub rest: UserIdRange,
}

/// The ids of the receivers within that range: the lowest ones, ascending.
pub async fn receivers(
    conn: &mut Conn,
    audience: Audience,
    span: UserIdRange,
    limit: i64,
) -> QueryResult<Vec<UserId>> {
    let UserIdRange { after, up_to } = span;
    let role = match audience {
        Audience::All => None,
        Audience::Role(role) => Some(role),
        Audience::OtherMembers(project, but) => {
            return query!(conn, |c| {
                project_members::table
                    .filter(project_members::project_id.eq(project))
                    .filter(project_members::user_id.gt(after))
                    .filter(project_members::user_id.le(up_to))
                    .filter(project_members::user_id.ne(but))
                    .order(project_members::user_id)
                    .limit(limit)
                    .select(project_members::user_id)
                    .load(c)
            });
        }
    };
    query!(conn, |c| {
        let within = users::table.filter(users::id.gt(after)).filter(users::id.le(up_to));
        let mut ids = within.order(users::id).limit(limit).select(users::id).into_boxed();
        if let Some(role) = role {
            ids = ids.filter(users::role.eq(role));
        }
        ids.load(c)
    })
}

/// The number of receivers, and their highest id.
pub async fn count(conn: &mut Conn, audience: Audience) -> QueryResult<(i64, Option<UserId>)> {
    let role = match audience {
        Audience::All => None,
        Audience::Role(role) => Some(role),
        Audience::OtherMembers(project, but) => {
            return query!(conn, |c| {
                project_members::table
                    .filter(project_members::project_id.eq(project))
                    .filter(project_members::user_id.ne(but))
                    .select((count_star(), max(project_members::user_id)))
                    .first(c)
            });
        }
    };
    query!(conn, |c| {
        let mut found = users::table.select((count_star(), max(users::id))).into_boxed();
        if let Some(role) = role {
            found = found.filter(users::role.eq(role));
        }
        found.first(c)
    })
}

/// Adds a notice that nobody in `rest` has yet.
pub async fn insert(
    tx: &mut Tx,
    audience: Audience,
    notice: &Notice,
    rest: UserIdRange,
) -> QueryResult<()> {
    let (role, project, but) = match audience {
        Audience::All => (None, None, None),
        Audience::Role(role) => (Some(role), None, None),
        Audience::OtherMembers(project, but) => (None, Some(project), Some(but)),
    };
    let row = (
        (
            broadcasts::role.eq(role),
            broadcasts::project_id.eq(project),
            broadcasts::but_user_id.eq(but),
        ),
        broadcasts::kind.eq(notice.kind),
        broadcasts::title.eq(&notice.title),
        broadcasts::message.eq(&notice.message),
        broadcasts::data.eq(notice.data.as_ref()),
        broadcasts::last_user_id.eq(rest.after),
        broadcasts::up_to_user_id.eq(rest.up_to),
        broadcasts::created_at.eq(Timestamp::now()),
    );
    query!(tx.conn(), |c| diesel::insert_into(broadcasts::table).values(row).execute(c)).map(|_| ())
}

/// Counts the unfinished broadcasts.
pub async fn unfinished(conn: &mut Conn) -> QueryResult<i64> {
    query!(conn, |c| broadcasts::table.count().get_result(c))
}

#[derive(Queryable)]
struct BroadcastRow {
    id: BroadcastId,
    role: Option<Role>,
    project: Option<ProjectId>,
    but: Option<UserId>,
    kind: NotificationType,
    title: String,
    message: String,
    data: Option<JsonObject>,
    after: UserId,
    up_to: UserId,
    #[expect(dead_code, reason = "for operators that look at the table")]
    created_at: Timestamp,
}

/// The oldest broadcast after that one.
pub async fn next(conn: &mut Conn, behind: BroadcastId) -> QueryResult<Option<Broadcast>> {
    let found: Option<BroadcastRow> = query!(conn, |c| {
        broadcasts::table.filter(broadcasts::id.gt(behind)).order(broadcasts::id).first(c)
    })
    .optional()?;
    Ok(found.map(|row| {
        let BroadcastRow {
            id, role, project, but, kind, title, message, data, after, up_to, ..
        } = row;
        let audience = match (role, project.zip(but)) {
            (_, Some((project, but))) => Audience::OtherMembers(project, but),
            (Some(role), None) => Audience::Role(role),
            (None, None) => Audience::All,
        };
        Broadcast {
            id,
            audience,
            notice: Notice { kind, title, message, data },
            rest: UserIdRange { after, up_to },
        }
    }))
}

/// Notes that every receiver up to `to` has the notice. Returns false if another server has
/// advanced it from `seen` meanwhile; then nothing was changed. On PostgreSQL the row stays locked
/// until the commit: of two servers the second waits here, and then gets false.
pub async fn advance(tx: &mut Tx, id: BroadcastId, seen: UserId, to: UserId) -> QueryResult<bool> {
    let row = broadcasts::table.find(id).filter(broadcasts::last_user_id.eq(seen));
    query!(tx.conn(), |c| diesel::update(row).set(broadcasts::last_user_id.eq(to)).execute(c))
        .map(|changed| changed == 1)
}

/// Like [`advance`], for the last receivers: removes the finished broadcast.
pub async fn finish(tx: &mut Tx, id: BroadcastId, seen: UserId) -> QueryResult<bool> {
    let row = broadcasts::table.find(id).filter(broadcasts::last_user_id.eq(seen));
    query!(tx.conn(), |c| diesel::delete(row).execute(c)).map(|removed| removed == 1)
}

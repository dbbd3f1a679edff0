//! Projects: insert, touch, change, by id, list; their members; their stages.

use diesel::dsl::exists;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, SelectableHelper};

use crate::model::{Project, ProjectId, Stage, StageId, Timestamp, UserId};
use crate::schema::{project_members, projects, stages};
use crate::store::conn::query;
use crate::store::{Conn, FIRST, Tx, more_than};

/// The fields of a project that its members set.
pub struct ProjectContent {
    pub name: String,
    pub description: Option<String>,
    pub status: String,
}

/// A page of a member's projects.
pub struct ProjectPage {
    pub member: UserId,
    /// The page has only projects created before this one.
    pub before: Option<ProjectId>,
    pub limit: i64,
}

/// Adds a project, without members.
pub async fn insert(tx: &mut Tx, owner: UserId, new: ProjectContent) -> QueryResult<Project> {
    let now = Timestamp::now();
    let row = (
        projects::name.eq(new.name),
        projects::description.eq(new.description),
        projects::status.eq(new.status),
        projects::owner_id.eq(owner),
        projects::created_at.eq(now),
        projects::updated_at.eq(now),
    );
    query!(tx.conn(), |c| diesel::insert_into(projects::table)
        .values(row)
        .returning(Project::as_returning())
        .get_result(c))
}

/// Sets `updated_at`, and returns the project. On PostgreSQL this also locks it until the commit:
/// decisions based on it stay valid.
pub async fn touch(tx: &mut Tx, id: ProjectId) -> QueryResult<Option<Project>> {
    let now = Timestamp::now();
    query!(tx.conn(), |c| {
        diesel::update(projects::table.find(id))
            .set(projects::updated_at.eq(now))
            .returning(Project::as_returning())
            .get_result(c)
    })
    .optional()
}

/// Replaces the content of a project that was [touched](touch).
pub async fn change(tx: &mut Tx, id: ProjectId, to: ProjectContent) -> QueryResult<Project> {
    let row = (
        projects::name.eq(to.name),
        projects::description.eq(to.description),
        projects::status.eq(to.status),
    );
    query!(tx.conn(), |c| diesel::update(projects::table.find(id))
        .set(row)
        .returning(Project::as_returning())
        .get_result(c))
}

/// The project with that id.
pub async fn by_id(conn: &mut Conn, id: ProjectId) -> QueryResult<Option<Project>> {
    query!(conn, |c| projects::table.find(id).select(Project::as_select()).first(c)).optional()
}

/// A page of a member's projects, newest first.
pub async fn list(conn: &mut Conn, page: &ProjectPage) -> QueryResult<Vec<Project>> {
    query!(conn, |c| {
        let mut rows = project_members::table
            .inner_join(projects::table)
            .filter(project_members::user_id.eq(page.member))
            .select(Project::as_select())
            .order(project_members::project_id.desc())
            .limit(page.limit)
            .into_boxed();
        if let Some(before) = page.before {
            rows = rows.filter(project_members::project_id.lt(before));
        }
        rows.load(c)
    })
}

/// Returns true if the user is a member; false for a missing project.
pub async fn is_member(conn: &mut Conn, id: ProjectId, user: UserId) -> QueryResult<bool> {
    query!(conn, |c| diesel::select(exists(project_members::table.find((id, user)))).get_result(c))
}

/// Like [`is_member`], and locks the membership until the commit: a removal waits. Use it for steps
/// that must not follow a removal.
pub async fn lock_member(tx: &mut Tx, id: ProjectId, user: UserId) -> QueryResult<bool> {
    let row = project_members::table.find((id, user)).select(project_members::user_id);
    let found: Option<UserId> = match tx.conn() {
        // SQLite has one writer, so nothing else changes meanwhile, and it has no such clause.
        Conn::Sqlite(c) => diesel::RunQueryDsl::first(row, c),
        Conn::Postgres(c) => diesel_async::RunQueryDsl::first(row.for_key_share(), c).await,
    }
    .optional()?;
    Ok(found.is_some())
}

/// Counts the project's members.
pub async fn member_count(conn: &mut Conn, id: ProjectId) -> QueryResult<i64> {
    query!(conn, |c| project_members::table
        .filter(project_members::project_id.eq(id))
        .count()
        .get_result(c))
}

/// Adds a member. An existing member is a unique violation ([`is_taken`](crate::store::is_taken)).
pub async fn add_member(tx: &mut Tx, id: ProjectId, user: UserId) -> QueryResult<Timestamp> {
    let now = Timestamp::now();
    let row = (
        project_members::project_id.eq(id),
        project_members::user_id.eq(user),
        project_members::joined_at.eq(now),
    );
    query!(tx.conn(), |c| diesel::insert_into(project_members::table).values(row).execute(c))?;
    Ok(now)
}

/// Removes a member. Returns false if the user was not a member.
pub async fn remove_member(tx: &mut Tx, id: ProjectId, user: UserId) -> QueryResult<bool> {
    query!(tx.conn(), |c| diesel::delete(project_members::table.find((id, user))).execute(c))
        .map(|removed| removed > 0)
}

/// Adds an uncompleted stage.
pub async fn insert_stage(tx: &mut Tx, id: ProjectId, name: String) -> QueryResult<Stage> {
    let row =
        (stages::project_id.eq(id), stages::name.eq(name), stages::created_at.eq(Timestamp::now()));
    query!(tx.conn(), |c| diesel::insert_into(stages::table)
        .values(row)
        .returning(Stage::as_returning())
        .get_result(c))
}

/// The project's first stages, oldest first, and the number of all, if there are more.
pub async fn first_stages(
    conn: &mut Conn,
    id: ProjectId,
) -> QueryResult<(Vec<Stage>, Option<i64>)> {
    let first: Vec<Stage> = query!(conn, |c| stages::table
        .filter(stages::project_id.eq(id))
        .order(stages::id)
        .limit(FIRST)
        .select(Stage::as_select())
        .load(c))?;
    let count = more_than(first.len(), async || stage_count(conn, id).await).await?;
    Ok((first, count))
}

/// Counts the project's stages.
pub async fn stage_count(conn: &mut Conn, id: ProjectId) -> QueryResult<i64> {
    query!(conn, |c| projects::table.find(id).select(projects::stage_count).first(c))
}

/// A page of the project's stages, newest first.
pub async fn stages(
    conn: &mut Conn,
    id: ProjectId,
    before: Option<StageId>,
    limit: i64,
) -> QueryResult<Vec<Stage>> {
    query!(conn, |c| stages::table
        .filter(stages::project_id.eq(id))
        .filter(stages::id.lt(before.unwrap_or(StageId(i64::MAX))))
        .order(stages::id.desc())
        .limit(limit)
        .select(Stage::as_select())
        .load(c))
}

/// A stage of that project.
pub async fn stage(conn: &mut Conn, id: ProjectId, stage: StageId) -> QueryResult<Option<Stage>> {
    query!(conn, |c| stages::table
        .find(stage)
        .filter(stages::project_id.eq(id))
        .select(Stage::as_select())
        .first(c))
    .optional()
}

/// Completes a stage; `None` if it was completed already.
pub async fn complete_stage(tx: &mut Tx, stage: StageId, by: UserId) -> QueryResult<Option<Stage>> {
    let row = (stages::completed_at.eq(Timestamp::now()), stages::completed_by.eq(by));
    query!(tx.conn(), |c| {
        diesel::update(stages::table.find(stage).filter(stages::completed_at.is_null()))
            .set(row)
            .returning(Stage::as_returning())
            .get_result(c)
    })
    .optional()
}

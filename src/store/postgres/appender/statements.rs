//! The appender's SQL: move the outbox into the log, read a chunk of the log, poll for work, remove
//! orphaned placeholders.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::{QueryResult, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::model::EventId;
use crate::store::postgres::epochs::IDENTITY;

/// Events in one chunk; the statements repeat it as `LIMIT 512`.
pub(super) const CHUNK_ROWS: usize = 512;

/// Moves rows of the outbox, those of all servers, into the log, in the order of their ids. Must be
/// called in a transaction that holds `log_head` since an earlier statement: everything committed
/// before a row that is visible here is then visible too, and ids follow the order of cause and
/// effect.
///
/// Placeholders of this server are only returned; those in `done` are deleted.
pub(super) async fn move_outbox(
    conn: &mut AsyncPgConnection,
    server: i64,
    done: Vec<i64>,
    identity: String,
) -> QueryResult<Vec<MovedRow>> {
    MoveOutbox { server, done, identity }.load(conn).await
}

#[derive(QueryId)]
struct MoveOutbox {
    server: i64,
    done: Vec<i64>,
    identity: String,
}

/// A row of [`move_outbox`]: one per row moved, or a single one with only the first three columns.
#[derive(Queryable)]
pub(super) struct MovedRow {
    /// The log's last id before the move.
    pub(super) head: i64,
    /// The newest epoch.
    pub(super) epoch: Option<i64>,
    /// Whether the database is the given one.
    pub(super) is_known: bool,
    pub(super) outbox_id: Option<i64>,
    pub(super) origin: Option<i64>,
    /// `None` for a placeholder.
    pub(super) id: Option<i64>,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) payload: Option<String>,
    pub(super) except_json: Option<String>,
    /// Names as clients see them.
    pub(super) rooms: Option<Vec<String>>,
    /// The users that `members:ID` stands for.
    pub(super) members: Option<Vec<i64>>,
}

impl Query for MoveOutbox {
    type SqlType = (
        BigInt,
        Nullable<BigInt>,
        Bool,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Text>,
        Nullable<Array<Text>>,
        Nullable<Array<BigInt>>,
    );
}

impl QueryFragment<Pg> for MoveOutbox {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH settings AS (SELECT ");
        out.push_bind_param::<BigInt, _>(&self.server)?;
        out.push_sql("::BIGINT AS server, ");
        out.push_bind_param::<Array<BigInt>, _>(&self.done)?;
        out.push_sql(
            "::BIGINT[] AS done), \
             spent AS (DELETE FROM outbox USING settings WHERE outbox.id = ANY (done)), \
             waiting AS ( \
                 SELECT id, origin, name FROM outbox, settings \
                 WHERE (name IS NOT NULL OR origin >> 32 = server) AND id <> ALL (done) \
                 ORDER BY id LIMIT 512 \
             ), \
             taken AS ( \
                 DELETE FROM outbox USING waiting \
                 WHERE outbox.id = waiting.id AND waiting.name IS NOT NULL RETURNING outbox.* \
             ), \
             numbered AS ( \
                 SELECT taken.*, last_id + row_number() OVER (ORDER BY taken.id) AS event_id \
                 FROM taken, log_head \
             ), \
             raised AS ( \
                 UPDATE log_head SET last_id = (SELECT max(event_id) FROM numbered) \
                 WHERE EXISTS (SELECT FROM numbered) \
             ), \
             stored AS ( \
                 INSERT INTO events ( \
                     id, namespace, name, payload, except_json, created_at, origin, outbox_id, \
                     members_json \
                 ) \
                 SELECT event_id, namespace, name, payload, except_json, \
                     date_trunc('milliseconds', clock_timestamp() AT TIME ZONE 'UTC'), origin, id, \
                     CASE WHEN members <> '{}' THEN array_to_json(members)::TEXT END \
                 FROM numbered \
             ), \
             found AS ( \
                 INSERT INTO event_rooms (room, event_id) \
                 SELECT DISTINCT namespace || '#' || room, event_id \
                 FROM numbered, \
                     UNNEST(CASE WHEN rooms = '{}' THEN ARRAY[''] ELSE rooms END) AS room \
             ) \
             SELECT last_id, (SELECT epoch FROM epochs ORDER BY number DESC LIMIT 1), ",
        );
        out.push_sql(IDENTITY);
        out.push_sql(" = ");
        out.push_bind_param::<Text, _>(&self.identity)?;
        out.push_sql(
            ", given.id, origin, event_id, namespace, name, payload, except_json, rooms, members \
             FROM log_head LEFT JOIN ( \
                 SELECT id, origin, event_id, namespace, name, payload, except_json, \
                     rooms, members \
                 FROM numbered \
                 UNION ALL \
                 SELECT id, origin, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
                 FROM waiting WHERE name IS NULL \
             ) AS given ON TRUE ORDER BY given.id",
        );
        Ok(())
    }
}

/// Reads a chunk of the log: ids above `after`, up to `last`.
pub(super) async fn read_log(
    conn: &mut AsyncPgConnection,
    after: EventId,
    last: EventId,
) -> QueryResult<Vec<LogRow>> {
    ReadLog { after, last }.load(conn).await
}

#[derive(QueryId)]
struct ReadLog {
    after: EventId,
    last: EventId,
}

/// A row of [`read_log`], one per event.
#[derive(Queryable)]
pub(super) struct LogRow {
    pub(super) id: i64,
    pub(super) outbox_id: Option<i64>,
    pub(super) origin: Option<i64>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) payload: String,
    pub(super) except_json: Option<String>,
    /// The room keys, with the namespace as prefix, as in `event_rooms`.
    pub(super) rooms: Vec<String>,
    pub(super) members_json: Option<String>,
}

impl Query for ReadLog {
    type SqlType = (
        BigInt,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Text,
        Text,
        Text,
        Nullable<Text>,
        Array<Text>,
        Nullable<Text>,
    );
}

impl QueryFragment<Pg> for ReadLog {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT id, outbox_id, origin, namespace, name, payload, except_json, \
                 ARRAY(SELECT room FROM event_rooms WHERE event_id = events.id), members_json \
             FROM events WHERE id > ",
        );
        out.push_bind_param::<BigInt, _>(&self.after)?;
        out.push_sql(" AND id <= ");
        out.push_bind_param::<BigInt, _>(&self.last)?;
        out.push_sql(" ORDER BY id LIMIT 512");
        Ok(())
    }
}

/// Polls, without a lock, for work: returns the log's last id, and whether the outbox has rows for
/// this server.
pub(super) async fn poll(
    conn: &mut AsyncPgConnection,
    server: i64,
) -> QueryResult<(EventId, bool)> {
    PollLog { server }.get_result(conn).await
}

#[derive(QueryId)]
struct PollLog {
    server: i64,
}

impl Query for PollLog {
    type SqlType = (BigInt, Bool);
}

impl QueryFragment<Pg> for PollLog {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT last_id, EXISTS (SELECT FROM outbox WHERE name IS NOT NULL OR origin >> 32 = ",
        );
        out.push_bind_param::<BigInt, _>(&self.server)?;
        out.push_sql(") FROM log_head");
        Ok(())
    }
}

/// Removes placeholders of servers that died before they processed them.
pub(super) async fn remove_orphans(conn: &mut AsyncPgConnection) -> QueryResult<usize> {
    DeleteOrphans.execute(conn).await
}

#[derive(QueryId)]
struct DeleteOrphans;

impl QueryFragment<Pg> for DeleteOrphans {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "DELETE FROM outbox WHERE name IS NULL \
             AND created_at < clock_timestamp() AT TIME ZONE 'UTC' - INTERVAL '10 minutes'",
        );
        Ok(())
    }
}

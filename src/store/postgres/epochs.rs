//! Which database this is, and which epochs its log has.
//!
//! A log that was restored, copied or failed over may lack the tail that clients have seen, and
//! count on over the same ids. So an epoch begins when the database is another than the one that
//! the last epoch was begun on, and when the log's head is behind what was announced.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Text};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};
use diesel_async::RunQueryDsl;

use crate::model::{Epoch, EventId, LogPosition};
use crate::schema::{epochs, log_head};
use crate::store::Conn;
use crate::store::epochs as epoch_rows;
use crate::store::postgres::pool::connection;

/// The epochs of the log, as an appender knows them.
pub(super) struct EpochList {
    /// Number, epoch, first id; in the order of their numbers.
    rows: Vec<(i64, Epoch, EventId)>,
    /// What the newest was begun on.
    identity: Option<String>,
}

impl EpochList {
    async fn load(conn: &mut Conn) -> QueryResult<Self> {
        let columns = (epochs::number, epochs::epoch, epochs::first_id);
        let rows =
            epochs::table.order(epochs::number).select(columns).load(connection(conn)).await?;
        let newest = epochs::table.order(epochs::number.desc()).select(epochs::identity);
        let identity: Option<Option<String>> = newest.first(connection(conn)).await.optional()?;
        Ok(Self { rows, identity: identity.flatten() })
    }

    pub(super) fn position(&self, id: EventId) -> LogPosition {
        let epoch = self
            .rows
            .iter()
            .rev()
            .find(|(_, _, first)| *first <= id)
            .map_or(epoch_rows::NONE, |row| row.1);
        LogPosition { epoch, id }
    }

    pub(super) fn newest(&self) -> i64 {
        self.rows.last().map_or(0, |row| row.0)
    }

    /// Where the log ends that is announced up to there: what comes next belongs to the newest
    /// epoch.
    pub(super) fn end(&self, id: EventId) -> LogPosition {
        LogPosition { epoch: self.rows.last().map_or(epoch_rows::NONE, |row| row.1), id }
    }

    /// Up to where what was announced is still what the log holds: where the first epoch after that
    /// one begins, something else comes.
    pub(super) fn good_up_to(&self, known: i64, announced: EventId) -> EventId {
        let cuts = self
            .rows
            .iter()
            .filter(|(number, ..)| *number > known)
            .map(|(_, _, first)| EventId(first.0 - 1));
        cuts.fold(announced, Ord::min)
    }
}

/// Begins an epoch when it is time for one, and tells which there are and from where on to
/// announce. To be called in a transaction: it holds the log's head. `known_state`: the newest epoch
/// that was known, and up to where the log was announced; none at the start, which is the log's
/// head.
pub(super) async fn refresh_epochs(
    conn: &mut Conn,
    known_state: Option<(i64, EventId)>,
) -> QueryResult<(EpochList, EventId)> {
    let head: EventId =
        log_head::table.select(log_head::last_id).for_update().first(connection(conn)).await?;
    let identity = identity(conn).await?;
    let mut epochs = EpochList::load(conn).await?;
    let (known, announced) = known_state.unwrap_or((epochs.newest(), head));
    let announced = epochs.good_up_to(known, announced);
    if epochs.identity.as_ref() != Some(&identity) || head < announced {
        tracing::info!(%identity, behind = head.0, "the log begins an epoch");
        epoch_rows::begin(conn, Some(&identity)).await?;
        epochs = EpochList::load(conn).await?;
    }
    Ok((epochs, announced.min(head)))
}

/// The cluster's own number, its timeline (another after a failover or a restore to a point in
/// time), the database and the log's table (others after a restore from a dump). The first two come
/// from functions that everyone may call unless the database's owner has changed that; what may not
/// be called is left out.
async fn identity(conn: &mut Conn) -> QueryResult<String> {
    let (system, timeline): (bool, bool) =
        diesel_async::RunQueryDsl::get_result(MayCall, connection(conn)).await?;
    let mut parts = Vec::new();
    if system {
        parts.push(RunQueryDsl::get_result(System, connection(conn)).await?);
    }
    if timeline {
        parts.push(RunQueryDsl::get_result(Timeline, connection(conn)).await?);
    }
    parts.push(RunQueryDsl::get_result::<String>(Tables, connection(conn)).await?);
    Ok(parts.join("/"))
}

macro_rules! scalar_query {
    ($name:ident: $type:ty, $sql:literal) => {
        #[derive(QueryId)]
        struct $name;

        impl Query for $name {
            type SqlType = $type;
        }

        impl QueryFragment<Pg> for $name {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }
    };
}

// A function that may not be called fails a query that only names it, so what may be is asked
// first.
scalar_query!(
    MayCall: (Bool, Bool),
    "SELECT has_function_privilege('pg_control_system()', 'EXECUTE'), \
        has_function_privilege('pg_current_wal_lsn()', 'EXECUTE') AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')"
);
scalar_query!(System: Text, "SELECT system_identifier::TEXT FROM pg_control_system()");
scalar_query!(Timeline: Text, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)");
scalar_query!(Tables: Text, "SELECT oid || '.' || 'events'::REGCLASS::OID FROM pg_database WHERE datname = current_database()");

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> EpochList {
        EpochList {
            rows: vec![
                (1, Epoch(11), EventId(1)),
                (2, Epoch(22), EventId(50)),
                (4, Epoch(44), EventId(31)),
            ],
            identity: None,
        }
    }

    #[test]
    fn an_event_belongs_to_the_newest_epoch_that_begins_at_or_ahead_of_it() {
        let of = |id| epochs().position(EventId(id)).epoch;
        assert_eq!([of(1), of(30), of(31), of(60)], [Epoch(11), Epoch(11), Epoch(44), Epoch(44)]);
    }

    #[test]
    fn what_was_announced_is_good_up_to_the_first_cut_that_was_not_known() {
        let good = |known, announced| epochs().good_up_to(known, EventId(announced)).0;
        assert_eq!(
            [good(0, 100), good(1, 100), good(1, 20), good(2, 100), good(4, 100)],
            [0, 30, 20, 30, 100]
        );
    }
}

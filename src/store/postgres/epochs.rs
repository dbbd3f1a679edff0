//! Which database this is, and which epochs its log has.
//!
//! A log that was restored, copied or failed over may lack the tail that clients have seen, and
//! assign the same ids again. So a new epoch begins when the database is not the one of the last
//! epoch, and when the log's end is behind what was announced.

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

/// The epochs of the log, as the appender last read them.
pub(super) struct EpochList {
    /// Number, epoch and first id, in the order of their numbers.
    rows: Vec<(i64, Epoch, EventId)>,
    /// Identity of the database that the newest epoch began on.
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

    /// The position of a log that is announced up to `id`: the next event belongs to the newest
    /// epoch.
    pub(super) fn end(&self, id: EventId) -> LogPosition {
        LogPosition { epoch: self.rows.last().map_or(epoch_rows::NONE, |row| row.1), id }
    }

    /// The last id up to which `announced` is still what the log holds: an epoch newer than `known`
    /// replaces everything from its first id on.
    pub(super) fn good_up_to(&self, known: i64, announced: EventId) -> EventId {
        let cuts = self
            .rows
            .iter()
            .filter(|(number, ..)| *number > known)
            .map(|(_, _, first)| EventId(first.0 - 1));
        cuts.fold(announced, Ord::min)
    }
}

/// Begins an epoch if necessary, and returns the epochs and the id to announce from. Must be called
/// in a transaction: it locks the log's head. `known_state`: the newest known epoch and the last
/// announced id; `None` at the start, which means the log's head.
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
        tracing::info!(%identity, behind = head.0, "a new epoch of the log begins");
        epoch_rows::begin(conn, Some(&identity)).await?;
        epochs = EpochList::load(conn).await?;
    }
    Ok((epochs, announced.min(head)))
}

/// Identity of the database: the cluster's system identifier, its timeline (changes with a failover
/// or a restore to a point in time), the database and the log's table (change with a restore from a
/// dump). Everyone may call the functions behind the first two unless the database's owner has
/// revoked that; a part that may not be read is left out.
async fn identity(conn: &mut Conn) -> QueryResult<String> {
    let (system, timeline): (bool, bool) =
        diesel_async::RunQueryDsl::get_result(Privileges, connection(conn)).await?;
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

// A query fails if it only names a function that may not be called, so the privileges are read
// first.
scalar_query!(
    Privileges: (Bool, Bool),
    "SELECT has_function_privilege('pg_control_system()', 'EXECUTE'), \
        has_function_privilege('pg_current_wal_lsn()', 'EXECUTE') \
        AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')"
);
scalar_query!(System: Text, "SELECT system_identifier::TEXT FROM pg_control_system()");
scalar_query!(Timeline: Text, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)");
scalar_query!(
    Tables: Text,
    "SELECT oid || '.' || 'events'::REGCLASS::OID FROM pg_database \
        WHERE datname = current_database()"
);

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
    fn an_event_belongs_to_the_newest_epoch_that_begins_at_or_before_it() {
        let of = |id| epochs().position(EventId(id)).epoch;
        assert_eq!([of(1), of(30), of(31), of(60)], [Epoch(11), Epoch(11), Epoch(44), Epoch(44)]);
    }

    #[test]
    fn announced_ids_are_good_up_to_the_first_unknown_epoch() {
        let good = |known, announced| epochs().good_up_to(known, EventId(announced)).0;
        assert_eq!(
            [good(0, 100), good(1, 100), good(1, 20), good(2, 100), good(4, 100)],
            [0, 30, 20, 30, 100]
        );
    }
}

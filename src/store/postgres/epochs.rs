//! The epochs of the log on PostgreSQL.
//!
//! A log that was restored, copied or failed over may lack the tail that clients have seen, and
//! assign the same ids again. Nothing in the data tells that: a copy of the data directory holds
//! every sign of the original. What a copy cannot have is a process that never stopped. So an
//! appender begins an epoch unless it knows, by a connection that never broke to a PostgreSQL that
//! never restarted, that the log is the one to which it appended last (docs/adr/0006-epochs.md).

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel::{QueryDsl, QueryResult};
use diesel_async::RunQueryDsl;

use crate::model::{Epoch, EventId, LogPosition};
use crate::schema::{epochs, log_head};
use crate::store::Conn;
use crate::store::epochs as epoch_rows;
use crate::store::postgres::pool::connection;

/// The epochs of the log, as the appender last read them.
pub(super) struct EpochList {
    /// Epoch and first id, in the order of their numbers.
    rows: Vec<(Epoch, EventId)>,
}

impl EpochList {
    async fn load(conn: &mut Conn) -> QueryResult<Self> {
        let columns = (epochs::epoch, epochs::first_id);
        let rows =
            epochs::table.order(epochs::number).select(columns).load(connection(conn)).await?;
        Ok(Self { rows })
    }

    pub(super) fn position(&self, id: EventId) -> LogPosition {
        let epoch = self
            .rows
            .iter()
            .rev()
            .find(|(_, first)| *first <= id)
            .map_or(epoch_rows::NONE, |row| row.0);
        LogPosition { epoch, id }
    }

    pub(super) fn newest(&self) -> Epoch {
        self.rows.last().map_or(epoch_rows::NONE, |row| row.0)
    }

    /// The position of a log that is announced up to `id`: the next event belongs to the newest
    /// epoch.
    pub(super) fn end(&self, id: EventId) -> LogPosition {
        LogPosition { epoch: self.newest(), id }
    }

    /// The last id up to which `announced` is still what the log holds: an epoch that is not among
    /// the known ones replaces everything from its first id on.
    fn good_up_to(&self, known: &Self, announced: EventId) -> EventId {
        let is_known = |epoch| known.rows.iter().any(|row| row.0 == epoch);
        let new = self.rows.iter().filter(|(epoch, _)| !is_known(*epoch));
        new.map(|(_, first)| EventId(first.0 - 1)).fold(announced, Ord::min)
    }
}

/// What an appender knows of the log.
pub(super) struct KnownLog {
    pub(super) epochs: EpochList,
    /// The last announced id.
    pub(super) announced: EventId,
    /// The database that the appender knows to be the one of its epochs; empty if it knows none.
    pub(super) identity: String,
}

impl KnownLog {
    /// Begins an epoch for a server, or reads the log for a command, which begins its epoch with
    /// its first event, because most have none. Must be called in a transaction.
    pub(super) async fn start(conn: &mut Conn, is_server: bool) -> QueryResult<Self> {
        let head = lock_head(conn).await?;
        let epochs = EpochList::load(conn).await?;
        let mut log = Self { epochs, announced: head, identity: String::new() };
        if is_server {
            log.begin(conn).await?;
        }
        Ok(log)
    }

    /// Reads the epochs that others have begun, and takes back what they have replaced. Begins an
    /// epoch if the log has lost its end, or if this appender is about to append (`will_append`)
    /// and does not know the database. Must be called in a transaction.
    pub(super) async fn refresh(&mut self, conn: &mut Conn, will_append: bool) -> QueryResult<()> {
        let head = lock_head(conn).await?;
        let found = EpochList::load(conn).await?;
        self.announced = found.good_up_to(&self.epochs, self.announced);
        self.epochs = found;
        if head < self.announced {
            tracing::warn!(
                head = head.0,
                sent = self.announced.0,
                "the log lacks events that were sent: the database was restored, or failed over; \
                 a client that has them is not resumed"
            );
            self.announced = head;
        } else if !will_append || self.identity == identity(conn).await? {
            return Ok(());
        }
        self.begin(conn).await
    }

    async fn begin(&mut self, conn: &mut Conn) -> QueryResult<()> {
        self.identity = identity(conn).await?;
        let start = epoch_rows::begin(conn, Some(&self.identity)).await?;
        tracing::info!(epoch = start.epoch.0, after = start.id.0, "a new epoch of the log begins");
        self.epochs = EpochList::load(conn).await?;
        Ok(())
    }
}

async fn lock_head(conn: &mut Conn) -> QueryResult<EventId> {
    log_head::table.select(log_head::last_id).for_update().first(connection(conn)).await
}

/// An SQL expression for the running PostgreSQL, which a copy of its data cannot be: the time of
/// its start, and the database and the log's table, which change with a restore from a dump.
pub(super) const IDENTITY: &str = "(SELECT extract(epoch FROM pg_postmaster_start_time()) || '/' \
    || oid || '.' || 'events'::REGCLASS::OID FROM pg_database WHERE datname = current_database())";

async fn identity(conn: &mut Conn) -> QueryResult<String> {
    Identity.get_result(connection(conn)).await
}

#[derive(QueryId)]
struct Identity;

impl Query for Identity {
    type SqlType = Text;
}

impl QueryFragment<Pg> for Identity {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(IDENTITY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: &[(i64, i64)]) -> EpochList {
        let row = |(epoch, first): &(i64, i64)| (Epoch(*epoch), EventId(*first));
        EpochList { rows: rows.iter().map(row).collect() }
    }

    #[test]
    fn an_event_belongs_to_the_newest_epoch_that_begins_at_or_before_it() {
        let epochs = list(&[(11, 1), (22, 50), (44, 31)]);
        let of = |id| epochs.position(EventId(id)).epoch;
        assert_eq!([of(1), of(30), of(31), of(60)], [Epoch(11), Epoch(11), Epoch(44), Epoch(44)]);
    }

    #[test]
    fn announced_ids_are_good_up_to_the_first_unknown_epoch() {
        let epochs = list(&[(11, 1), (22, 50), (44, 31)]);
        let good =
            |known: &[(i64, i64)], announced| epochs.good_up_to(&list(known), EventId(announced)).0;
        let (first, second) = ([(11, 1)], [(11, 1), (22, 50)]);
        assert_eq!([good(&first, 100), good(&first, 20), good(&second, 100)], [30, 20, 30]);
        // Epochs that a restore has removed do not make up for those that began after it.
        assert_eq!(good(&[(11, 1), (22, 50), (33, 60)], 100), 30);
        assert_eq!(good(&[(11, 1), (22, 50), (44, 31)], 100), 100);
    }
}

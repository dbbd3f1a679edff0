//! The appender: moves committed events into the log, and announces the log. Each server runs one;
//! servers on one database take turns.
//!
//! A round moves the outbox's rows into the log, whichever server wrote them, and then announces
//! the log up to there: first what other servers have moved, read from the log, then what it moved
//! itself. The only state between rounds is the last announced id; a round that fails is started
//! anew, and what it had moved is then read from the log. So events are announced in log order,
//! each once, or not yet.

mod announcer;
mod statements;

use std::rc::Rc;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{SimpleAsyncConnection, TransactionManager as _};
use hubcast_realtime::throttled;

use crate::model::EventId;
use crate::store::fault::NO_ANSWER;
use crate::store::postgres::appender::announcer::{Announcer, LogEvent, Placeholder};
use crate::store::postgres::appender::statements::{CHUNK_ROWS, MovedRow};
use crate::store::postgres::context::PgContext;
use crate::store::postgres::epochs::KnownLog;
use crate::store::postgres::pool::{TIME_LIMIT, TransactionManager, connection, discard};
use crate::store::{Conn, Publisher, history};

/// How often the appender looks for events of other servers, and for rows that a crashed server has
/// left.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// Pause after a failure; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often orphaned placeholders are removed.
const CLEANUP_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Appender {
    /// `None` after a failure.
    conn: Option<Conn>,
    log: KnownLog,
    cleaned: Instant,
}

impl Appender {
    /// Finds the end of the log, and reports it to `publisher`, if given: everything announced
    /// comes after it.
    pub(super) async fn start(
        mut conn: Conn,
        publisher: Option<&dyn Publisher>,
    ) -> QueryResult<Self> {
        begin(&mut conn).await?;
        let log = bounded(KnownLog::start(&mut conn, publisher.is_some())).await?;
        commit(&mut conn).await?;
        if let Some(publisher) = publisher {
            let last = bounded(history::last(&mut conn, log.announced)).await?;
            publisher.begin(log.epochs.end(log.announced), last);
        }
        Ok(Self { conn: Some(conn), log, cleaned: Instant::now() })
    }

    /// Runs until the context is closed and every committed event is announced.
    pub(super) async fn run(mut self, context: Rc<PgContext>) {
        let mut announcer = Announcer::new(Rc::clone(&context));
        let (mut pause, mut woken) = (FIRST_PAUSE, true);
        loop {
            match self.work(&context, &mut announcer, woken).await {
                Ok(()) => {
                    context.health.set_log_stalled(false);
                    if context.closed.get() && context.pending.is_settled() {
                        return;
                    }
                    pause = FIRST_PAUSE;
                    woken = tokio::time::timeout(POLL_EVERY, context.appender_wakeup.notified())
                        .await
                        .is_ok();
                }
                Err(error) => {
                    if let Some(conn) = self.conn.take() {
                        discard(conn);
                    }
                    throttled!(
                        warn,
                        by = error.to_string(),
                        %error,
                        announced = self.log.announced.0,
                        "cannot append to the log; trying again"
                    );
                    context.health.set_log_stalled(pause > FIRST_PAUSE * 4);
                    tokio::time::sleep(pause).await;
                    (pause, woken) = (LONGEST_PAUSE.min(pause * 2), true);
                }
            }
        }
    }

    /// Connects if necessary, and runs rounds until there are no more rows to move or announce.
    async fn work(
        &mut self,
        context: &PgContext,
        announcer: &mut Announcer,
        woken: bool,
    ) -> QueryResult<()> {
        if self.conn.is_none() {
            let conn = tokio::time::timeout(TIME_LIMIT, context.connections.get_for_appender());
            self.conn = Some(conn.await.unwrap_or(Err(NO_ANSWER)).map_err(unanswered)?);
            // Meanwhile another database may have taken the place of the one that it knew.
            self.log.identity.clear();
            self.refresh(false).await?;
        }
        if woken || self.has_work(context).await? {
            while self.round(context, announcer).await? {}
        }
        if self.cleaned.elapsed() >= CLEANUP_EVERY {
            self.cleaned = Instant::now();
            bounded(statements::remove_orphans(connection(self.conn()?))).await?;
        }
        Ok(())
    }

    /// Reloads the epochs, and begins one if necessary. Announces again from the point where the
    /// log has changed.
    async fn refresh(&mut self, will_append: bool) -> QueryResult<()> {
        let conn = self.conn.as_mut().ok_or_else(|| unanswered("no connection"))?;
        begin(conn).await?;
        bounded(self.log.refresh(conn, will_append)).await?;
        commit(conn).await
    }

    async fn has_work(&mut self, context: &PgContext) -> QueryResult<bool> {
        let server = context.write_numbers.server();
        let (head, waiting) = bounded(statements::poll(connection(self.conn()?), server)).await?;
        Ok(waiting || head != self.log.announced)
    }

    /// Returns true if there may be more rows.
    async fn round(&mut self, context: &PgContext, announcer: &mut Announcer) -> QueryResult<bool> {
        let began = Instant::now();
        let (server, done) = (context.write_numbers.server(), announcer.done());
        let Some(moved) = self.move_outbox(server, &done).await? else {
            self.refresh(true).await?;
            return Ok(true);
        };
        announcer.forget(&done);
        // `move_outbox` always returns a row.
        let head = moved.first().map_or(self.log.announced, |row| EventId(row.head));
        let full = moved.len() >= CHUNK_ROWS;
        let mut placeholders = moved.iter().filter_map(Placeholder::from_moved).collect();
        let events: Vec<LogEvent> = moved.into_iter().filter_map(LogEvent::from_moved).collect();
        while self.log.announced < head {
            let chunk = self.next_chunk(head).await?;
            self.log.announced = chunk.last().map_or(head, LogEvent::id);
            announcer.announce(&self.log.epochs, chunk, &mut placeholders).await;
        }
        self.log.announced = events.last().map_or(self.log.announced, LogEvent::id);
        announcer.announce(&self.log.epochs, events, &mut placeholders).await;
        announcer.finish(placeholders).await;
        if !full {
            context.pending.announced(began);
        }
        Ok(full)
    }

    /// Moves the outbox into the log. Returns `None` if the log is not the known one; then nothing
    /// was moved.
    async fn move_outbox(
        &mut self,
        server: i64,
        done: &[i64],
    ) -> QueryResult<Option<Vec<MovedRow>>> {
        let (announced, newest) = (self.log.announced.0, self.log.epochs.newest().0);
        let identity = self.log.identity.clone();
        let conn = connection(self.conn()?);
        bounded(conn.batch_execute("BEGIN; SELECT last_id FROM log_head FOR UPDATE")).await?;
        let moved = bounded(statements::move_outbox(conn, server, done.to_vec(), identity)).await?;
        // Without an event the log stays as it is, whichever it is.
        let appends = moved.iter().any(|row| row.id.is_some());
        let known = moved.first().is_some_and(|row| {
            row.head >= announced
                && row.epoch.unwrap_or_default() == newest
                && (row.is_known || !appends)
        });
        bounded(conn.batch_execute(if known { "COMMIT" } else { "ROLLBACK" })).await?;
        Ok(known.then_some(moved))
    }

    /// Reads the next chunk of the log that has not been announced.
    async fn next_chunk(&mut self, head: EventId) -> QueryResult<Vec<LogEvent>> {
        let after = self.log.announced;
        let conn = self.conn()?;
        let rows = bounded(statements::read_log(connection(conn), after, head)).await?;
        let events = bounded(LogEvent::from_log(conn, rows)).await?;
        if events.first().is_none_or(|first| first.id().0 != after.0 + 1) {
            tracing::error!(
                after = after.0,
                head = head.0,
                "events were removed from the log before this server could announce them"
            );
        }
        Ok(events)
    }

    fn conn(&mut self) -> QueryResult<&mut Conn> {
        self.conn.as_mut().ok_or_else(|| unanswered("no connection"))
    }
}

async fn begin(conn: &mut Conn) -> QueryResult<()> {
    bounded(TransactionManager::begin_transaction(connection(conn))).await
}

async fn commit(conn: &mut Conn) -> QueryResult<()> {
    bounded(TransactionManager::commit_transaction(connection(conn))).await
}

/// Limits a statement to [`TIME_LIMIT`].
async fn bounded<T>(statement: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
    tokio::time::timeout(TIME_LIMIT, statement).await.unwrap_or_else(|_| Err(unanswered(NO_ANSWER)))
}

fn unanswered(reason: &str) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new(reason.to_owned()))
}

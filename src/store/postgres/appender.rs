//! The appender: brings committed events into the log, and announces the log. One task for each
//! server; servers on one database take turns.
//!
//! A round takes what waits in the outbox into the log, whoever wrote it, and then announces the
//! log up to there: what other servers have taken first, from the log, then what it took itself.
//! All it has to keep from round to round is how far it has announced; a round that fails in the
//! middle is begun anew, and what it had taken is then read from the log. So events are announced
//! in the log's order, each once, or not yet.

mod announcer;
mod statements;

use std::rc::Rc;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{SimpleAsyncConnection, TransactionManager as _};

use crate::model::EventId;
use crate::store::fault::NO_ANSWER;
use crate::store::postgres::appender::announcer::{Announcer, LogEvent, Placeholder};
use crate::store::postgres::appender::statements::{CHUNK_ROWS, MovedRow};
use crate::store::postgres::context::PgContext;
use crate::store::postgres::epochs::{self, EpochList};
use crate::store::postgres::pool::{TIME_LIMIT, TransactionManager, connection, discard};
use crate::store::{Conn, Publisher, history};

/// How often it looks for what nobody here has told it of: events of other servers, and what
/// servers have left that died.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a failure it waits so long, and each time longer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often forgotten placeholders are removed.
const CLEAN_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Appender {
    /// None after a failure.
    conn: Option<Conn>,
    epochs: EpochList,
    announced: EventId,
    cleaned: Instant,
}

impl Appender {
    /// Finds out where the log stands, and tells the publisher, if there is one to tell: what is
    /// announced comes behind that.
    pub(super) async fn start(
        mut conn: Conn,
        publisher: Option<&dyn Publisher>,
    ) -> QueryResult<Self> {
        let (epochs, announced) = refresh_epochs(&mut conn, None).await?;
        if let Some(publisher) = publisher {
            publisher
                .begin(epochs.end(announced), bounded(history::last(&mut conn, announced)).await?);
        }
        Ok(Self { conn: Some(conn), epochs, announced, cleaned: Instant::now() })
    }

    /// Until the context is closed and all that it has committed is announced.
    pub(super) async fn run(mut self, context: Rc<PgContext>) {
        let mut announcer = Announcer::new(Rc::clone(&context));
        let (mut pause, mut woken) = (FIRST_PAUSE, true);
        loop {
            match self.work(&context, &mut announcer, woken).await {
                Ok(()) => {
                    context.connections.health().set_log_stands_still(false);
                    if context.closed.get() && context.pending.is_settled() {
                        return;
                    }
                    pause = FIRST_PAUSE;
                    woken = tokio::time::timeout(LOOK_EVERY, context.appender_wakeup.notified())
                        .await
                        .is_ok();
                }
                Err(error) => {
                    if let Some(conn) = self.conn.take() {
                        discard(conn);
                    }
                    tracing::warn!(%error, announced = self.announced.0, "events wait for the log; trying again");
                    context.connections.health().set_log_stands_still(pause > FIRST_PAUSE * 4);
                    tokio::time::sleep(pause).await;
                    (pause, woken) = (LONGEST_PAUSE.min(pause * 2), true);
                }
            }
        }
    }

    /// Connects when it has to, and works until there is nothing to do.
    async fn work(
        &mut self,
        context: &PgContext,
        announcer: &mut Announcer,
        woken: bool,
    ) -> QueryResult<()> {
        if self.conn.is_none() {
            self.conn = Some(context.connections.get().await.map_err(unanswered)?);
            self.refresh_epochs().await?;
        }
        if woken || self.has_work(context).await? {
            while self.round(context, announcer).await? {}
        }
        if self.cleaned.elapsed() >= CLEAN_EVERY {
            self.cleaned = Instant::now();
            bounded(statements::remove_orphans(connection(self.conn()?))).await?;
        }
        Ok(())
    }

    /// Learns of the epochs; what was announced and is not in the log any more will come otherwise.
    async fn refresh_epochs(&mut self) -> QueryResult<()> {
        let known_state = Some((self.epochs.newest(), self.announced));
        (self.epochs, self.announced) = refresh_epochs(self.conn()?, known_state).await?;
        Ok(())
    }

    async fn has_work(&mut self, context: &PgContext) -> QueryResult<bool> {
        let server = context.origins.server();
        let (head, waiting) = bounded(statements::poll(connection(self.conn()?), server)).await?;
        Ok(waiting || head != self.announced)
    }

    /// True: there may be more.
    async fn round(&mut self, context: &PgContext, announcer: &mut Announcer) -> QueryResult<bool> {
        let began = Instant::now();
        let (server, done) = (context.origins.server(), announcer.done());
        let Some(taken) = self.take(server, &done).await? else {
            self.refresh_epochs().await?;
            return Ok(true);
        };
        announcer.forget(&done);
        // It always gives a row.
        let head = taken.first().map_or(self.announced, |row| EventId(row.head));
        let full = taken.len() >= CHUNK_ROWS;
        let mut placeholders = taken.iter().filter_map(Placeholder::taken).collect();
        let events: Vec<LogEvent> = taken.into_iter().filter_map(LogEvent::taken).collect();
        while self.announced < head {
            let chunk = self.read(head).await?;
            self.announced = chunk.last().map_or(head, LogEvent::id);
            announcer.announce(&self.epochs, chunk, &mut placeholders).await;
        }
        self.announced = events.last().map_or(self.announced, LogEvent::id);
        announcer.announce(&self.epochs, events, &mut placeholders).await;
        announcer.finish(placeholders).await;
        if !full {
            context.pending.announced(began);
        }
        Ok(full)
    }

    /// Takes what waits in the outbox into the log. None: the log is not the one that was known,
    /// and nothing was taken.
    async fn take(&mut self, server: i64, done: &[i64]) -> QueryResult<Option<Vec<MovedRow>>> {
        let (announced, newest) = (self.announced.0, self.epochs.newest());
        let conn = connection(self.conn()?);
        bounded(conn.batch_execute("BEGIN; SELECT last_id FROM log_head FOR UPDATE")).await?;
        let taken = bounded(statements::move_outbox(conn, server, done.to_vec())).await?;
        let known = taken
            .first()
            .is_some_and(|row| row.head >= announced && row.epoch_number == Some(newest));
        bounded(conn.batch_execute(if known { "COMMIT" } else { "ROLLBACK" })).await?;
        Ok(known.then_some(taken))
    }

    /// The next chunk of the log that has not been announced.
    async fn read(&mut self, head: EventId) -> QueryResult<Vec<LogEvent>> {
        let after = self.announced;
        let conn = self.conn()?;
        let rows = bounded(statements::read_log(connection(conn), after, head)).await?;
        let events = bounded(LogEvent::read(conn, rows)).await?;
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

/// On a new connection first of all.
async fn refresh_epochs(
    conn: &mut Conn,
    known_state: Option<(i64, EventId)>,
) -> QueryResult<(EpochList, EventId)> {
    // The outbox grows and shrinks faster than the planner learns: what it once took for a small
    // table it would read from end to end.
    bounded(connection(conn).batch_execute("SET enable_seqscan = off")).await?;
    bounded(TransactionManager::begin_transaction(connection(conn))).await?;
    let settled = bounded(epochs::refresh_epochs(conn, known_state)).await?;
    bounded(TransactionManager::commit_transaction(connection(conn))).await?;
    Ok(settled)
}

/// A statement may take that long.
async fn bounded<T>(statement: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
    tokio::time::timeout(TIME_LIMIT, statement).await.unwrap_or_else(|_| Err(unanswered(NO_ANSWER)))
}

fn unanswered(reason: &str) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new(reason.to_owned()))
}

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
use crate::store::fault::SILENT;
use crate::store::postgres::appender::announcer::{Announcer, Event, Mark};
use crate::store::postgres::appender::statements::{PIECE, Taken};
use crate::store::postgres::context::PgContext;
use crate::store::postgres::epochs::{self, Epochs};
use crate::store::postgres::pool::{TIME_LIMIT, TransactionManager, connection, discard};
use crate::store::{Conn, Publisher, history};

/// How often it looks for what nobody here has told it of: events of other servers, and what
/// servers have left that died.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a failure it waits so long, and each time longer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often forgotten marks are removed.
const CLEAN_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Appender {
    /// None after a failure.
    conn: Option<Conn>,
    epochs: Epochs,
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
        let (epochs, announced) = settle(&mut conn, None).await?;
        if let Some(publisher) = publisher {
            publisher
                .begin(epochs.end(announced), bounded(history::last(&mut conn, announced)).await?);
        }
        Ok(Self { conn: Some(conn), epochs, announced, cleaned: Instant::now() })
    }

    /// Until the context is closed and all that it has committed is announced.
    pub(super) async fn run(mut self, context: Rc<PgContext>) {
        let mut announcer = Announcer::new(Rc::clone(&context));
        let (mut pause, mut kicked) = (FIRST_PAUSE, true);
        loop {
            match self.work(&context, &mut announcer, kicked).await {
                Ok(()) => {
                    context.connections.health().set_log_stands_still(false);
                    if context.closed.get() && context.pending.is_settled() {
                        return;
                    }
                    pause = FIRST_PAUSE;
                    kicked =
                        tokio::time::timeout(LOOK_EVERY, context.kick.notified()).await.is_ok();
                }
                Err(error) => {
                    if let Some(conn) = self.conn.take() {
                        discard(conn);
                    }
                    tracing::warn!(%error, announced = self.announced.0, "events wait for the log; trying again");
                    context.connections.health().set_log_stands_still(pause > FIRST_PAUSE * 4);
                    tokio::time::sleep(pause).await;
                    (pause, kicked) = (LONGEST_PAUSE.min(pause * 2), true);
                }
            }
        }
    }

    /// Connects when it has to, and works until there is nothing to do.
    async fn work(
        &mut self,
        context: &PgContext,
        announcer: &mut Announcer,
        kicked: bool,
    ) -> QueryResult<()> {
        if self.conn.is_none() {
            self.conn = Some(context.connections.get().await.map_err(unanswered)?);
            self.settle().await?;
        }
        if kicked || self.has_work(context).await? {
            while self.round(context, announcer).await? {}
        }
        if self.cleaned.elapsed() >= CLEAN_EVERY {
            self.cleaned = Instant::now();
            bounded(statements::remove_orphans(connection(self.conn()?))).await?;
        }
        Ok(())
    }

    /// Learns of the epochs; what was announced and is not in the log any more will come otherwise.
    async fn settle(&mut self) -> QueryResult<()> {
        let standing = Some((self.epochs.newest(), self.announced));
        (self.epochs, self.announced) = settle(self.conn()?, standing).await?;
        Ok(())
    }

    async fn has_work(&mut self, context: &PgContext) -> QueryResult<bool> {
        let server = context.origins.server();
        let (head, waiting) = bounded(statements::look(connection(self.conn()?), server)).await?;
        Ok(waiting || head != self.announced)
    }

    /// True: there may be more.
    async fn round(&mut self, context: &PgContext, announcer: &mut Announcer) -> QueryResult<bool> {
        let began = Instant::now();
        let (server, done) = (context.origins.server(), announcer.done());
        let Some(taken) = self.take(server, &done).await? else {
            self.settle().await?;
            return Ok(true);
        };
        announcer.forget(&done);
        // It always gives a row.
        let head = taken.first().map_or(self.announced, |row| EventId(row.head));
        let full = taken.len() >= PIECE;
        let mut marks = taken.iter().filter_map(Mark::taken).collect();
        let events: Vec<Event> = taken.into_iter().filter_map(Event::taken).collect();
        while self.announced < head {
            let piece = self.read(head).await?;
            self.announced = piece.last().map_or(head, Event::id);
            announcer.announce(&self.epochs, piece, &mut marks).await;
        }
        self.announced = events.last().map_or(self.announced, Event::id);
        announcer.announce(&self.epochs, events, &mut marks).await;
        announcer.finish(marks).await;
        if !full {
            context.pending.announced(began);
        }
        Ok(full)
    }

    /// Takes what waits in the outbox into the log. None: the log is not the one that was known,
    /// and nothing was taken.
    async fn take(&mut self, server: i64, done: &[i64]) -> QueryResult<Option<Vec<Taken>>> {
        let (announced, newest) = (self.announced.0, self.epochs.newest());
        let conn = connection(self.conn()?);
        bounded(conn.batch_execute("BEGIN; SELECT last_id FROM log_head FOR UPDATE")).await?;
        let taken = bounded(statements::take(conn, server, done.to_vec())).await?;
        let known = taken
            .first()
            .is_some_and(|row| row.head >= announced && row.epoch_number == Some(newest));
        bounded(conn.batch_execute(if known { "COMMIT" } else { "ROLLBACK" })).await?;
        Ok(known.then_some(taken))
    }

    /// The next piece of the log that has not been announced.
    async fn read(&mut self, head: EventId) -> QueryResult<Vec<Event>> {
        let after = self.announced;
        let conn = self.conn()?;
        let rows = bounded(statements::read(connection(conn), after, head)).await?;
        let events = bounded(Event::read(conn, rows)).await?;
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
async fn settle(
    conn: &mut Conn,
    standing: Option<(i64, EventId)>,
) -> QueryResult<(Epochs, EventId)> {
    // The outbox grows and shrinks faster than the planner learns: what it once took for a small
    // table it would read from end to end.
    bounded(connection(conn).batch_execute("SET enable_seqscan = off")).await?;
    bounded(TransactionManager::begin_transaction(connection(conn))).await?;
    let settled = bounded(epochs::settle(conn, standing)).await?;
    bounded(TransactionManager::commit_transaction(connection(conn))).await?;
    Ok(settled)
}

/// A statement may take that long.
async fn bounded<T>(statement: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
    tokio::time::timeout(TIME_LIMIT, statement).await.unwrap_or_else(|_| Err(unanswered(SILENT)))
}

fn unanswered(reason: &str) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new(reason.to_owned()))
}

//! The hub's [`Log`], kept in the database: sessions that can be resumed, the events that they have
//! missed, and the removal of both when they are old.
//!
//! All changes of one session go through one queue, in order; one write takes the changes of many
//! sessions. While the database fails, new and resumed sessions are refused, and ended sessions are
//! remembered and written later.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hubcast_realtime::throttled;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::permissions::{Action, Relation, permit_role};
use super::rooms::is_member;
use super::{publish, upkeep};
use crate::error::Error;
use crate::event::Joinable;
use crate::model::{Epoch, EventId, LogPosition, Role, Timestamp, UserId};
use crate::realtime::Position;
use crate::realtime::log::{Claim, End, Log, LogFuture, LogPage, Resumed, SessionAttempt};
use crate::realtime::recovery::{PidKey, RoomMembership};
use crate::store::history::{self, ReplayAudience};
use crate::store::sessions::SessionRoom;
use crate::store::{Db, Once, Tx, is_missing_reference, secrets, sessions};

/// The most session changes in one write, because other writes wait for it.
const PER_WRITE: usize = 64;
/// The number of such writes at the same time. All changes of one session use the same lane.
const LANES: usize = 8;
/// The most ended sessions that are remembered while the database fails.
const MAX_KEPT: usize = 4096;
/// The pause before a failed write is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

const REMOVED: &str = "The user was removed";
const CLOSING: Error = Error::Unavailable("The server is shutting down");

/// How long sessions and events are kept.
#[derive(Debug, Clone, Copy)]
pub struct RecoverySettings {
    /// How long a lost session can be resumed.
    pub window: Duration,
    /// How long events are kept.
    pub retention: Duration,
}

/// The log of sessions and events in the database.
pub struct SessionLog {
    db: Db,
    lanes: [mpsc::UnboundedSender<QueuedChange>; LANES],
}

/// A change of a session, and the caller that waits for it.
enum QueuedChange {
    Open(SessionAttempt, oneshot::Sender<Result<(), Error>>),
    Resume(SessionAttempt, Claim, oneshot::Sender<Result<Option<Resumed>, Error>>),
    End { sid: Arc<str>, connection_no: i64, end: End },
}

/// Starts the log and the removal of old rows. Sessions that were open when the server died count
/// as lost from now on. Called once, before the first connection.
pub async fn start(db: &Db, settings: RecoverySettings) -> Result<(Arc<dyn Log>, PidKey), Error> {
    let key = db.write(Once::Unkeyed, async |tx| {
        sessions::close_all(tx).await?;
        Ok(secrets::key(tx, "pid").await?)
    });
    let key = <[u8; secrets::LENGTH]>::try_from(key.await?).map_err(|_| Error::Internal)?;
    // Bounded by the number of sockets: each has one change in the queue, and at last its end.
    let lanes = std::array::from_fn(|_| {
        let (lane, queue) = mpsc::unbounded_channel();
        actix_rt::spawn(write_changes(db.clone(), queue, settings.window));
        lane
    });
    actix_rt::spawn(upkeep::run(db.clone(), settings));
    Ok((Arc::new(SessionLog { db: db.clone(), lanes }), PidKey::new(key)))
}

impl SessionLog {
    fn send(&self, sid: &str, change: QueuedChange) {
        let mut hasher = DefaultHasher::new();
        sid.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        // A send fails only while the server shuts down: the dropped answer refuses the caller, and
        // the next start ends the session.
        let _ = self.lanes[lane].send(change);
    }
}

impl Log for SessionLog {
    fn open(&self, session: SessionAttempt) -> LogFuture<()> {
        let (caller, answer) = oneshot::channel();
        self.send(&session.sid.clone(), QueuedChange::Open(session, caller));
        Box::pin(async move { Ok(answer.await.unwrap_or(Err(CLOSING))?) })
    }

    fn resume(&self, session: SessionAttempt, claim: Claim) -> LogFuture<Option<Resumed>> {
        let (caller, answer) = oneshot::channel();
        self.send(&session.sid.clone(), QueuedChange::Resume(session, claim, caller));
        Box::pin(async move { Ok(answer.await.unwrap_or(Err(CLOSING))?) })
    }

    fn end(&self, sid: Arc<str>, connection_no: i64, end: End) {
        self.send(&sid.clone(), QueuedChange::End { sid, connection_no, end });
    }

    fn page(
        &self,
        session: &SessionAttempt,
        rooms: Vec<RoomMembership>,
        after: i64,
        up_to: i64,
    ) -> LogFuture<Option<LogPage>> {
        let (db, user, namespace) =
            (self.db.clone(), user_of(session), session.namespace.to_string());
        Box::pin(async move {
            let stored = |stay: RoomMembership| SessionRoom {
                room: stay.room.to_string(),
                since: EventId(stay.since),
                until: stay.until.map(EventId),
            };
            let stays = rooms.into_iter().map(stored).collect();
            let audience = ReplayAudience { namespace, user: user?, memberships: stays };
            let read = db.read(async move |conn| {
                history::page(conn, &audience, EventId(after), EventId(up_to)).await
            });
            Ok(read.await?.map(|(events, end)| LogPage {
                events: events.into_iter().map(|event| Arc::new(publish::to_send(event))).collect(),
                end: end.0,
            }))
        })
    }
}

/// Returns the session's user: the product's identities are user ids.
fn user_of(session: &SessionAttempt) -> Result<UserId, Error> {
    session.user.parse().map_err(|_| Error::Internal)
}

/// The result of a change, as the write returns it.
#[derive(Serialize, Deserialize)]
enum ChangeOutcome {
    Done,
    NotResumed,
    /// `confirmed` is an epoch and an event id.
    Resumed {
        rooms: Vec<SessionRoom>,
        confirmed: Option<(Epoch, EventId)>,
    },
}

/// A change without its caller: the part that a write needs.
enum SessionChange {
    Open(SessionAttempt),
    Resume(SessionAttempt, Claim),
    End { sid: Arc<str>, connection_no: i64, end: End },
}

async fn write_changes(db: Db, mut queue: mpsc::UnboundedReceiver<QueuedChange>, window: Duration) {
    let mut batch = Vec::new();
    loop {
        let kept = batch.len();
        if kept > 0 {
            tokio::time::sleep(RETRY_PAUSE).await;
            while batch.len() < kept + PER_WRITE
                && let Ok(change) = queue.try_recv()
            {
                batch.push(change);
            }
        } else if queue.recv_many(&mut batch, PER_WRITE).await == 0 {
            return;
        }
        batch = match write(&db, batch, window).await {
            Ok(()) => Vec::new(),
            Err((failed, Error::Unavailable(reason))) => {
                refuse(failed, &Error::Unavailable(reason)).collect()
            }
            // One change failed all of them, such as the session of a user who was removed
            // meanwhile. So each is written by itself.
            Err((failed, _)) => {
                let mut kept = Vec::new();
                for change in failed {
                    if let Err((failed, error)) = write(&db, vec![change], window).await {
                        kept.extend(refuse(failed, &error));
                    }
                }
                kept
            }
        };
        // If ends become too many, the oldest are dropped, and the next start ends those sessions.
        batch.drain(..batch.len().saturating_sub(MAX_KEPT));
    }
}

/// Writes changes in one transaction, and answers their callers. If it fails, gives them back.
async fn write(
    db: &Db,
    batch: Vec<QueuedChange>,
    window: Duration,
) -> Result<(), (Vec<QueuedChange>, Error)> {
    let changes: Vec<SessionChange> = batch.iter().map(session_change).collect();
    let outcomes = db.write(Once::Unkeyed, async move |tx| {
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in &changes {
            outcomes.push(apply(tx, change, window).await?);
        }
        Ok(outcomes)
    });
    match outcomes.await {
        Ok(outcomes) => {
            batch.into_iter().zip(outcomes).for_each(|(change, outcome)| answer(change, outcome));
            Ok(())
        }
        Err(error) => Err((batch, error)),
    }
}

fn session_change(change: &QueuedChange) -> SessionChange {
    match change {
        QueuedChange::Open(session, _) => SessionChange::Open(session.clone()),
        QueuedChange::Resume(session, claim, _) => SessionChange::Resume(session.clone(), *claim),
        QueuedChange::End { sid, connection_no, end } => {
            SessionChange::End { sid: Arc::clone(sid), connection_no: *connection_no, end: *end }
        }
    }
}

fn answer(change: QueuedChange, outcome: ChangeOutcome) {
    // A send fails if the caller's socket is closed; its end is in the queue then.
    match change {
        QueuedChange::Open(_, caller) => drop(caller.send(Ok(()))),
        QueuedChange::Resume(_, _, caller) => drop(caller.send(Ok(match outcome {
            ChangeOutcome::Resumed { rooms, confirmed } => {
                let stay = |own: SessionRoom| RoomMembership {
                    room: own.room.into(),
                    since: own.since.0,
                    until: own.until.map(|until| until.0),
                };
                let confirmed = confirmed.map(|(epoch, id)| Position { epoch: epoch.0, id: id.0 });
                Some(Resumed { rooms: rooms.into_iter().map(stay).collect(), confirmed })
            }
            ChangeOutcome::Done | ChangeOutcome::NotResumed => None,
        }))),
        QueuedChange::End { .. } => {}
    }
}

/// Refuses the callers that wait. Returns the ends, which are tried again.
fn refuse(batch: Vec<QueuedChange>, error: &Error) -> impl Iterator<Item = QueuedChange> {
    batch.into_iter().filter_map(move |change| {
        match change {
            QueuedChange::Open(_, caller) => drop(caller.send(Err(error.clone()))),
            QueuedChange::Resume(_, _, caller) => drop(caller.send(Err(error.clone()))),
            end @ QueuedChange::End { .. } => return Some(end),
        }
        None
    })
}

async fn apply(
    tx: &mut Tx,
    change: &SessionChange,
    window: Duration,
) -> Result<ChangeOutcome, Error> {
    match change {
        SessionChange::Open(session) => {
            sessions::open(tx, &stored(session)?).await.map_err(|fault| {
                if is_missing_reference(&fault) {
                    Error::NotFound(REMOVED.into())
                } else {
                    fault.into()
                }
            })?;
            Ok(ChangeOutcome::Done)
        }
        SessionChange::Resume(session, claim) => resume(tx, session, *claim, window).await,
        SessionChange::End { sid, connection_no, end: End::Lost { confirmed } } => {
            sessions::close(tx, sid, *connection_no, confirmed.map(log_position)).await?;
            Ok(ChangeOutcome::Done)
        }
        SessionChange::End { sid, connection_no, end: End::Final } => {
            sessions::end(tx, sid, *connection_no).await?;
            Ok(ChangeOutcome::Done)
        }
    }
}

fn stored(session: &SessionAttempt) -> Result<sessions::SessionConnection<'_>, Error> {
    let SessionAttempt { sid, namespace, connection_no, .. } = session;
    Ok(sessions::SessionConnection {
        sid,
        namespace,
        user: user_of(session)?,
        connection_no: *connection_no,
    })
}

fn log_position(position: Position) -> LogPosition {
    LogPosition { epoch: Epoch(position.epoch), id: EventId(position.id) }
}

async fn resume(
    tx: &mut Tx,
    session: &SessionAttempt,
    claim: Claim,
    window: Duration,
) -> Result<ChangeOutcome, Error> {
    let since = Timestamp::now().before(window);
    let Some(confirmed) = sessions::reopen(tx, &stored(session)?, since).await? else {
        return Ok(ChangeOutcome::NotResumed);
    };
    let confirmed = match confirmed {
        Some(confirmed) if history::is_good(tx.conn(), confirmed).await? => Some(confirmed),
        _ => None,
    };
    let offset = claim.offset.map(|offset| log_position(offset.position));
    // An event that was received in part is sent again, so its predecessor counts.
    let claimed = claim.offset.map_or(0, |offset| offset.position.id - i64::from(offset.half));
    let has = claimed.max(claim.first.id).max(confirmed.map_or(0, |confirmed| confirmed.id.0));
    let first = log_position(claim.first);
    if let Err(gap) = history::continues(tx.conn(), first, offset, EventId(has)).await? {
        throttled!(info, by = gap, %gap, has, "a session is not resumed: a client may lack events");
        sessions::end(tx, &session.sid, session.connection_no).await?;
        return Ok(ChangeOutcome::NotResumed);
    }
    let mut rooms = sessions::rooms(tx.conn(), &session.sid).await?;
    let user = user_of(session)?;
    for own in rooms.iter_mut().filter(|own| own.until.is_none()) {
        let relation = match Joinable::by_name(&own.room) {
            Some(room) => Relation::member(is_member(tx.conn(), user, room).await?),
            None => Relation::NONE,
        };
        // An admin may join no more rooms than a customer, so the role does not matter.
        let allowed = permit_role(Role::Customer, Action::JoinRoom, relation);
        own.until = allowed.is_err().then_some(EventId(has));
    }
    Ok(ChangeOutcome::Resumed {
        rooms,
        confirmed: confirmed.map(|LogPosition { epoch, id }| (epoch, id)),
    })
}

#[cfg(test)]
mod tests;

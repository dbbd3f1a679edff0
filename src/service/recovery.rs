//! What outlives a connection: the sockets' [`Log`], kept in the database. Sessions that can be
//! resumed, the events that they have missed, and the end of both when they are old.
//!
//! What becomes of a session goes through one queue, in the order in which it was said, that of
//! many sessions in one write. While the database is away, who comes is refused and who goes is
//! remembered.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::permissions::{Action, Standing, permit_role};
use super::publish;
use super::rooms::is_member;
use crate::error::Error;
use crate::event::Joinable;
use crate::model::{Epoch, EventId, LogPosition, Role, Timestamp, UserId};
use crate::realtime::Position;
use crate::realtime::log::{Claim, End, Log, LogFuture, LogPage, Resumed, SessionAttempt};
use crate::realtime::recovery::{PidKey, RoomMembership};
use crate::store::history::{self, Audience};
use crate::store::sessions::SessionRoom;
use crate::store::{Db, Once, Tx, idempotency, secrets, sessions, tokens};

/// Sessions that begin, are resumed or end in one write, at most: other writes wait meanwhile.
const PER_WRITE: usize = 64;
/// Writes of that kind at one time. What becomes of one session always goes the same way.
const LANES: usize = 8;
/// Ends that are remembered while they can not be written.
const MOST_KEPT: usize = 4096;
/// Pause before what could not be written is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often what is too old is removed.
const UPKEEP_EVERY: Duration = Duration::from_secs(15);
/// Rows removed in one write, so that no other write waits long, and the pause between two such
/// writes.
const UPKEEP_STEP: i64 = 200;
const UPKEEP_PAUSE: Duration = Duration::from_millis(20);

const CLOSING: Error = Error::Unavailable("The server is shutting down");

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// How long a lost session can be resumed.
    pub window: Duration,
    /// How long events are kept.
    pub retention: Duration,
}

/// The sockets' log.
pub struct SessionLog {
    db: Db,
    lanes: [mpsc::UnboundedSender<Change>; LANES],
}

/// Something that becomes of a session.
enum Change {
    Open(SessionAttempt, oneshot::Sender<Result<(), Error>>),
    Resume(SessionAttempt, Claim, oneshot::Sender<Result<Option<Resumed>, Error>>),
    End { sid: Arc<str>, attachment: i64, end: End },
}

/// Starts what keeps sessions and events: what was open when the server died is lost from now on,
/// and what is too old is removed from time to time. To be called before anyone can connect.
///
/// # Errors
/// As the database's.
pub async fn start(db: &Db, keeping: Keeping) -> Result<(Arc<dyn Log>, PidKey), Error> {
    let key = db.write(Once::No, async |tx| {
        sessions::close_all(tx).await?;
        Ok(secrets::key(tx, "pid").await?)
    });
    let key = <[u8; secrets::LENGTH]>::try_from(key.await?).map_err(|_| Error::Internal)?;
    // Bounded by the sockets: each that comes waits for its turn, and goes once.
    let lanes = std::array::from_fn(|_| {
        let (lane, changes) = mpsc::unbounded_channel();
        actix_rt::spawn(write_changes(db.clone(), changes, keeping.window));
        lane
    });
    actix_rt::spawn(upkeep(db.clone(), keeping));
    Ok((Arc::new(SessionLog { db: db.clone(), lanes }), PidKey::new(key)))
}

impl SessionLog {
    fn send(&self, sid: &str, change: Change) {
        let mut hasher = DefaultHasher::new();
        sid.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        // Without anyone to write it, the server is going down: who waits is told by the answer's
        // end, and its end ends every stay.
        let _ = self.lanes[lane].send(change);
    }
}

impl Log for SessionLog {
    fn open(&self, session: SessionAttempt) -> LogFuture<()> {
        let (caller, answer) = oneshot::channel();
        self.send(&session.sid.clone(), Change::Open(session, caller));
        Box::pin(async move { Ok(answer.await.unwrap_or(Err(CLOSING))?) })
    }

    fn resume(&self, session: SessionAttempt, claim: Claim) -> LogFuture<Option<Resumed>> {
        let (caller, answer) = oneshot::channel();
        self.send(&session.sid.clone(), Change::Resume(session, claim, caller));
        Box::pin(async move { Ok(answer.await.unwrap_or(Err(CLOSING))?) })
    }

    fn end(&self, sid: Arc<str>, attachment: i64, end: End) {
        self.send(&sid.clone(), Change::End { sid, attachment, end });
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
            let stay = |stay: RoomMembership| SessionRoom {
                room: stay.room.to_string(),
                since: EventId(stay.since),
                until: stay.until.map(EventId),
            };
            let stays = rooms.into_iter().map(stay).collect();
            let audience = Audience { namespace, user: user?, stays };
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

/// The product's identities are user ids.
fn user_of(session: &SessionAttempt) -> Result<UserId, Error> {
    session.user.parse().map_err(|_| Error::Internal)
}

/// What one change came to, as the write answers it.
#[derive(Serialize, Deserialize)]
enum Outcome {
    Done,
    NotResumed,
    /// `confirmed`: epoch and id.
    Resumed {
        rooms: Vec<SessionRoom>,
        confirmed: Option<(Epoch, EventId)>,
    },
}

/// A change without whoever waits for it.
enum Work {
    Open(SessionAttempt),
    Resume(SessionAttempt, Claim),
    End { sid: Arc<str>, attachment: i64, end: End },
}

async fn write_changes(db: Db, mut changes: mpsc::UnboundedReceiver<Change>, window: Duration) {
    let mut batch = Vec::new();
    loop {
        let kept = batch.len();
        if kept > 0 {
            tokio::time::sleep(AGAIN).await;
            while batch.len() < kept + PER_WRITE
                && let Ok(change) = changes.try_recv()
            {
                batch.push(change);
            }
        } else if changes.recv_many(&mut batch, PER_WRITE).await == 0 {
            return;
        }
        let work: Vec<Work> = batch.iter().map(work).collect();
        let outcomes = db.write(Once::No, async move |tx| {
            let mut outcomes = Vec::with_capacity(work.len());
            for work in &work {
                outcomes.push(apply(tx, work, window).await?);
            }
            Ok(outcomes)
        });
        match outcomes.await {
            Ok(outcomes) => {
                batch.drain(..).zip(outcomes).for_each(|(change, outcome)| answer(change, outcome))
            }
            // Who waits is told; who has gone is tried again, but for the oldest when they become
            // too many: those end with the next start.
            Err(error) => {
                batch = batch.into_iter().filter_map(|change| refuse(change, &error)).collect();
                batch.drain(..batch.len().saturating_sub(MOST_KEPT));
            }
        }
    }
}

fn work(change: &Change) -> Work {
    match change {
        Change::Open(session, _) => Work::Open(session.clone()),
        Change::Resume(session, claim, _) => Work::Resume(session.clone(), *claim),
        Change::End { sid, attachment, end } => {
            Work::End { sid: Arc::clone(sid), attachment: *attachment, end: *end }
        }
    }
}

fn answer(change: Change, outcome: Outcome) {
    // Who asked may have gone; then its end is on the way.
    match change {
        Change::Open(_, caller) => drop(caller.send(Ok(()))),
        Change::Resume(_, _, caller) => drop(caller.send(Ok(match outcome {
            Outcome::Resumed { rooms, confirmed } => {
                let stay = |own: SessionRoom| RoomMembership {
                    room: own.room.into(),
                    since: own.since.0,
                    until: own.until.map(|until| until.0),
                };
                let confirmed = confirmed.map(|(epoch, id)| Position { epoch: epoch.0, id: id.0 });
                Some(Resumed { rooms: rooms.into_iter().map(stay).collect(), confirmed })
            }
            Outcome::Done | Outcome::NotResumed => None,
        }))),
        Change::End { .. } => {}
    }
}

fn refuse(change: Change, error: &Error) -> Option<Change> {
    match change {
        Change::Open(_, caller) => drop(caller.send(Err(error.clone()))),
        Change::Resume(_, _, caller) => drop(caller.send(Err(error.clone()))),
        end @ Change::End { .. } => return Some(end),
    }
    None
}

async fn apply(tx: &mut Tx, work: &Work, window: Duration) -> Result<Outcome, Error> {
    match work {
        Work::Open(session) => {
            sessions::open(tx, &stay(session)?).await?;
            Ok(Outcome::Done)
        }
        Work::Resume(session, claim) => resume(tx, session, *claim, window).await,
        Work::End { sid, attachment, end: End::Lost { confirmed } } => {
            sessions::close(tx, sid, *attachment, confirmed.map(place)).await?;
            Ok(Outcome::Done)
        }
        Work::End { sid, attachment, end: End::Final } => {
            sessions::end(tx, sid, *attachment).await?;
            Ok(Outcome::Done)
        }
    }
}

fn stay(session: &SessionAttempt) -> Result<sessions::Stay<'_>, Error> {
    let SessionAttempt { sid, namespace, connection_no, .. } = session;
    Ok(sessions::Stay { sid, namespace, user: user_of(session)?, attachment: *connection_no })
}

fn place(position: Position) -> LogPosition {
    LogPosition { epoch: Epoch(position.epoch), id: EventId(position.id) }
}

async fn resume(
    tx: &mut Tx,
    session: &SessionAttempt,
    claim: Claim,
    window: Duration,
) -> Result<Outcome, Error> {
    let since = Timestamp::now().before(window);
    let Some(confirmed) = sessions::reopen(tx, &stay(session)?, since).await? else {
        return Ok(Outcome::NotResumed);
    };
    let confirmed = match confirmed {
        Some(confirmed) if history::is_good(tx.conn(), confirmed).await? => Some(confirmed),
        _ => None,
    };
    let offset = claim.offset.map(|offset| place(offset.position));
    // Of an event that is half there, all that follows its predecessor is wanted.
    let half = claim.offset.map_or(0, |offset| offset.position.id - i64::from(offset.half));
    let has = half.max(claim.first.id).max(confirmed.map_or(0, |confirmed| confirmed.id.0));
    if !history::continues(tx.conn(), place(claim.first), offset, EventId(has)).await? {
        sessions::end(tx, &session.sid, session.connection_no).await?;
        return Ok(Outcome::NotResumed);
    }
    let mut rooms = sessions::rooms(tx.conn(), &session.sid).await?;
    let user = user_of(session)?;
    for own in rooms.iter_mut().filter(|own| own.until.is_none()) {
        let standing = match Joinable::by_name(&own.room) {
            Some(room) => Standing::member(is_member(tx.conn(), user, room).await?),
            None => Standing::STRANGER,
        };
        // Being an admin opens no room, so the least role is enough to know.
        let may = permit_role(Role::Customer, Action::JoinRoom, standing);
        own.until = may.is_err().then_some(EventId(has));
    }
    Ok(Outcome::Resumed {
        rooms,
        confirmed: confirmed.map(|LogPosition { epoch, id }| (epoch, id)),
    })
}

/// Removes what is too old, in small steps, for as long as the server runs.
async fn upkeep(db: Db, keeping: Keeping) {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        let removed = tokio::try_join!(
            in_steps(async || db
                .write(Once::No, async move |tx| Ok(history::prune(
                    tx,
                    Timestamp::now().before(keeping.retention),
                    UPKEEP_STEP
                )
                .await?))
                .await),
            in_steps(async || db
                .write(Once::No, async move |tx| Ok(sessions::purge(
                    tx,
                    Timestamp::now().before(keeping.window),
                    UPKEEP_STEP
                )
                .await?))
                .await),
            in_steps(async || db
                .write(Once::No, async |tx| Ok(idempotency::purge(tx, UPKEEP_STEP).await?))
                .await),
            in_steps(async || db
                .write(Once::No, async |tx| Ok(tokens::purge(tx, UPKEEP_STEP).await?))
                .await),
        );
        if let Err(error) = removed {
            tracing::warn!(%error, "what is too old was not removed; the next round tries again");
        }
    }
}

async fn in_steps(mut step: impl AsyncFnMut() -> Result<usize, Error>) -> Result<(), Error> {
    while step().await? > 0 {
        tokio::time::sleep(UPKEEP_PAUSE).await;
    }
    Ok(())
}

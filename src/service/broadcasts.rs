//! Broadcasts: one notice to many users. If one write can notify them all, it does. Otherwise the
//! write stores a broadcast row, and a task sends it in pieces: each piece is a transaction of its
//! own that also advances the row. So every receiver gets the notice once, even if the server dies
//! in between or several servers send it, and other writes run between the pieces.
//!
//! Users that are added after the notice do not get it. The role or membership of a receiver is
//! checked when its piece is written.

use std::sync::Arc;
use std::time::Duration;

use hubcast_realtime::throttled;
use tokio::sync::Notify;

use super::Services;
use super::notify::{self, MAX_RECEIVERS, check_size, copy_len};
use crate::error::Error;
use crate::model::{BroadcastId, Notice, UserId};
use crate::store::broadcasts::{self as rows, Audience, Broadcast, UserIdRange};
use crate::store::{Db, Once, Tx};

/// The most unfinished broadcasts; on PostgreSQL there can be one or two more if they start at the
/// same moment.
const MOST: i64 = 100;
/// The most receivers in a piece, and the most bytes of their copies, because other writes wait for
/// a piece.
const PIECE: usize = 200;
const PIECE_BYTES: usize = 1 << 20;
/// The pause between two pieces.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the task looks for broadcasts that a dead server has left.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The pause after a failure, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const BUSY: Error = Error::Unavailable("Too many notices to many are under way");

/// Wakes the task that sends the pieces.
#[derive(Clone, Default)]
pub(super) struct BroadcastWakeup(Arc<Notify>);

/// Sends a notice to an audience inside another service function's transaction, or starts a
/// broadcast. Returns the number of receivers.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Unavailable`] if too many broadcasts are running.
pub(super) async fn send(
    tx: &mut Tx,
    wakeup: &BroadcastWakeup,
    audience: Audience,
    notice: &Notice,
) -> Result<usize, Error> {
    // One more than the limit shows whether they are too many for one write.
    let first =
        rows::receivers(tx.conn(), audience, UserIdRange::ALL, i64::from(MAX_RECEIVERS) + 1)
            .await?;
    check_size(first.len(), notice)?;
    if first.len() <= usize::from(MAX_RECEIVERS) {
        return notify::send_to_users(tx, &first, notice).await;
    }
    if rows::unfinished(tx.conn()).await? >= MOST {
        return Err(BUSY);
    }
    let (count, last) = rows::count(tx.conn(), audience).await?;
    let rest = UserIdRange { up_to: last.unwrap_or(UserId(0)), ..UserIdRange::ALL };
    rows::insert(tx, audience, notice, rest).await?;
    let wakeup = wakeup.clone();
    tx.after_commit(move || wakeup.0.notify_one());
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Sends unfinished broadcasts, oldest first, until it is aborted; that is safe at any time. While
/// the database fails, retries with growing pauses.
pub async fn run(services: Arc<Services>) {
    let Services { db, broadcasts: BroadcastWakeup(wakeup), .. } = &*services;
    let mut pause = FIRST_PAUSE;
    loop {
        match write_all(db).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // Both a wakeup and a timeout start the next look.
                let _ = tokio::time::timeout(LOOK_EVERY, wakeup.notified()).await;
            }
            Err(error) => {
                throttled!(
                    warn,
                    by = error.to_string(),
                    %error,
                    "cannot send the next piece of a broadcast; trying again"
                );
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// Sends all broadcasts, one after another. A failure of one does not stop the others.
async fn write_all(db: &Db) -> Result<(), Error> {
    let (mut after, mut outcome) = (BroadcastId(0), Ok(()));
    while let Some(broadcast) = db.read(async move |conn| rows::next(conn, after).await).await? {
        after = broadcast.id;
        outcome = write_one(db, broadcast).await.and(outcome);
    }
    outcome
}

/// Sends one broadcast until it is finished or another server sends it.
async fn write_one(db: &Db, mut broadcast: Broadcast) -> Result<(), Error> {
    let copy = copy_len(&broadcast.notice);
    let size = (PIECE_BYTES / copy).clamp(1, PIECE);
    loop {
        let one = broadcast.clone();
        match db
            .write_large(Once::Unkeyed, size * copy, async move |tx| {
                write_piece(tx, &one, size).await
            })
            .await?
        {
            Some(last) => broadcast.rest.after = last,
            None => return Ok(()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Writes one piece, and returns its last receiver. Returns `None` if the broadcast is finished, or
/// if another server has taken it over.
async fn write_piece(
    tx: &mut Tx,
    broadcast: &Broadcast,
    size: usize,
) -> Result<Option<UserId>, Error> {
    let Broadcast { id, audience, notice, rest } = broadcast;
    let users =
        rows::receivers(tx.conn(), *audience, *rest, i64::try_from(size).unwrap_or(i64::MAX))
            .await?;
    let last = users.last().copied().filter(|_| users.len() == size);
    let is_ours = match last {
        Some(last) => rows::advance(tx, *id, rest.after, last).await?,
        None => rows::finish(tx, *id, rest.after).await?,
    };
    if !is_ours {
        return Ok(None);
    }
    notify::send_to_users(tx, &users, notice).await?;
    Ok(last)
}

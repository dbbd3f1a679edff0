//! One notice to many. So many as one write can notify get it at once; for more, the write leaves a
//! row, and from there it is written in pieces: each is a transaction of its own, which moves the
//! row on. So each receiver gets it once, also when the server dies in between, or when several
//! servers are at it; and other writes come in between the pieces.
//!
//! Who comes later than the notice does not get it. Of those of a role it is for who has the role
//! when their piece is written, and of a project's members for who still is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Services;
use super::notifications::{MOST_RECEIVERS, notify_all};
use crate::error::Error;
use crate::model::{BroadcastId, Notice, UserId};
use crate::store::broadcasts::{self as rows, Audience, Broadcast, UserIdRange};
use crate::store::{Db, Once, Tx};

/// Notices that may be under way; on PostgreSQL one or two more when they come at the same moment.
const MOST: i64 = 100;
/// Bytes that the copies of one write may come to.
const MOST_BYTES: usize = 16 << 20;
/// What a copy has beside its texts: names of fields, ids, the count.
pub(super) const COPY_SHARE: usize = 512;
/// Receivers of a piece, and bytes that their copies may come to: other writes wait meanwhile.
const PIECE: usize = 200;
const PIECE_BYTES: usize = 1 << 20;
/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it looks for what nobody here has told it of: what servers have left that died.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a failure it waits so long, and each time longer.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const BUSY: Error = Error::Unavailable("Too many notices to many are under way");

/// Tells the task that writes the pieces that there is something to write.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Notify>);

/// Bytes that a receiver's copy comes to, roughly.
pub(super) fn copy_len(notice: &Notice) -> usize {
    COPY_SHARE
        + notice.title.len()
        + notice.message.len()
        + notice.data.as_ref().map_or(0, |data| data.as_str().len())
}

/// Whether so many can be notified in one write.
///
/// # Errors
/// [`Error::TooLarge`].
pub(super) fn bounded(receivers: usize, notice: &Notice) -> Result<(), Error> {
    if receivers.min(usize::from(MOST_RECEIVERS)) * copy_len(notice) > MOST_BYTES {
        Err(Error::TooLarge)
    } else {
        Ok(())
    }
}

/// Sends a notice to an audience within another verb's transaction, or leaves it to be sent; gives
/// how many they are.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Unavailable`] when too many are under way.
pub(super) async fn send(
    tx: &mut Tx,
    bell: &Bell,
    audience: Audience,
    notice: &Notice,
) -> Result<usize, Error> {
    // One more than there may be tells whether there are too many.
    let first =
        rows::receivers(tx.conn(), audience, UserIdRange::ALL, i64::from(MOST_RECEIVERS) + 1)
            .await?;
    bounded(first.len(), notice)?;
    if first.len() <= usize::from(MOST_RECEIVERS) {
        return notify_all(tx, &first, notice).await;
    }
    if rows::unfinished(tx.conn()).await? >= MOST {
        return Err(BUSY);
    }
    let (count, last) = rows::count(tx.conn(), audience).await?;
    let rest = UserIdRange { up_to: last.unwrap_or(UserId(0)), ..UserIdRange::ALL };
    rows::insert(tx, audience, notice, rest).await?;
    let bell = bell.clone();
    tx.after_commit(move || bell.0.notify_one());
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Writes what is under way, for as long as the server runs: the oldest first. While the
/// database is away it tries again, at ever longer intervals. It can be aborted at any time.
pub async fn run(services: Arc<Services>) {
    let Services { db, broadcasts: Bell(bell), .. } = &*services;
    let mut pause = FIRST_PAUSE;
    loop {
        match write_all(db).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                // Time is up, or there is something.
                let _ = tokio::time::timeout(LOOK_EVERY, bell.notified()).await;
            }
            Err(error) => {
                tracing::warn!(%error, "a notice to many waits for its next piece; trying again");
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// One after another. One that fails does not hold up the others.
async fn write_all(db: &Db) -> Result<(), Error> {
    let (mut behind, mut outcome) = (BroadcastId(0), Ok(()));
    while let Some(broadcast) = db.read(async move |conn| rows::next(conn, behind).await).await? {
        behind = broadcast.id;
        outcome = write_one(db, broadcast).await.and(outcome);
    }
    outcome
}

/// Until it is finished, or another server is at it.
async fn write_one(db: &Db, mut broadcast: Broadcast) -> Result<(), Error> {
    let copy = copy_len(&broadcast.notice);
    let size = (PIECE_BYTES / copy).clamp(1, PIECE);
    loop {
        let one = broadcast.clone();
        match db
            .write_large(Once::No, size * copy, async move |tx| write_piece(tx, &one, size).await)
            .await?
        {
            Some(last) => broadcast.rest.after = last,
            None => return Ok(()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Up to whom it has come. None: nothing is left to do, at least not here.
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
    notify_all(tx, &users, notice).await?;
    Ok(last)
}

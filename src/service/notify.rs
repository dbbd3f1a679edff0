//! Notifying users inside the transaction of another service function: the notification of each
//! receiver and its new unread count, as rows and as events.
//!
//! At most [`MAX_RECEIVERS`] users are notified in one write; [`super::broadcasts`] reaches more.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::event;
use crate::model::{Notice, Role, UserId};
use crate::store::broadcasts::{Audience, UserIdRange, receivers};
use crate::store::{Tx, notifications as rows, users};

/// The most receivers of one write, admins included.
pub(super) const MAX_RECEIVERS: u16 = 1000;
/// The most bytes that the copies of one write may have together.
const MAX_BYTES: usize = 16 << 20;
/// Bytes of a copy beside its texts: names of fields, ids, the count.
const COPY_OVERHEAD: usize = 512;

/// The receivers of one notice.
pub(super) enum NoticeReceivers {
    User(UserId),
    Users(Vec<UserId>),
    /// The admins by their role in the database.
    Admins,
}

/// The notices of one write.
pub(super) type Notices = Vec<(NoticeReceivers, Notice)>;

/// Bytes of one receiver's copy, roughly.
pub(super) fn copy_len(notice: &Notice) -> usize {
    COPY_OVERHEAD
        + notice.title.len()
        + notice.message.len()
        + notice.data.as_ref().map_or(0, |data| data.as_str().len())
}

/// Bytes of so many copies of a notice about a thing with a name, for the budget of
/// [`Db::write_large`](crate::store::Db::write_large).
pub(super) fn notices_len(copies: i64) -> usize {
    usize::try_from(copies).unwrap_or_default() * 2 * COPY_OVERHEAD
}

/// Checks that the copies for so many receivers fit into one write.
///
/// # Errors
/// [`Error::TooLarge`].
pub(super) fn check_size(receivers: usize, notice: &Notice) -> Result<(), Error> {
    if receivers.min(usize::from(MAX_RECEIVERS)) * copy_len(notice) > MAX_BYTES {
        Err(Error::TooLarge)
    } else {
        Ok(())
    }
}

/// Sends each receiver its notification and then its new unread count. Users that no longer exist
/// are left out. Must be called once with all notices, as the last step of its write: the call
/// locks the receivers in one order, so that two writes cannot deadlock.
pub(super) async fn send(tx: &mut Tx, notices: Notices) -> Result<(), Error> {
    let to_admins = notices.iter().any(|(to, _)| matches!(to, NoticeReceivers::Admins));
    let admins = if to_admins {
        receivers(tx.conn(), Audience::Role(Role::Admin), UserIdRange::ALL, MAX_RECEIVERS.into())
            .await?
    } else {
        Vec::new()
    };
    let notices: Vec<(Vec<UserId>, Notice)> = notices
        .into_iter()
        .map(|(to, notice)| match to {
            NoticeReceivers::User(user) => (vec![user], notice),
            NoticeReceivers::Users(users) => (users, notice),
            NoticeReceivers::Admins => (admins.clone(), notice),
        })
        .collect();
    let all: BTreeSet<UserId> = notices.iter().flat_map(|(users, _)| users).copied().collect();
    if all.is_empty() {
        return Ok(());
    }
    let held: BTreeSet<UserId> =
        rows::lock_users(tx, &Vec::from_iter(all)).await?.into_iter().collect();
    for (users, notice) in notices {
        for user in users.into_iter().filter(|user| held.contains(user)) {
            send_to_held(tx, user, &notice).await?;
        }
    }
    Ok(())
}

/// Sends one notice to those of the users that exist, in ascending order, and returns how many
/// there are. The caller takes a budget for the copies.
pub(super) async fn send_to_users(
    tx: &mut Tx,
    users: &[UserId],
    notice: &Notice,
) -> Result<usize, Error> {
    rows::lock_users(tx, users).await?;
    // A user that is locked cannot be removed; one that was removed before has no row.
    let existing = users::existing(tx.conn(), users).await?;
    for user in &existing {
        send_to_held(tx, *user, notice).await?;
    }
    Ok(existing.len())
}

async fn send_to_held(tx: &mut Tx, user: UserId, notice: &Notice) -> Result<(), Error> {
    let (notification, count) = rows::insert(tx, user, notice).await?;
    tx.emit(event::notification(&notification));
    let count = rows::trim(tx, user, notification.id, rows::KEPT).await?.unwrap_or(count);
    tx.emit(event::notifications_unread(user, count));
    Ok(())
}

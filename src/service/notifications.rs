//! Notifications: making them, reading them, and the count of what is unread, which every socket of
//! the receiver is told of with each change.

use std::collections::BTreeSet;

use super::permissions::{Action, Standing, permit};
use super::{Page, Services, broadcasts};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::model::fields::{self, Broken, Fields, Given};
use crate::model::{
    JsonObject, Notice, Notification, NotificationId, NotificationType, Role, UserId,
};
use crate::store::broadcasts::{Audience, UserIdRange, receivers};
use crate::store::{Once, Tx, notifications as rows, users};

/// Receivers that one write notifies at most, also admins of something.
pub(super) const MOST_RECEIVERS: u16 = 1000;
/// Characters of a notification's message at most.
const MOST_MESSAGE: usize = 4096;

/// A notification to be sent, and to whom.
pub struct NewNotification {
    pub receivers: Receivers,
    pub notice: Notice,
}

/// To whom.
pub enum Receivers {
    /// One user, `userId`.
    User(UserId),
    /// Some, `userIds`.
    Users(Vec<UserId>),
    /// All of that role.
    Role(Role),
    All,
}

impl NewNotification {
    /// From `{userId | userIds | role | all:true, type, title, message, data?}`.
    ///
    /// # Errors
    /// [`Error::Faults`].
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let targets = [
            fields.optional("userId", fields::id).map(|user| user.map(Receivers::User)),
            fields.optional("userIds", some_ids).map(|users| users.map(Receivers::Users)),
            fields.optional("role", fields::word(Role::ALL)).map(|role| role.map(Receivers::Role)),
            fields
                .optional("all", fields::flag)
                .map(|all| all.filter(|all| *all).map(|_| Receivers::All)),
        ];
        let kind = fields.required("type", fields::word(NotificationType::ALL));
        let title = fields.required("title", fields::line);
        let message = fields.required("message", fields::at_most(MOST_MESSAGE));
        let data = fields.optional("data", fields::object);
        // One with a fault is noted by now, and given all the same.
        let given: Vec<_> =
            targets.into_iter().filter(|target| !matches!(target, Some(None))).collect();
        let receivers = <[_; 1]>::try_from(given).map(|[one]| one);
        if receivers.is_err() {
            fields.refuse("exactly one of userId, userIds, role and all must be given");
        }
        fields.end(|| {
            let data = data?.and_then(JsonObject::from_text);
            Some(Self {
                receivers: receivers.ok()???,
                notice: Notice { kind: kind?, title: title?, message: message?, data },
            })
        })
    }
}

fn some_ids(given: Given<'_>) -> Result<Vec<UserId>, Broken> {
    fields::ids(given).and_then(|ids| {
        if ids.is_empty() { Err(vec!["should not be empty".into()]) } else { Ok(ids) }
    })
}

/// Which notification has been read, from a socket's `{id}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_id(mut fields: Fields<'_>) -> Result<NotificationId, Error> {
    let id = fields.required("id", fields::id);
    fields.end(|| id)
}

/// Sends a notification to each of the receivers, and gives how many they are. Admins only. More
/// than one write can notify get it one after another, behind the answer.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Faults`] for a user who does not exist, [`Error::TooLarge`] when
/// the copies of a thousand, or of all, are too large together, [`Error::Unavailable`] when too
/// many notices are on their way already.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewNotification,
    once: Once,
) -> Result<usize, Error> {
    permit(caller, Action::SendNotifications, Standing::STRANGER)?;
    let NewNotification { receivers, notice } = new;
    let expected = match &receivers {
        Receivers::User(_) => 1,
        Receivers::Users(users) => users.len(),
        Receivers::Role(_) | Receivers::All => usize::from(MOST_RECEIVERS),
    };
    let (bytes, bell) = (expected * broadcasts::copy_len(&notice), services.broadcasts.clone());
    let write = async move |tx: &mut Tx| match &receivers {
        Receivers::User(user) => {
            notify_named(tx, &[*user], &notice, "userId must refer to an existing user").await
        }
        Receivers::Users(users) => {
            notify_named(tx, users, &notice, "userIds must refer to existing users").await
        }
        Receivers::Role(role) => broadcasts::send(tx, &bell, Audience::Role(*role), &notice).await,
        Receivers::All => broadcasts::send(tx, &bell, Audience::All, &notice).await,
    };
    services.db.write_large(once, bytes, write).await
}

/// Those users, or with the fault none, if one of them does not exist.
async fn notify_named(
    tx: &mut Tx,
    users: &[UserId],
    notice: &Notice,
    fault: &str,
) -> Result<usize, Error> {
    broadcasts::bounded(users.len(), notice)?;
    let notified = notify_all(tx, users, notice).await?;
    if notified == users.len() { Ok(notified) } else { Err(Error::Faults(vec![fault.into()])) }
}

/// Whom a verb notifies.
pub(super) enum Whom {
    User(UserId),
    Users(Vec<UserId>),
    /// By the database, for a token's claim is known only of who calls.
    Admins,
}

/// What a verb has to say, and to whom.
pub(super) type Notices = Vec<(Whom, Notice)>;

/// How many bytes it can come to when so many are notified of something that has a name: for
/// [`Db::write_large`](crate::store::Db::write_large).
pub(super) fn share(receivers: i64) -> usize {
    usize::try_from(receivers).unwrap_or_default() * 2 * broadcasts::COPY_SHARE
}

/// Notifies within another verb's transaction: to each receiver the notification, and then the new
/// count, after what the verb has emitted so far. All at once and as the last that a verb does, for
/// that holds all the receivers in one order. Who is gone meanwhile is left out.
///
/// # Errors
/// The database's.
pub(super) async fn notify(tx: &mut Tx, notices: Notices) -> Result<(), Error> {
    let to_admins = notices.iter().any(|(whom, _)| matches!(whom, Whom::Admins));
    let admins = if to_admins {
        receivers(tx.conn(), Audience::Role(Role::Admin), UserIdRange::ALL, MOST_RECEIVERS.into())
            .await?
    } else {
        Vec::new()
    };
    let told: Vec<(Vec<UserId>, Notice)> = notices
        .into_iter()
        .map(|(whom, notice)| match whom {
            Whom::User(user) => (vec![user], notice),
            Whom::Users(users) => (users, notice),
            Whom::Admins => (admins.clone(), notice),
        })
        .collect();
    let all: BTreeSet<UserId> = told.iter().flat_map(|(users, _)| users).copied().collect();
    if all.is_empty() {
        return Ok(());
    }
    let held: BTreeSet<UserId> =
        rows::lock_users(tx, &Vec::from_iter(all)).await?.into_iter().collect();
    for (users, notice) in told {
        for user in users.into_iter().filter(|user| held.contains(user)) {
            notify_held(tx, user, &notice).await?;
        }
    }
    Ok(())
}

/// As [`notify`], for some users and one notice: those who are there, ascending, and how many they
/// are. At most [`MOST_RECEIVERS`] in one write, which has to have a share of the budget for them.
///
/// # Errors
/// The database's.
pub(super) async fn notify_all(
    tx: &mut Tx,
    users: &[UserId],
    notice: &Notice,
) -> Result<usize, Error> {
    rows::lock_users(tx, users).await?;
    // Who is held cannot be removed any more; who was removed before that would be a missing
    // reference.
    let there = users::existing(tx.conn(), users).await?;
    for user in &there {
        notify_held(tx, *user, notice).await?;
    }
    Ok(there.len())
}

async fn notify_held(tx: &mut Tx, user: UserId, notice: &Notice) -> Result<(), Error> {
    let notification = rows::insert(tx, user, notice).await?;
    tx.emit(event::notification(&notification));
    announce_count(tx, user).await
}

/// To be called with the user's notifications [held](rows::lock_users), behind what changed them.
async fn announce_count(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    let count = rows::unread_count(tx.conn(), user).await?;
    tx.emit(event::notifications_unread(user, count));
    Ok(())
}

/// Own notifications, or those that are unread: at most `limit` of those before `before`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn list(
    services: &Services,
    caller: &Identity,
    unread_only: bool,
    limit: u16,
    before: Option<NotificationId>,
) -> Result<Page<Notification>, Error> {
    own(caller)?;
    let asked = rows::NotificationPage {
        user_id: caller.user,
        unread_only,
        before,
        limit: Page::<Notification>::ask(limit),
    };
    let items = services.db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::of(items, limit))
}

/// How many of the caller's notifications are unread.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn unread_count(services: &Services, caller: &Identity) -> Result<i64, Error> {
    own(caller)?;
    let user = caller.user;
    services.db.read(async move |conn| rows::unread_count(conn, user).await).await
}

/// Tells a socket that has entered how many are unread. A write that changes nothing: so it is told
/// in its place among the counts that are announced, and not over a newer one.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn greet(
    services: &Services,
    user: UserId,
    tell: impl FnOnce(NewEvent) + Send + 'static,
) -> Result<(), Error> {
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let count = rows::unread_count(tx.conn(), user).await?;
        tx.after_commit(move || tell(event::notifications_unread(user, count)));
        Ok(())
    };
    services.db.write(Once::No, write).await
}

/// Marks one as read. Again it gives the same answer, and tells nobody.
///
/// # Errors
/// [`Error::NotFound`], also for another's.
pub async fn read(
    services: &Services,
    caller: &Identity,
    id: NotificationId,
) -> Result<Notification, Error> {
    own(caller)?;
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let (notification, changed) =
            rows::mark_read(tx, user, id).await?.ok_or_else(|| not_found(id))?;
        if changed {
            tx.emit(event::notification_read(user, id));
            announce_count(tx, user).await?;
        }
        Ok(notification)
    };
    services.db.write(Once::No, write).await
}

/// Marks all as read, and gives how many that changed. With none it tells nobody.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn read_all(services: &Services, caller: &Identity) -> Result<usize, Error> {
    own(caller)?;
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let updated = rows::mark_all_read(tx, user).await?;
        if updated > 0 {
            tx.emit(event::notifications_all_read(user));
            announce_count(tx, user).await?;
        }
        Ok(updated)
    };
    services.db.write(Once::No, write).await
}

/// Removes one.
///
/// # Errors
/// [`Error::NotFound`], also for another's.
pub async fn delete(
    services: &Services,
    caller: &Identity,
    id: NotificationId,
) -> Result<(), Error> {
    own(caller)?;
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        if !rows::delete(tx, user, id).await? {
            return Err(not_found(id));
        }
        announce_count(tx, user).await
    };
    services.db.write(Once::No, write).await
}

/// The verbs of this file look at nothing but the caller's own.
fn own(caller: &Identity) -> Result<(), Error> {
    Ok(permit(caller, Action::KeepNotifications, Standing::own(true))?)
}

fn not_found(id: NotificationId) -> Error {
    Error::NotFound(format!("Notification with ID {id} not found"))
}

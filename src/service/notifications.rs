//! Notifications: making them, reading them, and the count of what is unread, which every socket of the receiver is told of with each change.

use std::collections::BTreeSet;

use super::{Page, Services};
use crate::auth::Identity;
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::model::fields::{self, Broken, Fields, Given};
use crate::model::{JsonObject, Notice, Notification, NotificationId, NotificationType, Role, UserId};
use crate::store::{Once, Tx, notifications as rows, users};

/// Receivers of one [`create`] at most, and admins who are notified of something.
const MOST_RECEIVERS: u16 = 1000;
/// Characters of a notification's message at most.
const MOST_MESSAGE: usize = 4096;
/// Bytes that the copies of one [`create`] may come to.
const MOST_BYTES: usize = 16 << 20;
/// What a copy has beside its texts: names of fields, ids, the count.
const COPY_SHARE: usize = 512;

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
            fields.optional("all", fields::flag).map(|all| all.filter(|all| *all).map(|_| Receivers::All)),
        ];
        let kind = fields.required("type", fields::word(NotificationType::ALL));
        let title = fields.required("title", fields::line);
        let message = fields.required("message", fields::at_most(MOST_MESSAGE));
        let data = fields.optional("data", fields::object);
        // One with a fault is noted by now, and given all the same.
        let given: Vec<_> = targets.into_iter().filter(|target| !matches!(target, Some(None))).collect();
        let receivers = <[_; 1]>::try_from(given).map(|[one]| one);
        if receivers.is_err() {
            fields.refuse("exactly one of userId, userIds, role and all must be given");
        }
        fields.end(|| {
            let data = data?.and_then(JsonObject::from_text);
            Some(Self { receivers: receivers.ok()???, notice: Notice { kind: kind?, title: title?, message: message?, data } })
        })
    }
}

fn some_ids(given: Given<'_>) -> Result<Vec<UserId>, Broken> {
    fields::ids(given).and_then(|ids| if ids.is_empty() { Err(vec!["should not be empty".into()]) } else { Ok(ids) })
}

/// Which notification has been read, from a socket's `{id}`.
///
/// # Errors
/// [`Error::Faults`].
pub fn read_id(mut fields: Fields<'_>) -> Result<NotificationId, Error> {
    let id = fields.required("id", fields::id);
    fields.end(|| id)
}

/// Sends a notification to each of the receivers, and gives how many they are. Admins only.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Faults`] for a user who does not exist and for too many receivers, [`Error::TooLarge`] when the copies are too
/// large together.
pub async fn create(services: &Services, caller: &Identity, new: NewNotification, once: Once) -> Result<usize, Error> {
    caller.require_admin()?;
    let NewNotification { receivers, notice } = new;
    let copy = COPY_SHARE + notice.title.len() + notice.message.len() + notice.data.as_ref().map_or(0, |data| data.as_str().len());
    let expected = match &receivers {
        Receivers::User(_) => 1,
        Receivers::Users(users) => users.len(),
        Receivers::Role(_) | Receivers::All => usize::from(MOST_RECEIVERS),
    };
    let write = async move |tx: &mut Tx| {
        let users = resolve(tx, &receivers).await?;
        if users.len() * copy > MOST_BYTES {
            return Err(Error::TooLarge);
        }
        rows::hold(tx, &users).await?;
        for user in &users {
            notify_held(tx, *user, &notice).await?;
        }
        Ok(users.len())
    };
    services.db.write_large(once, expected * copy, write).await
}

/// The receivers' ids, ascending.
async fn resolve(tx: &mut Tx, receivers: &Receivers) -> Result<Vec<UserId>, Error> {
    let fault = |text: String| Err(Error::Faults(vec![text]));
    let (name, role) = match receivers {
        Receivers::User(user) => match users::by_id(tx.conn(), *user).await? {
            Some(user) => return Ok(vec![user.id]),
            None => return fault("userId must refer to an existing user".into()),
        },
        Receivers::Users(ids) => {
            let found = users::existing(tx.conn(), ids).await?;
            let all = found.len() == ids.len();
            return if all { Ok(found) } else { fault("userIds must refer to existing users".into()) };
        }
        Receivers::Role(role) => ("role", Some(*role)),
        Receivers::All => ("all", None),
    };
    // One more than there may be tells whether there are too many.
    let found = users::ids(tx.conn(), role, i64::from(MOST_RECEIVERS) + 1).await?;
    if found.len() > usize::from(MOST_RECEIVERS) {
        fault(format!("{name} must not refer to more than {MOST_RECEIVERS} users"))
    } else {
        Ok(found)
    }
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

/// How many bytes it can come to when so many are notified of something that has a name: for [`Db::write_large`](crate::store::Db::write_large).
pub(super) fn share(receivers: i64) -> usize {
    usize::try_from(receivers).unwrap_or_default() * 2 * COPY_SHARE
}

/// Notifies within another verb's transaction: to each receiver the notification, and then the new count, after what the verb has emitted so far.
/// All at once and as the last that a verb does, for that holds all the receivers in one order. Who is gone meanwhile is left out.
///
/// # Errors
/// The database's.
pub(super) async fn notify(tx: &mut Tx, notices: Notices) -> Result<(), Error> {
    let to_admins = notices.iter().any(|(whom, _)| matches!(whom, Whom::Admins));
    let admins = if to_admins { users::ids(tx.conn(), Some(Role::Admin), MOST_RECEIVERS.into()).await? } else { Vec::new() };
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
    let held: BTreeSet<UserId> = rows::hold(tx, &Vec::from_iter(all)).await?.into_iter().collect();
    for (users, notice) in told {
        for user in users.into_iter().filter(|user| held.contains(user)) {
            notify_held(tx, user, &notice).await?;
        }
    }
    Ok(())
}

async fn notify_held(tx: &mut Tx, user: UserId, notice: &Notice) -> Result<(), Error> {
    let notification = rows::insert(tx, user, notice).await?;
    tx.emit(event::notification(&notification));
    announce_count(tx, user).await
}

/// To be called with the user's notifications [held](rows::hold), behind what changed them.
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
    let asked = rows::Page { user_id: caller.user, unread_only, before, limit: Page::<Notification>::ask(limit) };
    let items = services.db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::of(items, limit))
}

/// How many of the caller's notifications are unread.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn unread_count(services: &Services, caller: &Identity) -> Result<i64, Error> {
    let user = caller.user;
    services.db.read(async move |conn| rows::unread_count(conn, user).await).await
}

/// Tells a socket that has entered how many are unread. A write that changes nothing: so it is told
/// in its place among the counts that are announced, and not over a newer one.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn greet(services: &Services, user: UserId, tell: impl FnOnce(NewEvent) + Send + 'static) -> Result<(), Error> {
    let write = async move |tx: &mut Tx| {
        rows::hold(tx, &[user]).await?;
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
pub async fn read(services: &Services, caller: &Identity, id: NotificationId) -> Result<Notification, Error> {
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::hold(tx, &[user]).await?;
        let (notification, changed) = rows::mark_read(tx, user, id).await?.ok_or_else(|| not_found(id))?;
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
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::hold(tx, &[user]).await?;
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
pub async fn delete(services: &Services, caller: &Identity, id: NotificationId) -> Result<(), Error> {
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::hold(tx, &[user]).await?;
        if !rows::delete(tx, user, id).await? {
            return Err(not_found(id));
        }
        announce_count(tx, user).await
    };
    services.db.write(Once::No, write).await
}

fn not_found(id: NotificationId) -> Error {
    Error::NotFound(format!("Notification with ID {id} not found"))
}

//! Notifications: sending, reading and deleting them. Every change sends the new unread count to
//! all sockets of the receiver.

use super::notify::{self, MAX_RECEIVERS};
use super::permissions::{Action, Relation, permit};
use super::{Page, Services, broadcasts};
use crate::auth::Identity;
use crate::error::Error;
use crate::event;
use crate::model::fields::{self, BrokenRules, FieldValue, Fields};
use crate::model::{
    JsonObject, Notice, Notification, NotificationId, NotificationType, Role, UserId,
};
use crate::realtime::{ClientHandle, Payload};
use crate::store::broadcasts::Audience;
use crate::store::{Once, Tx, notifications as rows};

/// The most characters in a notification's message.
const MAX_MESSAGE: usize = 4096;

/// A notification to send, and its receivers.
pub struct NewNotification {
    pub receivers: Receivers,
    pub notice: Notice,
}

/// The receivers of a notification.
pub enum Receivers {
    /// `userId`
    User(UserId),
    /// `userIds`
    Users(Vec<UserId>),
    /// All users with this role.
    Role(Role),
    All,
}

impl NewNotification {
    /// Reads `{userId | userIds | role | all:true, type, title, message, data?}`.
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let targets = [
            fields.optional("userId", fields::id).map(|user| user.map(Receivers::User)),
            fields.optional("userIds", some_ids).map(|users| users.map(Receivers::Users)),
            fields
                .optional("role", fields::one_of(Role::ALL))
                .map(|role| role.map(Receivers::Role)),
            fields
                .optional("all", fields::flag)
                .map(|all| all.filter(|all| *all).map(|_| Receivers::All)),
        ];
        let kind = fields.required("type", fields::one_of(NotificationType::ALL));
        let title = fields.required("title", fields::single_line);
        let message = fields.required("message", fields::at_most(MAX_MESSAGE));
        let data = fields.optional("data", fields::object);
        // A target that failed its rule counts as given, since its fault is already in the list.
        let given: Vec<_> =
            targets.into_iter().filter(|target| !matches!(target, Some(None))).collect();
        let receivers = <[_; 1]>::try_from(given).map(|[one]| one);
        if receivers.is_err() {
            fields.add_fault("exactly one of userId, userIds, role and all must be given");
        }
        fields.finish(|| {
            let data = data?.and_then(JsonObject::from_text);
            Some(Self {
                receivers: receivers.ok()???,
                notice: Notice { kind: kind?, title: title?, message: message?, data },
            })
        })
    }
}

fn some_ids(given: FieldValue<'_>) -> Result<Vec<UserId>, BrokenRules> {
    fields::ids(given).and_then(|ids| {
        if ids.is_empty() { Err(vec!["should not be empty".into()]) } else { Ok(ids) }
    })
}

/// Reads the id of the notification that was read, from the client event's `{id}`.
pub fn read_id(mut fields: Fields<'_>) -> Result<NotificationId, Error> {
    let id = fields.required("id", fields::id);
    fields.finish(|| id)
}

/// Sends a notification to the receivers, and returns how many there are. Receivers beyond the
/// limit of one write are notified in batches after the answer. For admins only.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Faults`] for a user that does not exist, [`Error::TooLarge`] if
/// the copies of one write are too large together, [`Error::Unavailable`] if too many broadcasts
/// are running.
pub async fn create(
    services: &Services,
    caller: &Identity,
    new: NewNotification,
    once: Once,
) -> Result<usize, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::SendNotifications, Relation::NONE)?;
    let NewNotification { receivers, notice } = new;
    let expected = match &receivers {
        Receivers::User(_) => 1,
        Receivers::Users(users) => users.len(),
        Receivers::Role(_) | Receivers::All => usize::from(MAX_RECEIVERS),
    };
    let (bytes, wakeup) = (expected * notify::copy_len(&notice), services.broadcasts.clone());
    let write = async move |tx: &mut Tx| match &receivers {
        Receivers::User(user) => {
            notify_named(tx, &[*user], &notice, "userId must refer to an existing user").await
        }
        Receivers::Users(users) => {
            notify_named(tx, users, &notice, "userIds must refer to existing users").await
        }
        Receivers::Role(role) => {
            broadcasts::send(tx, &wakeup, Audience::Role(*role), &notice).await
        }
        Receivers::All => broadcasts::send(tx, &wakeup, Audience::All, &notice).await,
    };
    db.write_large(once, bytes, write).await
}

/// Notifies all of these users, or returns `fault` if one of them does not exist.
async fn notify_named(
    tx: &mut Tx,
    users: &[UserId],
    notice: &Notice,
    fault: &str,
) -> Result<usize, Error> {
    notify::check_size(users.len(), notice)?;
    let notified = notify::send_to_users(tx, users, notice).await?;
    if notified == users.len() { Ok(notified) } else { Err(Error::Faults(vec![fault.into()])) }
}

/// Lists the caller's notifications, or the unread ones: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    unread_only: bool,
    limit: u16,
    before: Option<NotificationId>,
) -> Result<Page<Notification>, Error> {
    let db = services.db_of(caller);
    check_own(caller)?;
    let asked = rows::NotificationPage {
        user_id: caller.user,
        unread_only,
        before,
        limit: Page::<Notification>::query_limit(limit),
    };
    let items = db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::from_rows(items, limit))
}

/// Counts the caller's unread notifications.
pub async fn unread_count(services: &Services, caller: &Identity) -> Result<i64, Error> {
    check_own(caller)?;
    let user = caller.user;
    services.db.read(async move |conn| rows::unread_count(conn, user).await).await
}

/// Sends the unread count to a socket that has just entered, in its place among the socket's
/// events: the counted changes are those whose events come before it.
///
/// It is read together with the end of the log, and sent when the hub has routed the log up to
/// there, unless the socket was sent another count since it entered. Where that is not possible, it
/// is sent by a write that changes nothing, which has its place among the other writes.
pub async fn greet(services: &Services, user: UserId, socket: ClientHandle) -> Result<(), Error> {
    let payload = move |count| Payload::json(event::notifications_unread(user, count).data);
    let read = services.db.read(async move |conn| rows::count_with_position(conn, user).await);
    if let Some((count, position)) = read.await?
        && socket.greet(position.0, payload(count)).await
    {
        return Ok(());
    }
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let count = rows::unread_count(tx.conn(), user).await?;
        let name = event::notifications_unread(user, count).name;
        tx.after_commit(move || socket.emit(&name, payload(count)));
        Ok(())
    };
    services.db.write(Once::Unkeyed, write).await
}

/// Marks a notification as read. If it was read before, the answer is the same and no event is
/// sent.
///
/// # Errors
/// [`Error::NotFound`] also for another user's notification.
pub async fn mark_read(
    services: &Services,
    caller: &Identity,
    id: NotificationId,
) -> Result<Notification, Error> {
    let db = services.db_of(caller);
    check_own(caller)?;
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let (notification, count) =
            rows::mark_read(tx, user, id).await?.ok_or_else(|| not_found(id))?;
        if let Some(count) = count {
            tx.emit(event::notification_read(user, id));
            tx.emit(event::notifications_unread(user, count));
        }
        Ok(notification)
    };
    db.write(Once::Unkeyed, write).await
}

/// Marks all as read, and returns how many have changed. Without a change no event is sent.
pub async fn read_all(services: &Services, caller: &Identity) -> Result<usize, Error> {
    let db = services.db_of(caller);
    check_own(caller)?;
    let user = caller.user;
    // With nothing unread there is nothing to lock and to write.
    if db.read(async move |conn| rows::unread_count(conn, user).await).await? == 0 {
        return Ok(0);
    }
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let updated = rows::mark_all_read(tx, user).await?;
        if updated > 0 {
            tx.emit(event::notifications_all_read(user));
            tx.emit(event::notifications_unread(user, 0));
        }
        Ok(updated)
    };
    db.write(Once::Unkeyed, write).await
}

/// Deletes a notification.
///
/// # Errors
/// [`Error::NotFound`] also for another user's notification.
pub async fn delete(
    services: &Services,
    caller: &Identity,
    id: NotificationId,
) -> Result<(), Error> {
    let db = services.db_of(caller);
    check_own(caller)?;
    let user = caller.user;
    let write = async move |tx: &mut Tx| {
        rows::lock_users(tx, &[user]).await?;
        let count = rows::delete(tx, user, id).await?.ok_or_else(|| not_found(id))?;
        tx.emit(event::notifications_unread(user, count));
        Ok(())
    };
    db.write(Once::Unkeyed, write).await
}

/// Checks that the caller may use their own notifications.
fn check_own(caller: &Identity) -> Result<(), Error> {
    Ok(permit(caller, Action::ManageNotifications, Relation::own(true))?)
}

fn not_found(id: NotificationId) -> Error {
    Error::NotFound(format!("Notification with ID {id} not found"))
}

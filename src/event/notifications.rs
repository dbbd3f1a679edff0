//! Events of notifications, each to all sockets of its receiver in `/`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, server_events};
use crate::model::{Notification, NotificationId, UserId};

server_events! {
    /// A new notification.
    NOTIFICATION: stored Notification = [MAIN] "notification" to "its receiver";
    /// The user has read one notification (`ids`), or all of them (`all`).
    NOTIFICATION_READ: stored NotificationRead = [MAIN] "notification:read"
        to "the receiver of the notifications";
    /// The number of unread notifications.
    NOTIFICATIONS_UNREAD: transient Unread = [MAIN] "notifications:unread"
        to "the receiver of the notifications: a socket when it enters, all with every change";
}

/// The event that greets a socket: the next ones of its name replace it.
pub const UNREAD_COUNT: &str = NOTIFICATIONS_UNREAD.name();

/// `notification`.
#[must_use]
pub fn notification(notification: &Notification) -> NewEvent {
    NOTIFICATION.to(vec![Room::User(notification.user_id)], notification)
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum NotificationRead {
    These { ids: [NotificationId; 1] },
    All { all: bool },
}

/// `notification:read` of one notification.
#[must_use]
pub fn notification_read(user: UserId, id: NotificationId) -> NewEvent {
    NOTIFICATION_READ.to(vec![Room::User(user)], &NotificationRead::These { ids: [id] })
}

/// `notification:read` of all notifications.
#[must_use]
pub fn notifications_all_read(user: UserId) -> NewEvent {
    NOTIFICATION_READ.to(vec![Room::User(user)], &NotificationRead::All { all: true })
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Unread {
    count: i64,
}

/// `notifications:unread`. Transient: the next count replaces this one.
#[must_use]
pub fn notifications_unread(user: UserId, count: i64) -> NewEvent {
    NOTIFICATIONS_UNREAD.to(vec![Room::User(user)], &Unread { count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::model::{NotificationType, Timestamp};

    fn seen(event: &NewEvent) -> (&str, &str, EventKind, &[Room], &str) {
        assert_eq!((&event.except, &event.members), (&Vec::new(), &Vec::new()));
        (event.namespace, &event.name, event.kind, &event.rooms, &event.data)
    }

    #[test]
    fn a_new_notification_is_stored_for_all_sockets_of_its_receiver() {
        let new = Notification {
            id: NotificationId(5),
            user_id: UserId(7),
            kind: NotificationType::Promotion,
            title: "Tea".into(),
            message: "At half the price".into(),
            data: None,
            is_read: false,
            created_at: Timestamp::from_unix_seconds(0).expect("the epoch is a time"),
        };
        let data = concat!(
            r#"{"id":5,"userId":7,"type":"promotion","title":"Tea","#,
            r#""message":"At half the price","data":null,"isRead":false,"#,
            r#""createdAt":"1970-01-01T00:00:00.000Z"}"#,
        );
        assert_eq!(
            seen(&notification(&new)),
            ("/", "notification", EventKind::Stored, &[Room::User(UserId(7))][..], data)
        );
    }

    #[test]
    fn a_read_event_names_one_notification_or_all() {
        let rooms = &[Room::User(UserId(7))][..];
        let one = notification_read(UserId(7), NotificationId(5));
        assert_eq!(
            seen(&one),
            ("/", "notification:read", EventKind::Stored, rooms, r#"{"ids":[5]}"#)
        );
        let all = notifications_all_read(UserId(7));
        assert_eq!(
            seen(&all),
            ("/", "notification:read", EventKind::Stored, rooms, r#"{"all":true}"#)
        );
    }

    #[test]
    fn a_count_is_not_stored() {
        let count = notifications_unread(UserId(7), 3);
        assert_eq!(
            seen(&count),
            (
                "/",
                "notifications:unread",
                EventKind::Transient,
                &[Room::User(UserId(7))][..],
                r#"{"count":3}"#
            )
        );
    }
}

//! Notifications: a new one, what was read, how many are not. All of them to every socket of their
//! receiver in `/`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, Told};
use crate::model::{Notification, NotificationId, UserId};

/// What this file makes.
pub(super) const TOLD: &[Told] = &[
    Told::stored::<Notification>("notification", "its receiver"),
    Told::stored::<Read>("notification:read", "whose notifications they are"),
    Told::passing::<Unread>(
        "notifications:unread",
        "whose notifications they are; each socket when it comes in, and with every change",
    ),
];

/// `notification`: a new one.
#[must_use]
pub fn notification(notification: &Notification) -> NewEvent {
    NewEvent::stored(MAIN, "notification", vec![Room::User(notification.user_id)], notification)
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Read {
    These { ids: [NotificationId; 1] },
    All { all: bool },
}

/// `notification:read` {ids}: this one has been read.
#[must_use]
pub fn notification_read(user: UserId, id: NotificationId) -> NewEvent {
    NewEvent::stored(MAIN, "notification:read", vec![Room::User(user)], &Read::These { ids: [id] })
}

/// `notification:read` {all}: all that there were have been read.
#[must_use]
pub fn notifications_all_read(user: UserId) -> NewEvent {
    NewEvent::stored(MAIN, "notification:read", vec![Room::User(user)], &Read::All { all: true })
}

#[derive(Serialize, JsonSchema)]
struct Unread {
    count: i64,
}

/// `notifications:unread`: how many are unread. Not stored: the next one says all that this one
/// says.
#[must_use]
pub fn notifications_unread(user: UserId, count: i64) -> NewEvent {
    NewEvent::ephemeral(MAIN, "notifications:unread", vec![Room::User(user)], &Unread { count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use crate::model::{NotificationType, Timestamp};

    fn seen(event: &NewEvent) -> (&str, &str, Kind, &[Room], &str) {
        assert_eq!((&event.except, &event.members), (&Vec::new(), &Vec::new()));
        (event.namespace, &event.name, event.kind, &event.rooms, &event.data)
    }

    #[test]
    fn a_new_one_is_stored_for_all_sockets_of_its_receiver() {
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
        let data = r#"{"id":5,"userId":7,"type":"promotion","title":"Tea","message":"At half the price","data":null,"isRead":false,"createdAt":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(
            seen(&notification(&new)),
            ("/", "notification", Kind::Stored, &[Room::User(UserId(7))][..], data)
        );
    }

    #[test]
    fn reading_names_the_one_or_all() {
        let rooms = &[Room::User(UserId(7))][..];
        let one = notification_read(UserId(7), NotificationId(5));
        assert_eq!(seen(&one), ("/", "notification:read", Kind::Stored, rooms, r#"{"ids":[5]}"#));
        let all = notifications_all_read(UserId(7));
        assert_eq!(seen(&all), ("/", "notification:read", Kind::Stored, rooms, r#"{"all":true}"#));
    }

    #[test]
    fn a_count_is_not_stored() {
        let count = notifications_unread(UserId(7), 3);
        assert_eq!(
            seen(&count),
            (
                "/",
                "notifications:unread",
                Kind::Ephemeral,
                &[Room::User(UserId(7))][..],
                r#"{"count":3}"#
            )
        );
    }
}

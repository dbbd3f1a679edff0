ALTER TABLE conversation_members DROP COLUMN unread_after;
UPDATE notifications SET is_read = TRUE
    WHERE is_read = FALSE AND id <= (SELECT notifications_read_up_to FROM users WHERE users.id = notifications.user_id);
ALTER TABLE users DROP COLUMN notifications_read_up_to;
ALTER TABLE users DROP COLUMN unread_notifications;

-- Counts that are kept, so that none is counted. Unread are the notifications after `notifications_read_up_to` that are not `is_read`;
-- `unread_notifications` is their number.
ALTER TABLE users ADD COLUMN unread_notifications BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN notifications_read_up_to BIGINT NOT NULL DEFAULT 0;
UPDATE users SET unread_notifications = counted.unread
    FROM (SELECT user_id, count(*) AS unread FROM notifications WHERE is_read = FALSE GROUP BY user_id) AS counted
    WHERE users.id = counted.user_id;

-- Messages after `unread_after` are unread, and all of others: it is `read_seq`, or the member's own message right behind that.
ALTER TABLE conversation_members ADD COLUMN unread_after BIGINT NOT NULL DEFAULT 0;
UPDATE conversation_members SET unread_after = read_seq;
-- A message of one's own has read all before it; versions before 0.2 did not move the mark.
UPDATE conversation_members SET read_seq = own.seq - 1, unread_after = own.seq
    FROM (SELECT conversation_id, sender_id, max(seq) AS seq FROM messages GROUP BY conversation_id, sender_id) AS own
    WHERE conversation_members.conversation_id = own.conversation_id AND conversation_members.user_id = own.sender_id
        AND own.seq > conversation_members.read_seq;

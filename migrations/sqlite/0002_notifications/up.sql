-- AUTOINCREMENT: a deleted one's id, which clients may still hold, is not used again.
CREATE TABLE notifications (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    type       TEXT NOT NULL CHECK (type IN ('order_status', 'low_stock', 'new_review', 'promotion', 'payment_received', 'back_in_stock', 'stage_completed', 'message')),
    title      TEXT NOT NULL,
    message    TEXT NOT NULL,
    data       TEXT,
    is_read    BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX notifications_by_user ON notifications (user_id, id);
-- Serves only queries whose condition is written as it is here. A count reads nothing else.
CREATE INDEX notifications_unread ON notifications (user_id, is_read, id) WHERE is_read = FALSE;

ALTER TABLE events DROP COLUMN origin, DROP COLUMN outbox_id;
DROP TABLE outbox;
DROP INDEX event_rooms_by_event;
DROP TABLE secrets;
DROP TABLE session_rooms;
DROP TABLE sessions;
DROP TABLE epochs;

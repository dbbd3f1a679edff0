DROP TABLE log_head;
DROP TABLE idempotency_keys;
DROP TABLE event_rooms;
DROP TABLE events;
DROP TABLE orders;
DROP TABLE users;

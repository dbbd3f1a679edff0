DROP INDEX event_rooms_by_event;
DROP TABLE secrets;
DROP TABLE session_rooms;
DROP TABLE sessions;
DROP TABLE epochs;

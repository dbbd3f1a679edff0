-- Stretches of the log. An offset names its epoch and is good only below the first id of the next one: what was lost with the power, or
-- undone by a restored backup, is then known to be gone. `epoch` is random, for a restored file counts on from an older number.
CREATE TABLE epochs (
    number     INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    epoch      BIGINT NOT NULL UNIQUE,
    first_id   BIGINT NOT NULL,
    identity   TEXT,
    created_at TIMESTAMP NOT NULL
);

-- Sockets that can be resumed. `attachment` tells one stay of a session from the next; `confirmed_*`: the client surely has what is up to there.
CREATE TABLE sessions (
    sid        TEXT PRIMARY KEY NOT NULL,
    namespace  TEXT NOT NULL,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    attachment BIGINT NOT NULL,
    confirmed_epoch BIGINT,
    confirmed_id    BIGINT,
    closed_at  TIMESTAMP
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_close ON sessions (closed_at);

-- Rooms that a session has joined by itself, each for the events behind `since` and, once it has left, up to `until`.
CREATE TABLE session_rooms (
    sid   TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    room  TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (sid, room)
) WITHOUT ROWID;

-- Random keys that outlive a restart.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Old events are removed from the low end.
CREATE INDEX event_rooms_by_event ON event_rooms (event_id);

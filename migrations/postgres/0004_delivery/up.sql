-- Stretches of the log. An offset names its epoch and is good only below the first id of the next one: what was undone by a restored backup, or
-- lost in a failover, is then known to be gone. `epoch` is random, for a restored database counts on from an older number. `identity` is the
-- database's own: when it changes, a new epoch begins.
CREATE TABLE epochs (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    epoch      BIGINT NOT NULL UNIQUE,
    first_id   BIGINT NOT NULL,
    identity   TEXT,
    created_at TIMESTAMP NOT NULL
);

-- Sockets that can be resumed. `attachment` tells one stay of a session from the next; `confirmed_*`: the client surely has what is up to there.
CREATE TABLE sessions (
    sid        TEXT PRIMARY KEY,
    namespace  TEXT NOT NULL,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    attachment BIGINT NOT NULL,
    confirmed_epoch BIGINT,
    confirmed_id    BIGINT,
    closed_at  TIMESTAMP
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_close ON sessions (closed_at);

-- Rooms that a session has joined by itself, each for the events behind `since` and, once it has left, up to `until`.
CREATE TABLE session_rooms (
    sid   TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    room  TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (sid, room)
);

-- Random keys that outlive a restart.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Old events are removed from the low end.
CREATE INDEX event_rooms_by_event ON event_rooms (event_id);

-- Events of committed writes that have no place in the log yet; the last statement of a write's transaction puts them here, and an appender moves
-- them into `events`. `origin` is the write's own number: its server's random one in the upper 32 bits, a count in the lower. A row without a name
-- is no event but a mark of that server, which does something of its own at this place.
CREATE TABLE outbox (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin      BIGINT NOT NULL,
    namespace   TEXT,
    name        TEXT,
    payload     TEXT,
    rooms       TEXT[] NOT NULL,
    members     BIGINT[] NOT NULL,
    except_json TEXT,
    created_at  TIMESTAMP NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC')
);

-- Where an event comes from: a server finds the writes that wait for their events, whoever appended them.
ALTER TABLE events ADD COLUMN origin BIGINT, ADD COLUMN outbox_id BIGINT;

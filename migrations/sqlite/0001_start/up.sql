CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('customer', 'admin')),
    created_at    TIMESTAMP NOT NULL
);

CREATE TABLE orders (
    id          INTEGER PRIMARY KEY NOT NULL,
    customer_id BIGINT REFERENCES users (id) ON DELETE SET NULL,
    total_minor BIGINT NOT NULL CHECK (total_minor >= 0),
    status      TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled')),
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    shipped_at  TIMESTAMP
);
CREATE INDEX orders_by_customer ON orders (customer_id, id);

-- The log. The writer hands out ids itself: gap-free, in commit order.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY NOT NULL,
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    payload     TEXT NOT NULL,
    except_json TEXT,
    created_at  TIMESTAMP NOT NULL
);

CREATE TABLE event_rooms (
    room     TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    PRIMARY KEY (room, event_id)
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    user_id    BIGINT NOT NULL,
    method     TEXT NOT NULL,
    path       TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  BLOB NOT NULL,
    answer     TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (user_id, method, path, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

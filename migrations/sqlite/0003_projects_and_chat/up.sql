CREATE TABLE projects (
    id          INTEGER PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    status      TEXT NOT NULL,
    owner_id    BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);

CREATE TABLE project_members (
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (project_id, user_id)
) WITHOUT ROWID;
CREATE INDEX project_members_by_user ON project_members (user_id, project_id);

CREATE TABLE stages (
    id           INTEGER PRIMARY KEY NOT NULL,
    project_id   BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    completed_at TIMESTAMP,
    completed_by BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at   TIMESTAMP NOT NULL
);
CREATE INDEX stages_by_project ON stages (project_id, id);

-- last_seq is the seq of the conversation's last message, 0 before the first.
CREATE TABLE conversations (
    id         INTEGER PRIMARY KEY NOT NULL,
    title      TEXT,
    project_id BIGINT REFERENCES projects (id) ON DELETE SET NULL,
    owner_id   BIGINT REFERENCES users (id) ON DELETE SET NULL,
    last_seq   BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX conversations_by_project ON conversations (project_id);

-- read_seq: up to this one the member has read.
CREATE TABLE conversation_members (
    conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    user_id         BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    read_seq        BIGINT NOT NULL,
    joined_at       TIMESTAMP NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX conversation_members_by_user ON conversation_members (user_id, conversation_id);

CREATE TABLE messages (
    id              INTEGER PRIMARY KEY NOT NULL,
    conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    seq             BIGINT NOT NULL,
    sender_id       BIGINT REFERENCES users (id) ON DELETE SET NULL,
    content         TEXT NOT NULL,
    kind            TEXT NOT NULL,
    client_id       TEXT,
    created_at      TIMESTAMP NOT NULL,
    UNIQUE (conversation_id, seq)
);
CREATE INDEX messages_by_conversation ON messages (conversation_id, id);
CREATE UNIQUE INDEX messages_by_client_id ON messages (conversation_id, sender_id, client_id) WHERE client_id IS NOT NULL;

-- named_id is the user that the inviter has named, whether or not there is one. user_id is the
-- person who sees the invitation: null if nobody does, or not any more.
CREATE TABLE invitations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    conversation_id BIGINT REFERENCES conversations (id) ON DELETE CASCADE,
    project_id      BIGINT REFERENCES projects (id) ON DELETE CASCADE,
    inviter_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    named_id        BIGINT NOT NULL,
    user_id         BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at      TIMESTAMP NOT NULL,
    CHECK ((conversation_id IS NULL) <> (project_id IS NULL))
);
CREATE UNIQUE INDEX invitations_by_conversation ON invitations (conversation_id, named_id);
CREATE UNIQUE INDEX invitations_by_project ON invitations (project_id, named_id);
CREATE INDEX invitations_by_inviter ON invitations (inviter_id, named_id);
CREATE INDEX invitations_by_user ON invitations (user_id, id);
CREATE INDEX invitations_by_age ON invitations (created_at);

-- blocked_id is the user that user_id has named, whether or not there is one.
CREATE TABLE blocks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked_id BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (blocked_id, user_id)
);
CREATE INDEX blocks_by_user ON blocks (user_id, id);

CREATE INDEX users_by_role ON users (role, id);

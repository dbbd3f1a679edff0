-- All of a user's tokens end when its generation is raised; that happened last at `tokens_ended_at`.
ALTER TABLE users ADD COLUMN token_generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN tokens_ended_at TIMESTAMP;

-- As the user's was when the session began: with all of the user's tokens, all sessions end.
ALTER TABLE sessions ADD COLUMN token_generation BIGINT NOT NULL DEFAULT 0;

-- Tokens that ended ahead of their time: one, by its digest; or all of a user's of a generation below this one; or, with neither, all of a user who
-- is gone, so there is no reference. Kept as long as the token would be good, or until all servers must have seen it.
CREATE TABLE token_ends (
    id         INTEGER PRIMARY KEY NOT NULL,
    user_id    BIGINT NOT NULL,
    digest     BLOB UNIQUE,
    generation BIGINT,
    ended_at   TIMESTAMP NOT NULL,
    keep_until TIMESTAMP NOT NULL
);
CREATE INDEX token_ends_by_moment ON token_ends (ended_at);
CREATE INDEX token_ends_by_age ON token_ends (keep_until);

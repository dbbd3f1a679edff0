-- Who users are for others that sign tokens: `iss`, empty when a token has none, and `sub`.
CREATE TABLE identities (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX identities_by_user ON identities (user_id);

-- Those whose user was removed: their tokens up to that moment have ended, also where a later one made another user of them. Nobody can tell how long such a
-- token would be good, so these are kept.
CREATE TABLE identity_ends (
    issuer   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    ended_at TIMESTAMP NOT NULL,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;

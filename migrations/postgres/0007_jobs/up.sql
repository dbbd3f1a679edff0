-- Notices to many that are not with all of them yet. Who has one: the receivers up to `last_user_id`; it ends with `up_to_user_id`, the highest of
-- them when it was sent. Receivers are all users, those of `role`, or the members of `project_id` but for `but_user_id`. `data` is a JSON object's
-- text. A row goes with its last receiver.
CREATE TABLE broadcasts (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role          TEXT,
    project_id    BIGINT REFERENCES projects (id) ON DELETE CASCADE,
    but_user_id   BIGINT,
    type          TEXT NOT NULL,
    title         TEXT NOT NULL,
    message       TEXT NOT NULL,
    data          TEXT,
    last_user_id  BIGINT NOT NULL,
    up_to_user_id BIGINT NOT NULL,
    created_at    TIMESTAMP NOT NULL
);

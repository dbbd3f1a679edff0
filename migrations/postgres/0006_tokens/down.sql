DROP TABLE token_ends;
ALTER TABLE sessions DROP COLUMN token_generation;
ALTER TABLE users DROP COLUMN tokens_ended_at, DROP COLUMN token_generation;

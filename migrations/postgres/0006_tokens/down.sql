DROP TABLE token_ends;
ALTER TABLE users DROP COLUMN tokens_ended_at, DROP COLUMN token_generation;

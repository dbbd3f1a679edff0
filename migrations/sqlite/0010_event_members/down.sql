ALTER TABLE events DROP COLUMN members_json;

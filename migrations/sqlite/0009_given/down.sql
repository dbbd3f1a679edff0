ALTER TABLE identities DROP COLUMN given_at;
ALTER TABLE identities DROP COLUMN given_role;
ALTER TABLE identities DROP COLUMN given_email;
ALTER TABLE identities DROP COLUMN given_name;

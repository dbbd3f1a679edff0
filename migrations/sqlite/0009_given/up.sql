-- What the token of that issuer gave to the account that it made, and the `iat` of that token: a later token may change these, unless an operator has
-- said otherwise since (null). All are null for an identity that an operator linked.
ALTER TABLE identities ADD COLUMN given_name TEXT;
ALTER TABLE identities ADD COLUMN given_email TEXT;
ALTER TABLE identities ADD COLUMN given_role TEXT;
ALTER TABLE identities ADD COLUMN given_at TIMESTAMP;

-- Accounts that tokens have made are those without a password.
UPDATE identities SET
    given_name = (SELECT name FROM users WHERE id = user_id),
    given_email = (SELECT email FROM users WHERE id = user_id),
    given_role = (SELECT role FROM users WHERE id = user_id),
    given_at = (SELECT created_at FROM users WHERE id = user_id)
WHERE user_id IN (SELECT id FROM users WHERE password_hash
    = '$argon2id$v=19$m=19456,t=2,p=1$bm8tc3VjaC11c2VyLWhlcg$4Tk0hHbtLZ8sdUfPzMFzWpoWxsNPA2NVr3PJH0CQj2U');

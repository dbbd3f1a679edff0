DROP TABLE identity_ends;
DROP TABLE identities;

DROP INDEX users_by_role;
DROP TABLE blocks;
DROP TABLE invitations;

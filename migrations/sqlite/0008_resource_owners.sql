-- Whose Google's resources are (files, cached contents, operations, interactions, sessions): the
-- client that asked for one, as a word made of its token, and the key that reaches it. The id is
-- the SHA-256 of the name, in hex.
CREATE TABLE resource_owners (
    id     TEXT    NOT NULL PRIMARY KEY,
    owner  TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    key_id INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_owners_of ON resource_owners (owner, kind, key_id);
CREATE INDEX resource_owners_at ON resource_owners (at);

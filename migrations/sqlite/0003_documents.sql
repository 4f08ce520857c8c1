-- What is kept as a whole and read as a whole, by a name like 'remote/3': accounts with cloud
-- providers, and what runs there. Holds secrets, so it is sealed.
CREATE TABLE documents (
    name       TEXT    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

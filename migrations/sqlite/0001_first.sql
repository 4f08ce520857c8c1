-- The first schema. Every moment is milliseconds since 1970-01-01T00:00:00Z (UTC).
-- A migration that has been released is never edited; what comes later is a file of its own.

-- Gemini keys. A deleted one can be restored until the next start; after that its secret is
-- wiped (sealed is NULL) and the row remains, so that past requests keep their label and a
-- key that comes back keeps its number.
CREATE TABLE gemini_keys (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Random; the associated data of the seal is 'gemini_keys/' followed by it.
    identity    TEXT    NOT NULL UNIQUE,
    sealed      BLOB,
    -- Keyed hash of the secret, so that an equal key is recognised without opening all.
    fingerprint BLOB    NOT NULL UNIQUE,
    label       TEXT    NOT NULL DEFAULT '',
    -- 'panel' or 'environment'
    origin      TEXT    NOT NULL,
    enabled     INTEGER NOT NULL DEFAULT 1,
    -- What the pool keeps of it over a restart, as JSON.
    saved_state TEXT,
    added_at    INTEGER NOT NULL,
    deleted_at  INTEGER
) STRICT;

-- Tokens that clients of this instance send. Those of the environment have negative numbers.
CREATE TABLE client_tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    -- Panel: SHA-256 of the token, which is 256 random bits. Environment: keyed hash, because
    -- a person chose the token and a plain hash of it could be guessed.
    hash         BLOB    NOT NULL UNIQUE,
    masked       TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    deleted_at   INTEGER
) STRICT;

-- Sessions of the panel, by SHA-256 of the cookie's 256 random bits.
CREATE TABLE sessions (
    hash       BLOB    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Single facts about this instance: 'password' (argon2id, PHC string), 'seal_check'
-- (sealed with the master key, to notice at once when another one is used).
CREATE TABLE panel (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each request of a client.
CREATE TABLE requests (
    id             INTEGER PRIMARY KEY,
    at             INTEGER NOT NULL,
    surface        TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    -- The key that answered or was last tried; NULL when none was.
    key_id         INTEGER,
    -- Numbers of the keys that were tried before it and failed, separated by commas.
    failed_keys    TEXT,
    token_id       INTEGER,
    status         INTEGER NOT NULL,
    stream         INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    latency_ms     INTEGER NOT NULL,
    ttft_ms        INTEGER,
    prompt_tokens  INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    thought_tokens INTEGER NOT NULL,
    cached_tokens  INTEGER NOT NULL,
    -- What the client was told, scrubbed; NULL for a request that went well.
    error          TEXT
) STRICT;

CREATE INDEX requests_at ON requests (at);
CREATE INDEX requests_failed ON requests (at) WHERE error IS NOT NULL;

-- Settings, audit, tokens' rules, richer records and their sums. Additive, as all are.

-- What the panel saved, by the setting's name. A secret is in `sealed`, all others in `value`.
CREATE TABLE settings (
    name       TEXT    NOT NULL PRIMARY KEY,
    value      TEXT,
    sealed     BLOB,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The environment at the last start: a value that differs from the one seen is newer than
-- what the panel saved. A secret is in `sealed`.
CREATE TABLE environment_seen (
    name    TEXT    NOT NULL PRIMARY KEY,
    value   TEXT,
    sealed  BLOB,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who changed what. `changes` is shown (JSON, secrets left out); `inverse` is what was there
-- before (JSON, sealed) and is absent when there is no way back.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    address TEXT,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    changes TEXT    NOT NULL,
    inverse BLOB
) STRICT;

-- Numbers that grow: 'revision' with every change of keys, tokens or settings, so that
-- another process on the same database notices it. The row is also the lock that every
-- change holds.
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('revision', 0);

ALTER TABLE gemini_keys ADD COLUMN project TEXT;

ALTER TABLE client_tokens ADD COLUMN rules TEXT;

ALTER TABLE sessions ADD COLUMN last_seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';

ALTER TABLE requests ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN project TEXT;
-- Millionths of a US dollar; NULL when the price is not known.
ALTER TABLE requests ADD COLUMN cost_micros INTEGER;
-- Whether `error` is there: MySQL has no partial index, and the queries are the same.
ALTER TABLE requests ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
UPDATE requests SET failed = 1 WHERE error IS NOT NULL;
-- JSON: what Google said, the client's name, the body when that is switched on.
ALTER TABLE requests ADD COLUMN detail TEXT;

DROP INDEX requests_failed;
CREATE INDEX requests_failed ON requests (failed, at);
CREATE INDEX requests_token ON requests (token_id, at);
CREATE INDEX requests_key ON requests (key_id, at);
CREATE INDEX requests_model ON requests (model, at);
CREATE INDEX requests_status ON requests (status, at);
CREATE INDEX requests_surface ON requests (surface, at);
CREATE INDEX requests_request_id ON requests (request_id);

-- Sums by the hour ('h'), the day ('d') and the month ('m') of the server's time zone, of
-- everything ('all') and of each 'model', 'key', 'token', 'surface' and 'status'; by the day
-- also of what counted towards a token's limits ('admitted'). Kept when requests are deleted.
CREATE TABLE sums (
    period         TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    requests       INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    prompt_tokens  INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    thought_tokens INTEGER NOT NULL,
    cached_tokens  INTEGER NOT NULL,
    cost_micros    INTEGER NOT NULL,
    latency_ms     INTEGER NOT NULL,
    ttft_ms        INTEGER NOT NULL,
    -- How many requests ttft_ms is the sum of.
    ttft_count     INTEGER NOT NULL,
    PRIMARY KEY (period, kind, at, name)
) STRICT, WITHOUT ROWID;

-- The newest batch of records that each writer has committed: one that is sent again after
-- a lost connection is recognised.
CREATE TABLE record_writers (
    writer     TEXT    NOT NULL PRIMARY KEY,
    last_batch INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

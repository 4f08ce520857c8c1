-- What clients may go back to after a restart: answers of the Responses API (sealed, because they
-- hold conversations), and the thought signatures of calls (which only Google can read).
CREATE TABLE kept_responses (
    id       TEXT    NOT NULL PRIMARY KEY,
    token_id INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    sealed   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_responses_at ON kept_responses (at, bytes);

CREATE TABLE call_signatures (
    token_id  INTEGER NOT NULL,
    call_id   TEXT    NOT NULL,
    signature TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (token_id, call_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_signatures_at ON call_signatures (at);

-- Keys that Vertex AI's express mode takes instead of the Gemini API.
CREATE TABLE express_keys (
    key_id INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- The tables of sqlite/0001 and sqlite/0002, for MySQL 8, MariaDB 10.6 and TiDB. The numbers
-- run as SQLite's do; there is no 0001. Differences: names and hashes have a length, because
-- they are indexed; texts are utf8mb4, compared byte by byte. Numbers are signed. MySQL takes
-- no change of tables back, so every statement can be run again after a crash in the middle.

CREATE TABLE IF NOT EXISTS gemini_keys (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    identity    VARCHAR(64)  NOT NULL UNIQUE,
    sealed      BLOB,
    fingerprint VARBINARY(32) NOT NULL UNIQUE,
    label       VARCHAR(400) NOT NULL DEFAULT '',
    origin      VARCHAR(20)  NOT NULL,
    enabled     TINYINT      NOT NULL DEFAULT 1,
    saved_state MEDIUMTEXT,
    added_at    BIGINT       NOT NULL,
    deleted_at  BIGINT,
    project     VARCHAR(200)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS client_tokens (
    id           BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name         VARCHAR(400) NOT NULL,
    hash         VARBINARY(32) NOT NULL UNIQUE,
    masked       VARCHAR(400) NOT NULL,
    origin       VARCHAR(20)  NOT NULL,
    created_at   BIGINT       NOT NULL,
    last_used_at BIGINT,
    deleted_at   BIGINT,
    rules        MEDIUMTEXT
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sessions (
    hash         VARBINARY(32) NOT NULL PRIMARY KEY,
    created_at   BIGINT        NOT NULL,
    expires_at   BIGINT        NOT NULL,
    last_seen_at BIGINT        NOT NULL DEFAULT 0,
    address      VARCHAR(100)  NOT NULL DEFAULT '',
    user_agent   VARCHAR(400)  NOT NULL DEFAULT ''
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS panel (
    name  VARCHAR(100) NOT NULL PRIMARY KEY,
    value MEDIUMBLOB   NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS settings (
    name       VARCHAR(100) NOT NULL PRIMARY KEY,
    value      MEDIUMTEXT,
    sealed     MEDIUMBLOB,
    changed_at BIGINT       NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS environment_seen (
    name    VARCHAR(100) NOT NULL PRIMARY KEY,
    value   MEDIUMTEXT,
    sealed  MEDIUMBLOB,
    seen_at BIGINT       NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS audit (
    id      BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at      BIGINT       NOT NULL,
    actor   VARCHAR(20)  NOT NULL,
    address VARCHAR(100),
    action  VARCHAR(40)  NOT NULL,
    subject VARCHAR(400) NOT NULL,
    changes MEDIUMTEXT   NOT NULL,
    inverse MEDIUMBLOB
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS counters (
    name  VARCHAR(100) NOT NULL PRIMARY KEY,
    value BIGINT       NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO counters (name, value) VALUES ('revision', 0);

CREATE TABLE IF NOT EXISTS requests (
    id             BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at             BIGINT       NOT NULL,
    surface        VARCHAR(20)  NOT NULL,
    model          VARCHAR(200) NOT NULL,
    key_id         BIGINT,
    failed_keys    TEXT,
    token_id       BIGINT,
    status         INT          NOT NULL,
    stream         TINYINT      NOT NULL,
    attempts       INT          NOT NULL,
    latency_ms     BIGINT       NOT NULL,
    ttft_ms        BIGINT,
    prompt_tokens  BIGINT       NOT NULL,
    output_tokens  BIGINT       NOT NULL,
    thought_tokens BIGINT       NOT NULL,
    cached_tokens  BIGINT       NOT NULL,
    error          TEXT,
    -- MySQL has no partial index; this stands for `error IS NOT NULL` on both engines.
    failed         TINYINT      NOT NULL DEFAULT 0,
    request_id     VARCHAR(64)  NOT NULL DEFAULT '',
    project        VARCHAR(200),
    cost_micros    BIGINT,
    detail         MEDIUMTEXT,
    KEY requests_at (at),
    KEY requests_failed (failed, at),
    KEY requests_token (token_id, at),
    KEY requests_key (key_id, at),
    KEY requests_model (model, at),
    KEY requests_status (status, at),
    KEY requests_surface (surface, at),
    KEY requests_request_id (request_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sums (
    period         VARCHAR(1)   NOT NULL,
    kind           VARCHAR(10)  NOT NULL,
    at             BIGINT       NOT NULL,
    name           VARCHAR(200) NOT NULL,
    requests       BIGINT       NOT NULL,
    errors         BIGINT       NOT NULL,
    prompt_tokens  BIGINT       NOT NULL,
    output_tokens  BIGINT       NOT NULL,
    thought_tokens BIGINT       NOT NULL,
    cached_tokens  BIGINT       NOT NULL,
    cost_micros    BIGINT       NOT NULL,
    latency_ms     BIGINT       NOT NULL,
    ttft_ms        BIGINT       NOT NULL,
    ttft_count     BIGINT       NOT NULL,
    PRIMARY KEY (period, kind, at, name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS record_writers (
    writer     VARCHAR(64) NOT NULL PRIMARY KEY,
    last_batch BIGINT      NOT NULL,
    updated_at BIGINT      NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

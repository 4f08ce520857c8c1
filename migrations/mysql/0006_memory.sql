-- As sqlite/0006.
CREATE TABLE IF NOT EXISTS kept_responses (
    id       VARCHAR(100) NOT NULL PRIMARY KEY,
    token_id BIGINT       NOT NULL,
    bytes    BIGINT       NOT NULL,
    at       BIGINT       NOT NULL,
    sealed   LONGBLOB     NOT NULL,
    INDEX kept_responses_at (at, bytes)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS call_signatures (
    token_id  BIGINT       NOT NULL,
    call_id   VARCHAR(100) NOT NULL,
    signature MEDIUMTEXT   NOT NULL,
    at        BIGINT       NOT NULL,
    PRIMARY KEY (token_id, call_id),
    INDEX call_signatures_at (at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS express_keys (
    key_id BIGINT NOT NULL PRIMARY KEY
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

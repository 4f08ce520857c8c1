-- As sqlite/0008.
CREATE TABLE IF NOT EXISTS resource_owners (
    id     CHAR(64)    NOT NULL PRIMARY KEY,
    owner  VARCHAR(32) NOT NULL,
    kind   VARCHAR(40) NOT NULL,
    key_id BIGINT      NOT NULL,
    at     BIGINT      NOT NULL,
    INDEX resource_owners_of (owner, kind, key_id),
    INDEX resource_owners_at (at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- As sqlite/0003.
CREATE TABLE IF NOT EXISTS documents (
    name       VARCHAR(200) NOT NULL PRIMARY KEY,
    sealed     LONGBLOB     NOT NULL,
    changed_at BIGINT       NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who may read whose calendar without a token: whoever has the key. A user has one at most.
CREATE TABLE calendar_keys (
    user_id BIGINT PRIMARY KEY,
    key_hash VARBINARY(32) NOT NULL UNIQUE, -- SHA-256
    created_at BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

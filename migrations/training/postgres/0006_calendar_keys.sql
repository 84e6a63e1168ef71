-- Who may read whose calendar without a token: whoever has the key. A user has one at most.
CREATE TABLE calendar_keys (
    user_id BIGINT PRIMARY KEY,
    key_hash BYTEA NOT NULL UNIQUE, -- SHA-256
    created_at BIGINT NOT NULL
);

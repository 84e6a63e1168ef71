-- Who may read whose calendar without a token: whoever has the key. A user has one at most.
CREATE TABLE calendar_keys (
    user_id INTEGER PRIMARY KEY,
    key_hash BLOB NOT NULL UNIQUE, -- SHA-256
    created_at INTEGER NOT NULL
) STRICT;

-- Times are microseconds since 1970 UTC. `*_key` columns hold the form that is compared.

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT,
    username_key  TEXT UNIQUE,
    email         TEXT,
    email_key     TEXT UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles         INTEGER NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    last_login_at INTEGER,
    CHECK (username_key IS NOT NULL OR email_key IS NOT NULL)
) STRICT;

CREATE INDEX users_by_roles ON users (roles);

CREATE TABLE sessions (
    id                TEXT PRIMARY KEY,
    user_id           INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- How often the refresh token was rotated; the tokens themselves are derived.
    counter           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    last_used_at      INTEGER NOT NULL,
    -- When it ends unless it is refreshed, and when it ends for good.
    idle_expires_at   INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    -- When the last access token that was issued for it expires, at the latest.
    access_expires_at INTEGER NOT NULL,
    client_address    TEXT NOT NULL,
    user_agent        TEXT NOT NULL
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_idle_expiry ON sessions (idle_expires_at);

CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    -- 'active' in the one row whose key signs; unique, so that two replicas cannot both make one.
    slot        TEXT UNIQUE,
    -- PKCS #8, sealed under the secret key.
    private_key BLOB NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- Times are microseconds since 1970 UTC. `*_key` columns hold the form that is compared.

CREATE TABLE users (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username      TEXT,
    username_key  TEXT COLLATE "C" UNIQUE,
    email         TEXT,
    email_key     TEXT COLLATE "C" UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles         BIGINT NOT NULL,
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    last_login_at BIGINT,
    CHECK (username_key IS NOT NULL OR email_key IS NOT NULL)
);

CREATE INDEX users_by_roles ON users (roles);

CREATE TABLE sessions (
    id                TEXT PRIMARY KEY,
    user_id           BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- How often the refresh token was rotated; the tokens themselves are derived.
    counter           BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    last_used_at      BIGINT NOT NULL,
    -- When it ends unless it is refreshed, and when it ends for good.
    idle_expires_at   BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    -- When the last access token that was issued for it expires, at the latest.
    access_expires_at BIGINT NOT NULL,
    client_address    TEXT NOT NULL,
    user_agent        TEXT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_idle_expiry ON sessions (idle_expires_at);

CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    -- 'active' in the one row whose key signs; unique, so that two replicas cannot both make one.
    slot        TEXT UNIQUE,
    -- PKCS #8, sealed under the secret key.
    private_key BYTEA NOT NULL,
    created_at  BIGINT NOT NULL
);

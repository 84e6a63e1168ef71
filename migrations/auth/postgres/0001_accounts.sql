-- Times are microseconds since 1970 UTC. `*_key` columns hold the form that is compared.

CREATE TABLE users (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username      TEXT,
    username_key  TEXT UNIQUE,
    email         TEXT,
    email_key     TEXT UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles         BIGINT NOT NULL,
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CHECK (username_key IS NOT NULL OR email_key IS NOT NULL)
);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- How often the refresh token was rotated; the tokens themselves are derived.
    counter      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    -- 'active' in the one row whose key signs; unique, so that two replicas cannot both make one.
    slot        TEXT UNIQUE,
    -- PKCS #8, sealed under the secret key.
    private_key BYTEA NOT NULL,
    created_at  BIGINT NOT NULL
);

-- Times are microseconds since 1970 UTC. `*_key` columns hold the form that is compared.

CREATE TABLE users (
    id            BIGINT AUTO_INCREMENT PRIMARY KEY,
    username      VARCHAR(64),
    username_key  VARCHAR(255) UNIQUE,
    email         VARCHAR(254),
    email_key     VARCHAR(255) UNIQUE,
    name          VARCHAR(100) NOT NULL,
    password_hash VARCHAR(512) NOT NULL,
    roles         BIGINT NOT NULL,
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    last_login_at BIGINT,
    CHECK (username_key IS NOT NULL OR email_key IS NOT NULL)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX users_by_roles ON users (roles);

CREATE TABLE sessions (
    id                VARCHAR(32) PRIMARY KEY,
    user_id           BIGINT NOT NULL,
    -- How often the refresh token was rotated; the tokens themselves are derived.
    counter           BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    last_used_at      BIGINT NOT NULL,
    -- When it ends unless it is refreshed, and when it ends for good.
    idle_expires_at   BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    -- When the last access token that was issued for it expires, at the latest.
    access_expires_at BIGINT NOT NULL,
    client_address    VARCHAR(45) NOT NULL,
    user_agent        VARCHAR(200) NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX sessions_by_idle_expiry ON sessions (idle_expires_at);

CREATE TABLE signing_keys (
    kid         VARCHAR(64) PRIMARY KEY,
    algorithm   VARCHAR(16) NOT NULL,
    -- 'active' in the one row whose key signs; unique, so that two replicas cannot both make one.
    slot        VARCHAR(16) UNIQUE,
    -- PKCS #8, sealed under the secret key.
    private_key BLOB NOT NULL,
    created_at  BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

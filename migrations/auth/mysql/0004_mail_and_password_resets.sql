-- Mails that wait to be sent, and codes that reset a password.

CREATE TABLE mails (
    -- Random; part of the Message-ID.
    id         VARCHAR(32) PRIMARY KEY,
    -- Recipient, subject and text, sealed under the secret key.
    sealed     MEDIUMBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    -- From when on it is worthless.
    not_after  BIGINT NOT NULL,
    -- When it may be tried; while it is, when another may try.
    due_at     BIGINT NOT NULL,
    tries      BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX mails_by_due ON mails (due_at, id);

-- Asked for and not yet looked at: whether there is such an account is found out later.
CREATE TABLE password_reset_requests (
    id             BIGINT AUTO_INCREMENT PRIMARY KEY,
    email_key      VARCHAR(255) NOT NULL,
    client_address VARCHAR(45) NOT NULL,
    requested_at   BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX password_reset_requests_by_time ON password_reset_requests (requested_at);

-- At most one live code for each address, known or not: a guess must cost the same for both.
CREATE TABLE password_resets (
    -- A keyed hash of the address.
    account_key VARBINARY(32) PRIMARY KEY,
    -- NULL where nobody is to be mailed.
    user_id     BIGINT,
    salt        VARBINARY(16) NOT NULL,
    -- A keyed hash of salt, user and code.
    code_hash   VARBINARY(32) NOT NULL,
    attempts    BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX password_resets_by_expiry ON password_resets (expires_at);

-- What was counted of an address or a client until a window of time ends.
CREATE TABLE password_reset_throttles (
    -- A keyed hash of what is counted, and of whom.
    throttle_key VARBINARY(32) PRIMARY KEY,
    hits         BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX password_reset_throttles_by_end ON password_reset_throttles (ends_at);

-- Mails that wait to be sent, and codes that reset a password.

CREATE TABLE mails (
    -- Random; part of the Message-ID.
    id         TEXT PRIMARY KEY,
    -- Recipient, subject and text, sealed under the secret key.
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    -- From when on it is worthless.
    not_after  BIGINT NOT NULL,
    -- When it may be tried; while it is, when another may try.
    due_at     BIGINT NOT NULL,
    tries      BIGINT NOT NULL
);

CREATE INDEX mails_by_due ON mails (due_at, id);

-- Asked for and not yet looked at: whether there is such an account is found out later.
CREATE TABLE password_reset_requests (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email_key      TEXT NOT NULL,
    client_address TEXT NOT NULL,
    requested_at   BIGINT NOT NULL
);

CREATE INDEX password_reset_requests_by_time ON password_reset_requests (requested_at);

-- At most one live code for each address, known or not: a guess must cost the same for both.
CREATE TABLE password_resets (
    -- A keyed hash of the address.
    account_key BYTEA PRIMARY KEY,
    -- NULL where nobody is to be mailed.
    user_id     BIGINT REFERENCES users (id) ON DELETE CASCADE,
    salt        BYTEA NOT NULL,
    -- A keyed hash of salt, user and code.
    code_hash   BYTEA NOT NULL,
    attempts    BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

CREATE INDEX password_resets_by_user ON password_resets (user_id);
CREATE INDEX password_resets_by_expiry ON password_resets (expires_at);

-- What was counted of an address or a client until a window of time ends.
CREATE TABLE password_reset_throttles (
    -- A keyed hash of what is counted, and of whom.
    throttle_key BYTEA PRIMARY KEY,
    hits         BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL
);

CREATE INDEX password_reset_throttles_by_end ON password_reset_throttles (ends_at);

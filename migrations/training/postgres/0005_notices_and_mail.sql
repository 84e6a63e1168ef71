-- Who has to be told what: from here, once auth-service has given the address, into the queue of
-- mails.

CREATE TABLE notices (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type TEXT NOT NULL CHECK (type IN ('promoted', 'program_cancelled')),
    program_id BIGINT NOT NULL REFERENCES programs (id),
    user_id BIGINT NOT NULL
);

-- As in the database of auth-service.
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

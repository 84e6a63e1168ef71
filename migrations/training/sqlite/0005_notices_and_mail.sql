-- Who has to be told what: from here, once auth-service has given the address, into the queue of
-- mails.

CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL CHECK (type IN ('promoted', 'program_cancelled')),
    program_id INTEGER NOT NULL REFERENCES programs (id),
    user_id INTEGER NOT NULL
) STRICT;

-- As in the database of auth-service.
CREATE TABLE mails (
    -- Random; part of the Message-ID.
    id         TEXT PRIMARY KEY,
    -- Recipient, subject and text, sealed under the secret key.
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    -- From when on it is worthless.
    not_after  INTEGER NOT NULL,
    -- When it may be tried; while it is, when another may try.
    due_at     INTEGER NOT NULL,
    tries      INTEGER NOT NULL
) STRICT;

CREATE INDEX mails_by_due ON mails (due_at, id);

-- Times are microseconds since 1970 UTC.

CREATE TABLE registrations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    sport TEXT NOT NULL,
    training_level TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    program_id INTEGER, -- NULL: it is for none
    status TEXT NOT NULL CHECK (status IN ('confirmed', 'waitlisted', 'cancelled'))
) STRICT;

CREATE INDEX registrations_by_user ON registrations (user_id, id);

-- The request ids of the last 24 hours, and what came of them.
CREATE TABLE registration_requests (
    user_id INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL, -- of the rest of the request
    registration_id INTEGER NOT NULL UNIQUE REFERENCES registrations (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX registration_requests_by_age ON registration_requests (created_at);

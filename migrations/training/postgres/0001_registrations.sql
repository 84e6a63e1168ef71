-- Times are microseconds since 1970 UTC.

CREATE TABLE registrations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id BIGINT NOT NULL,
    sport TEXT NOT NULL,
    training_level TEXT NOT NULL,
    registered_at BIGINT NOT NULL,
    program_id BIGINT, -- NULL: it is for none
    status TEXT NOT NULL CHECK (status IN ('confirmed', 'waitlisted', 'cancelled'))
);

CREATE INDEX registrations_by_user ON registrations (user_id, id);

-- The request ids of the last 24 hours, and what came of them.
CREATE TABLE registration_requests (
    user_id BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BYTEA NOT NULL, -- of the rest of the request
    registration_id BIGINT NOT NULL UNIQUE REFERENCES registrations (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, request_id)
);

CREATE INDEX registration_requests_by_age ON registration_requests (created_at);

-- Programs, their seats and waitlists, and the log of what happened.
--
-- The row of a program is the lock of its registrations: each transaction that changes one of them
-- updates that row first, so that the order of commits is the order of the queue.

CREATE TABLE programs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    sport TEXT NOT NULL,
    training_level TEXT NOT NULL,
    location TEXT NOT NULL,
    coach_id BIGINT, -- NULL: nobody is named
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    time_zone TEXT NOT NULL,
    registration_opens_at BIGINT, -- NULL: from its creation on
    registration_closes_at BIGINT, -- NULL: when it starts
    capacity BIGINT NOT NULL CHECK (capacity >= 0), -- 0: any number
    seats_taken BIGINT NOT NULL CHECK (seats_taken >= 0),
    waitlist_length BIGINT NOT NULL CHECK (waitlist_length >= 0),
    tickets_given BIGINT NOT NULL, -- so far, for its waitlist
    status TEXT NOT NULL CHECK (status IN ('active', 'cancelled')),
    version BIGINT NOT NULL, -- how often it was set
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT programs_never_oversold CHECK (capacity = 0 OR seats_taken <= capacity)
);

-- A smaller one is nearer to the head of the waitlist; NULL: it does not wait.
ALTER TABLE registrations ADD COLUMN waitlist_ticket BIGINT;
ALTER TABLE registrations ADD FOREIGN KEY (program_id) REFERENCES programs (id);

CREATE INDEX registrations_by_program ON registrations (program_id, id);
CREATE UNIQUE INDEX registrations_waiting ON registrations (program_id, waitlist_ticket);
-- A user has one live registration for a program.
CREATE UNIQUE INDEX registrations_live ON registrations (program_id, user_id)
    WHERE status <> 'cancelled';

-- The request ids of the last 24 hours, and what came of them.
CREATE TABLE program_requests (
    user_id BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BYTEA NOT NULL, -- of the rest of the request
    program_id BIGINT NOT NULL UNIQUE REFERENCES programs (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, request_id)
);

CREATE INDEX program_requests_by_age ON program_requests (created_at);

-- Events are numbered in the order of commits: a transaction takes its numbers from event_counter,
-- and holds that row until it is committed.
CREATE TABLE event_counter (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
);

INSERT INTO event_counter (id, last) VALUES (1, 0);

CREATE TABLE training_events (
    sequence BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    type TEXT NOT NULL,
    -- No foreign keys: an event outlives what it tells of.
    program_id BIGINT,
    registration_id BIGINT,
    user_id BIGINT, -- whose registration it is
    actor_id BIGINT -- NULL: the machine
);

CREATE INDEX training_events_by_time ON training_events (time);

-- Programs, their seats and waitlists, and the log of what happened.
--
-- The row of a program is the lock of its registrations: each transaction that changes one of them
-- updates that row first, so that the order of commits is the order of the queue.

CREATE TABLE programs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    sport TEXT NOT NULL,
    training_level TEXT NOT NULL,
    location TEXT NOT NULL,
    coach_id INTEGER, -- NULL: nobody is named
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    time_zone TEXT NOT NULL,
    registration_opens_at INTEGER, -- NULL: from its creation on
    registration_closes_at INTEGER, -- NULL: when it starts
    capacity INTEGER NOT NULL CHECK (capacity >= 0), -- 0: any number
    seats_taken INTEGER NOT NULL CHECK (seats_taken >= 0),
    waitlist_length INTEGER NOT NULL CHECK (waitlist_length >= 0),
    tickets_given INTEGER NOT NULL, -- so far, for its waitlist
    status TEXT NOT NULL CHECK (status IN ('active', 'cancelled')),
    version INTEGER NOT NULL, -- how often it was set
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT programs_never_oversold CHECK (capacity = 0 OR seats_taken <= capacity)
) STRICT;

-- No registration had a program so far; a reference can only be added with a new column.
ALTER TABLE registrations DROP COLUMN program_id;
ALTER TABLE registrations ADD COLUMN program_id INTEGER REFERENCES programs (id); -- NULL: for none
-- A smaller one is nearer to the head of the waitlist; NULL: it does not wait.
ALTER TABLE registrations ADD COLUMN waitlist_ticket INTEGER;

CREATE INDEX registrations_by_program ON registrations (program_id, id);
CREATE UNIQUE INDEX registrations_waiting ON registrations (program_id, waitlist_ticket);
-- A user has one live registration for a program.
CREATE UNIQUE INDEX registrations_live ON registrations (program_id, user_id)
    WHERE status <> 'cancelled';

-- The request ids of the last 24 hours, and what came of them.
CREATE TABLE program_requests (
    user_id INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL, -- of the rest of the request
    program_id INTEGER NOT NULL UNIQUE REFERENCES programs (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX program_requests_by_age ON program_requests (created_at);

-- Events are numbered in the order of commits: a transaction takes its numbers from event_counter,
-- and holds that row until it is committed.
CREATE TABLE event_counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO event_counter (id, last) VALUES (1, 0);

CREATE TABLE training_events (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    type TEXT NOT NULL,
    -- No foreign keys: an event outlives what it tells of.
    program_id INTEGER,
    registration_id INTEGER,
    user_id INTEGER, -- whose registration it is
    actor_id INTEGER -- NULL: the machine
) STRICT;

CREATE INDEX training_events_by_time ON training_events (time);

-- Programs, their seats and waitlists, and the log of what happened.
--
-- The row of a program is the lock of its registrations: each transaction that changes one of them
-- updates that row first, so that the order of commits is the order of the queue.

CREATE TABLE programs (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    title VARCHAR(200) NOT NULL,
    description TEXT NOT NULL,
    sport VARCHAR(100) NOT NULL,
    training_level VARCHAR(100) NOT NULL,
    location VARCHAR(200) NOT NULL,
    coach_id BIGINT, -- NULL: nobody is named
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    time_zone VARCHAR(64) NOT NULL,
    registration_opens_at BIGINT, -- NULL: from its creation on
    registration_closes_at BIGINT, -- NULL: when it starts
    capacity BIGINT NOT NULL CHECK (capacity >= 0), -- 0: any number
    seats_taken BIGINT NOT NULL CHECK (seats_taken >= 0),
    waitlist_length BIGINT NOT NULL CHECK (waitlist_length >= 0),
    tickets_given BIGINT NOT NULL, -- so far, for its waitlist
    status VARCHAR(16) NOT NULL CHECK (status IN ('active', 'cancelled')),
    version BIGINT NOT NULL, -- how often it was set
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT programs_never_oversold CHECK (capacity = 0 OR seats_taken <= capacity)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A smaller one is nearer to the head of the waitlist; NULL: it does not wait.
ALTER TABLE registrations ADD COLUMN waitlist_ticket BIGINT NULL;
CREATE INDEX registrations_by_program ON registrations (program_id, id);
CREATE UNIQUE INDEX registrations_waiting ON registrations (program_id, waitlist_ticket);
ALTER TABLE registrations ADD FOREIGN KEY (program_id) REFERENCES programs (id);
-- A user has one live registration for a program. (There are no partial indexes here.)
ALTER TABLE registrations ADD COLUMN live_program_id BIGINT
    GENERATED ALWAYS AS (CASE WHEN status = 'cancelled' THEN NULL ELSE program_id END) VIRTUAL;
CREATE UNIQUE INDEX registrations_live ON registrations (live_program_id, user_id);

-- The request ids of the last 24 hours, and what came of them.
CREATE TABLE program_requests (
    user_id BIGINT NOT NULL,
    request_id VARBINARY(64) NOT NULL, -- utf8mb4_bin takes 'a' and 'a ' for the same key
    fingerprint VARBINARY(32) NOT NULL, -- of the rest of the request
    program_id BIGINT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, request_id),
    FOREIGN KEY (program_id) REFERENCES programs (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX program_requests_by_age ON program_requests (created_at);

-- Events are numbered in the order of commits: a transaction takes its numbers from event_counter,
-- and holds that row until it is committed.
CREATE TABLE event_counter (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO event_counter (id, last) VALUES (1, 0);

CREATE TABLE training_events (
    sequence BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    type VARCHAR(32) NOT NULL,
    -- No foreign keys: an event outlives what it tells of.
    program_id BIGINT,
    registration_id BIGINT,
    user_id BIGINT, -- whose registration it is
    actor_id BIGINT -- NULL: the machine
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX training_events_by_time ON training_events (time);

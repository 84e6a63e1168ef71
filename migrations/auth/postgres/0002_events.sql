-- What happened, in the order in which it was committed: a transaction takes its number from
-- event_counter as its last step, and holds that row until it is committed.

CREATE TABLE event_counter (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
);

INSERT INTO event_counter (id, last) VALUES (1, 0);

CREATE TABLE events (
    sequence       BIGINT PRIMARY KEY,
    time           BIGINT NOT NULL,
    type           TEXT NOT NULL,
    -- No foreign keys: an event outlives what it tells of.
    user_id        BIGINT,
    actor_id       BIGINT,
    session_id     TEXT,
    -- The roles that a user has from now on.
    roles          BIGINT,
    client_address TEXT NOT NULL,
    detail         TEXT NOT NULL,
    -- Where it ends tokens: when the last of them has expired.
    revokes_until  BIGINT
);

CREATE INDEX events_by_user ON events (user_id, sequence);
CREATE INDEX events_by_type ON events (type, sequence);
CREATE INDEX events_by_time ON events (time);
CREATE INDEX events_by_revocation ON events (revokes_until, sequence);

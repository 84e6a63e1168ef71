-- Up to where the events of auth-service have been dealt with.
CREATE TABLE auth_events_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL
) STRICT;

INSERT INTO auth_events_cursor (id, sequence) VALUES (1, 0);

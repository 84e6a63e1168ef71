-- Up to where the events of auth-service have been dealt with.
CREATE TABLE auth_events_cursor (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL
);

INSERT INTO auth_events_cursor (id, sequence) VALUES (1, 0);

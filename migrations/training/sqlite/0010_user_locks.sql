-- Events are numbered by training_events.sequence itself, and no number is given twice, also if the
-- newest events have been deleted. What else event_counter was locked for, user_locks is on the
-- other databases; here the writer is alone.
CREATE TABLE numbered_events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    type TEXT NOT NULL,
    -- No foreign keys: an event outlives what it tells of.
    program_id INTEGER,
    registration_id INTEGER,
    user_id INTEGER, -- whose registration it is
    actor_id INTEGER -- NULL: the machine
) STRICT;

INSERT INTO numbered_events SELECT * FROM training_events;
DROP TABLE training_events;
ALTER TABLE numbered_events RENAME TO training_events;
CREATE INDEX training_events_by_time ON training_events (time);

DELETE FROM sqlite_sequence WHERE name = 'training_events';
INSERT INTO sqlite_sequence (name, seq) SELECT 'training_events', last FROM event_counter;
DROP TABLE event_counter;

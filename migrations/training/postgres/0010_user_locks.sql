-- Events are numbered by the database: those of a program, whose row is locked when an event of it
-- is written, in the order of commits; others in any.
ALTER TABLE training_events ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(
    pg_get_serial_sequence('training_events', 'sequence'),
    (SELECT last + 1 FROM event_counter),
    false
);
DROP TABLE event_counter;

-- Whoever registers a user, or notes that one is gone, first locks the row of that user's id modulo
-- their number.
CREATE TABLE user_locks (
    slot BIGINT PRIMARY KEY
);

INSERT INTO user_locks (slot) SELECT generate_series(0, 1023);

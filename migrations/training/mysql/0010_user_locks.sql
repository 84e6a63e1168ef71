-- Events are numbered by the database: those of a program, whose row is locked when an event of it
-- is written, in the order of commits; others in any.
ALTER TABLE training_events MODIFY COLUMN sequence BIGINT NOT NULL AUTO_INCREMENT;
DROP TABLE event_counter;

-- Whoever registers a user, or notes that one is gone, first locks the row of that user's id modulo
-- their number.
CREATE TABLE user_locks (
    slot BIGINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- From 0 to 1023, in two digits: a recursion ends after a thousand steps.
INSERT INTO user_locks (slot)
    WITH RECURSIVE digits AS (SELECT 0 AS digit UNION ALL SELECT digit + 1 FROM digits WHERE digit < 31)
    SELECT 32 * high.digit + low.digit FROM digits high CROSS JOIN digits low;

-- Events are numbered by training_events.sequence itself, as an INTEGER PRIMARY KEY is. What else
-- this row was locked for, user_locks is on the other databases; here the writer is alone.
DROP TABLE event_counter;

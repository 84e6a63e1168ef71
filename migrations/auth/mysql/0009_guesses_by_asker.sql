-- Guesses of the client that asked for a code are counted apart: `attempts` are those of all others.

-- A keyed hash of that client's network; NULL where it is not known.
ALTER TABLE password_resets ADD COLUMN asker_key VARBINARY(32);
ALTER TABLE password_resets ADD COLUMN asker_attempts BIGINT NOT NULL DEFAULT 0;

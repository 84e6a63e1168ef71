-- A key's slot is 'next' (published, signs later), 'active' (signs) or NULL (retired: trusted until
-- its last token has expired).

ALTER TABLE signing_keys ADD COLUMN active_since INTEGER;
ALTER TABLE signing_keys ADD COLUMN retired_at INTEGER;
-- The longest life, in microseconds, of a token that it signs: how long it outlives retired_at.
ALTER TABLE signing_keys ADD COLUMN token_ttl INTEGER NOT NULL DEFAULT 0;

UPDATE signing_keys SET active_since = created_at WHERE slot = 'active';
UPDATE signing_keys SET retired_at = created_at WHERE slot IS NULL;

-- Counts the changes of signing_keys. Whoever changes that table locks this row first.
CREATE TABLE signing_key_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO signing_key_version (id, version) VALUES (1, 0);

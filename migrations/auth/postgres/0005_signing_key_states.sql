-- A key's slot is 'next' (published, signs later), 'active' (signs) or NULL (retired: trusted until
-- its last token has expired).

ALTER TABLE signing_keys ADD COLUMN active_since BIGINT;
ALTER TABLE signing_keys ADD COLUMN retired_at BIGINT;
-- The longest life, in microseconds, of a token that it signs: how long it outlives retired_at.
ALTER TABLE signing_keys ADD COLUMN token_ttl BIGINT NOT NULL DEFAULT 0;

UPDATE signing_keys SET active_since = created_at WHERE slot = 'active';
UPDATE signing_keys SET retired_at = created_at WHERE slot IS NULL;

-- Counts the changes of signing_keys. Whoever changes that table locks this row first.
CREATE TABLE signing_key_version (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);

INSERT INTO signing_key_version (id, version) VALUES (1, 0);

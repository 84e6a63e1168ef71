-- What a password hash costs to verify, cut out of the hash itself: all before its salt. Salts and
-- keys hold no `$` (see passwords/stored.rs).

ALTER TABLE users ADD COLUMN password_scheme VARCHAR(512) GENERATED ALWAYS AS (
    CASE
        -- bcrypt: $2b$12$, and then salt and key in one.
        WHEN password_hash LIKE '$2_$%' THEN LEFT(password_hash, 6)
        ELSE LEFT(password_hash, CHAR_LENGTH(password_hash)
            - CHAR_LENGTH(SUBSTRING_INDEX(password_hash, '$', -2)) - 1)
    END
) VIRTUAL;

CREATE INDEX users_by_password_scheme ON users (password_scheme);

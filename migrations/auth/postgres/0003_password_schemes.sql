-- What a password hash costs to verify, cut out of the hash itself: all before its salt. Salts and
-- keys hold nothing but the characters that are cut off here (see passwords/stored.rs).

ALTER TABLE users ADD COLUMN password_scheme TEXT GENERATED ALWAYS AS (
    CASE
        -- bcrypt: $2b$12$, and then salt and key in one.
        WHEN password_hash LIKE '$2_$%' THEN substr(password_hash, 1, 6)
        ELSE rtrim(rtrim(rtrim(rtrim(password_hash,
            'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./+=_-'), '$'),
            'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./+=_-'), '$')
    END
) STORED;

CREATE INDEX users_by_password_scheme ON users (password_scheme);

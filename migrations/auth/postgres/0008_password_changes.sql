-- How often the password was replaced: device tokens carry it, and older ones are void.

ALTER TABLE users ADD COLUMN password_changes BIGINT NOT NULL DEFAULT 0;

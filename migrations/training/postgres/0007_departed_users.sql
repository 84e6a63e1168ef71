-- Whose accounts were deleted of late: they register for nothing more, whatever token they hold.
CREATE TABLE departed_users (
    user_id BIGINT PRIMARY KEY,
    departed_at BIGINT NOT NULL
);

CREATE INDEX departed_users_by_time ON departed_users (departed_at);

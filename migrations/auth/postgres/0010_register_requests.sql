-- Which `request_id` of Register made which account.

CREATE TABLE register_requests (
    -- A keyed hash of the `request_id`.
    request_key BYTEA PRIMARY KEY,
    -- A keyed hash of the rest of the request, without the password.
    body_hash   BYTEA NOT NULL,
    user_id     BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL
);

CREATE INDEX register_requests_by_user ON register_requests (user_id);
CREATE INDEX register_requests_by_time ON register_requests (created_at);

-- Which `request_id` of Register made which account.

CREATE TABLE register_requests (
    -- A keyed hash of the `request_id`.
    request_key VARBINARY(32) PRIMARY KEY,
    -- A keyed hash of the rest of the request, without the password.
    body_hash   VARBINARY(32) NOT NULL,
    user_id     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX register_requests_by_time ON register_requests (created_at);

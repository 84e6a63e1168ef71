-- Times are microseconds since 1970 UTC.

CREATE TABLE registrations (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    sport VARCHAR(100) NOT NULL,
    training_level VARCHAR(100) NOT NULL,
    registered_at BIGINT NOT NULL,
    program_id BIGINT NULL, -- NULL: it is for none
    status VARCHAR(16) NOT NULL CHECK (status IN ('confirmed', 'waitlisted', 'cancelled'))
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX registrations_by_user ON registrations (user_id, id);

-- The request ids of the last 24 hours, and what came of them.
CREATE TABLE registration_requests (
    user_id BIGINT NOT NULL,
    request_id VARBINARY(64) NOT NULL, -- utf8mb4_bin takes 'a' and 'a ' for the same key
    fingerprint VARBINARY(32) NOT NULL, -- of the rest of the request
    registration_id BIGINT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, request_id),
    FOREIGN KEY (registration_id) REFERENCES registrations (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX registration_requests_by_age ON registration_requests (created_at);

-- Who has to be told what: from here, once auth-service has given the address, into the queue of
-- mails.

CREATE TABLE notices (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    type VARCHAR(32) NOT NULL CHECK (type IN ('promoted', 'program_cancelled')),
    program_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    FOREIGN KEY (program_id) REFERENCES programs (id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- As in the database of auth-service.
CREATE TABLE mails (
    -- Random; part of the Message-ID.
    id         VARCHAR(32) PRIMARY KEY,
    -- Recipient, subject and text, sealed under the secret key.
    sealed     MEDIUMBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    -- From when on it is worthless.
    not_after  BIGINT NOT NULL,
    -- When it may be tried; while it is, when another may try.
    due_at     BIGINT NOT NULL,
    tries      BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX mails_by_due ON mails (due_at, id);

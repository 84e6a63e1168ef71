-- Failed sign-ins. A row is there only while there is something to remember.

CREATE TABLE lockouts (
    -- user:<id>, device:<user id>:<device id>, or unknown:<HMAC of what was typed>.
    subject      TEXT PRIMARY KEY,
    -- Whose account or device it is. No foreign key: counting must not lock the user's row, and
    -- what is left of a deleted user is forgotten within a day or two.
    user_id      BIGINT,
    -- In a row, and settled.
    failures     BIGINT NOT NULL,
    -- Attempts whose password is being hashed.
    in_flight    BIGINT NOT NULL,
    -- In a row: each lasts longer than the one before.
    locks        BIGINT NOT NULL,
    -- 0: not locked.
    locked_until BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

CREATE INDEX lockouts_by_user ON lockouts (user_id, updated_at);
CREATE INDEX lockouts_by_update ON lockouts (updated_at);

-- Failures from one client address within a window that begins with the first of them.

CREATE TABLE address_failures (
    -- What failed: 'sign-in' or 'registration'.
    action         TEXT NOT NULL,
    -- An IPv4 address or the /64 of an IPv6 address.
    address        TEXT NOT NULL,
    failures       BIGINT NOT NULL,
    window_ends_at BIGINT NOT NULL,
    PRIMARY KEY (action, address)
);

CREATE INDEX address_failures_by_end ON address_failures (window_ends_at);

-- Sealed under the secret key that mails are sealed under: a process with another one is refused.
CREATE TABLE secret_key_check (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

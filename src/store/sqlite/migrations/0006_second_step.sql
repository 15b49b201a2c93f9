-- The second step of a sign-in, of those who have turned it on.
CREATE TABLE second_steps (
    user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Sealed by the key file, under a fresh nonce: no two are the same.
    secret  BLOB NOT NULL UNIQUE,
    since   INTEGER NOT NULL,
    -- The last time step whose code was used; no earlier one is good any more.
    spent   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Codes that are good once in place of one from the device; gone when used.
CREATE TABLE recovery_codes (
    -- SHA-256 of user and code.
    digest  BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    user_id TEXT NOT NULL REFERENCES second_steps (user_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

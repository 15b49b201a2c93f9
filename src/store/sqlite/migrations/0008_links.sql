-- Links that are sent by mail.
CREATE TABLE links (
    -- SHA-256 of the token.
    digest  BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL CHECK (kind IN ('restore', 'invitation', 'address')),
    -- Where it was sent.
    address TEXT NOT NULL,
    -- The authorization request to go on with.
    query   TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One live link sets a user's password, and one confirms the address.
CREATE UNIQUE INDEX links_user ON links (user_id, kind = 'address');
CREATE INDEX links_expires ON links (expires);

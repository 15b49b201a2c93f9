INSERT INTO changes (topic, version) VALUES ('users', 0);

CREATE TABLE users (
    id                   TEXT PRIMARY KEY NOT NULL,
    login                TEXT NOT NULL,
    -- The login without regard to case.
    folded_login         TEXT NOT NULL UNIQUE,
    name                 TEXT NOT NULL,
    email                TEXT,
    email_verified       INTEGER CHECK (email_verified IN (0, 1)),
    -- PHC form, or bcrypt's own.
    password_hash        TEXT,
    password_set         INTEGER,
    password_must_change INTEGER CHECK (password_must_change IN (0, 1)),
    ban_reason           TEXT,
    banned_since         INTEGER,
    guest                INTEGER NOT NULL CHECK (guest IN (0, 1)),
    administrator        INTEGER NOT NULL CHECK (administrator IN (0, 1)),
    declared             INTEGER NOT NULL CHECK (declared IN (0, 1)),
    created              INTEGER NOT NULL,
    updated              INTEGER NOT NULL,
    -- The change counter of users when this one last changed.
    version              INTEGER NOT NULL,
    CHECK ((email IS NULL) = (email_verified IS NULL)),
    CHECK ((password_hash IS NULL) = (password_set IS NULL)),
    CHECK ((password_hash IS NULL) = (password_must_change IS NULL)),
    CHECK ((ban_reason IS NULL) = (banned_since IS NULL))
) STRICT;

CREATE INDEX users_version ON users (version);

-- There is one guest.
CREATE UNIQUE INDEX users_guest ON users (guest) WHERE guest = 1;

-- What somebody may type to sign in, without regard to case: each user's login, e-mail address and id. One key for all
-- three, so that no user's login can be another's address.
CREATE TABLE user_names (
    name    TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX user_names_user ON user_names (user_id);

-- Who is gone, and the change counter of users when that happened.
CREATE TABLE removed_users (
    id      TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX removed_users_version ON removed_users (version);

CREATE TABLE user_groups (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    folded_name TEXT NOT NULL UNIQUE,
    description TEXT,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX memberships_group ON memberships (group_id);

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY NOT NULL,
    -- SHA-256 of the cookie's value.
    digest        BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    authenticated INTEGER NOT NULL,
    used          INTEGER NOT NULL,
    remember      INTEGER NOT NULL CHECK (remember IN (0, 1)),
    user_agent    TEXT NOT NULL,
    address       TEXT NOT NULL
) STRICT;

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_used ON sessions (used);
CREATE INDEX sessions_authenticated ON sessions (authenticated);

-- A code is the grant that it will become.
CREATE TABLE codes (
    -- SHA-256 of the code.
    digest           BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    grant_id         TEXT NOT NULL UNIQUE,
    -- No reference: the gateway's own service is in no table.
    client           TEXT NOT NULL,
    user_id          TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- JSON object.
    scope            TEXT NOT NULL,
    -- No reference: what a session granted outlives its record. NULL where there was none.
    session          TEXT,
    authenticated    INTEGER NOT NULL,
    nonce            TEXT,
    created          INTEGER NOT NULL,
    redirect_uri     TEXT,
    challenge_method TEXT,
    challenge        TEXT,
    offline          INTEGER NOT NULL CHECK (offline IN (0, 1)),
    expires          INTEGER NOT NULL,
    used             INTEGER NOT NULL DEFAULT 0 CHECK (used IN (0, 1)),
    CHECK ((challenge IS NULL) = (challenge_method IS NULL))
) STRICT;

CREATE INDEX codes_user ON codes (user_id, client);
CREATE INDEX codes_client ON codes (client);
CREATE INDEX codes_session ON codes (session) WHERE session IS NOT NULL;
CREATE INDEX codes_expires ON codes (expires);

-- Grants that have a refresh token; the columns are those of codes.
CREATE TABLE grants (
    id            TEXT PRIMARY KEY NOT NULL,
    client        TEXT NOT NULL,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    scope         TEXT NOT NULL,
    session       TEXT,
    authenticated INTEGER NOT NULL,
    nonce         TEXT,
    created       INTEGER NOT NULL
) STRICT;

CREATE INDEX grants_user ON grants (user_id, client);
CREATE INDEX grants_client ON grants (client);
CREATE INDEX grants_session ON grants (session) WHERE session IS NOT NULL;

CREATE TABLE refresh_tokens (
    -- SHA-256 of the token.
    digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    created  INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    -- NULL while it is live.
    spent    INTEGER,
    -- What its use was answered with, sealed under the token; NULL once that is forgotten.
    answer   BLOB,
    CHECK (answer IS NULL OR spent IS NOT NULL)
) STRICT;

CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id, spent);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);
CREATE INDEX refresh_tokens_answered ON refresh_tokens (spent) WHERE answer IS NOT NULL;

CREATE TABLE consents (
    id       TEXT PRIMARY KEY NOT NULL,
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client   TEXT NOT NULL,
    -- JSON arrays.
    services TEXT NOT NULL,
    claims   TEXT NOT NULL,
    given    INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    UNIQUE (user_id, client)
) STRICT;

CREATE INDEX consents_client ON consents (client);
CREATE INDEX consents_expires ON consents (expires);

CREATE TABLE rejected_redirects (
    -- Grows with every entry, so that of two with the same time the later is known.
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    uri        TEXT NOT NULL,
    tried_from TEXT NOT NULL,
    tried_at   INTEGER NOT NULL,
    UNIQUE (service_id, uri)
) STRICT;

CREATE INDEX rejected_redirects_latest ON rejected_redirects (service_id, tried_at, number);

-- The same table for more kinds; a CHECK cannot be altered.
CREATE TABLE more_revocations (
    kind    TEXT NOT NULL CHECK (kind IN ('token', 'grant', 'session', 'client', 'user', 'consent')),
    -- The 16 bytes of a jti, or an id in UTF-8; of a consent the user's and the client's, a blank between.
    target  BLOB NOT NULL,
    revoked INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (kind, target)
) STRICT, WITHOUT ROWID;

INSERT INTO more_revocations (kind, target, revoked, expires) SELECT kind, target, revoked, expires FROM revocations;
DROP TABLE revocations;
ALTER TABLE more_revocations RENAME TO revocations;

CREATE INDEX revocations_expires ON revocations (expires);

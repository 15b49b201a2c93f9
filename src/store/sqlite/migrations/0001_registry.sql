-- Marks the file as hubgate's ("hubg"), so that no other program's database is ever migrated by mistake.
PRAGMA application_id = 1752523367;

-- What a running gateway polls to learn that another process has written.
CREATE TABLE changes (
    topic   TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO changes (topic, version) VALUES ('services', 0), ('keys', 0), ('revocations', 0);

-- Times are milliseconds since 1970-01-01T00:00:00Z everywhere.
CREATE TABLE services (
    id                    TEXT PRIMARY KEY NOT NULL,
    name                  TEXT NOT NULL,
    -- The name without regard to case; NOCASE would know ASCII only.
    folded_name           TEXT NOT NULL UNIQUE,
    trusted               INTEGER NOT NULL CHECK (trusted IN (0, 1)),
    consent_required      INTEGER NOT NULL CHECK (consent_required IN (0, 1)),
    public                INTEGER NOT NULL CHECK (public IN (0, 1)),
    pkce_required         INTEGER NOT NULL CHECK (pkce_required IN (0, 1)),
    rotate_refresh_tokens INTEGER NOT NULL CHECK (rotate_refresh_tokens IN (0, 1)),
    -- JSON array of grant types.
    flows                 TEXT NOT NULL,
    declared              INTEGER NOT NULL CHECK (declared IN (0, 1)),
    -- JSON object; nothing in it is searched for or grants anything.
    profile               TEXT NOT NULL,
    created               INTEGER NOT NULL,
    updated               INTEGER NOT NULL
) STRICT;

CREATE TABLE service_secrets (
    service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    -- 0 is the first in the record's list.
    position   INTEGER NOT NULL,
    -- SHA-256.
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    created    INTEGER NOT NULL,
    -- NULL for the current secret.
    expires    INTEGER,
    PRIMARY KEY (service_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    id            TEXT PRIMARY KEY NOT NULL,
    algorithm     TEXT NOT NULL,
    -- The PKCS #8 document under the sealing key.
    sealed        BLOB NOT NULL,
    created       INTEGER NOT NULL,
    -- NULL while the key is active.
    retired_until INTEGER
) STRICT;

-- One active key of an algorithm, whatever a transaction attempts.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (algorithm) WHERE retired_until IS NULL;

CREATE TABLE revocations (
    kind    TEXT NOT NULL CHECK (kind IN ('token', 'client')),
    -- The 16 bytes of a jti, or a service's id in UTF-8.
    target  BLOB NOT NULL,
    revoked INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (kind, target)
) STRICT, WITHOUT ROWID;

CREATE INDEX revocations_expires ON revocations (expires);

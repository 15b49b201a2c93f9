INSERT INTO changes (topic, version) VALUES ('credentials', 0);

-- What people make for programs.
CREATE TABLE credentials (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    kind       TEXT NOT NULL CHECK (kind IN ('permanent_token', 'application_password')),
    -- SHA-256 of the whole text as it was issued.
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- No reference: what somebody has made for another outlives its author.
    author     TEXT NOT NULL,
    name       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    used       INTEGER,
    -- Address and user agent of the last use; NULL where they are not noted.
    used_from  TEXT,
    used_agent TEXT,
    -- The change counter of credentials when this one last changed.
    version    INTEGER NOT NULL,
    CHECK ((used_from IS NULL) = (used_agent IS NULL))
) STRICT;

CREATE INDEX credentials_user ON credentials (user_id, kind);
CREATE INDEX credentials_version ON credentials (version);

-- The scope of a permanent token.
CREATE TABLE credential_services (
    credential BLOB NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    -- No reference: the gateway's own service is in no table.
    service    TEXT NOT NULL,
    PRIMARY KEY (credential, service)
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_services_service ON credential_services (service);

-- What is gone, and the change counter of credentials when that happened.
CREATE TABLE removed_credentials (
    digest  BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX removed_credentials_version ON removed_credentials (version);

-- A trigger, so that whatever takes a credential away, a cascade too, is heard of at the gate.
CREATE TRIGGER credentials_removed AFTER DELETE ON credentials
BEGIN
    UPDATE changes SET version = version + 1 WHERE topic = 'credentials';
    INSERT OR REPLACE INTO removed_credentials (digest, version)
    SELECT OLD.digest, version FROM changes WHERE topic = 'credentials';
END;

-- The audit log. Its order is that of the transactions: each event is written under the write lock, in the transaction of
-- what it is about.
CREATE TABLE audit_events (
    -- 1, 2, 3 without gaps.
    sequence    INTEGER PRIMARY KEY NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id   TEXT NOT NULL,
    -- The user whom it concerns. No reference: the log outlives what it is about.
    owner       TEXT,
    author_kind TEXT NOT NULL,
    author_id   TEXT,
    -- SHA-256 of salt and content: the hash covers the content by this alone, so that it can be erased.
    digest      BLOB NOT NULL CHECK (length(digest) = 32),
    -- SHA-256 of the hash of the event before and of everything above.
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    salt        BLOB,
    -- JSON object of what may be personal: presentations, changes, request, source. NULL once it was erased.
    content     TEXT,
    CHECK ((salt IS NULL) = (content IS NULL))
) STRICT;

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_kind ON audit_events (kind);
CREATE INDEX audit_events_target ON audit_events (target_id);
CREATE INDEX audit_events_owner ON audit_events (owner) WHERE owner IS NOT NULL;
CREATE INDEX audit_events_author ON audit_events (author_id) WHERE author_id IS NOT NULL;

-- Also against INSERT OR REPLACE, which deletes without a trigger.
CREATE TRIGGER audit_events_grow BEFORE INSERT ON audit_events
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM audit_events)
BEGIN
    SELECT raise(ABORT, 'the audit log only grows at its end');
END;

CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
WHEN NEW.content IS NOT NULL OR NEW.salt IS NOT NULL
    OR NEW.sequence IS NOT OLD.sequence OR NEW.at IS NOT OLD.at OR NEW.kind IS NOT OLD.kind
    OR NEW.target_kind IS NOT OLD.target_kind OR NEW.target_id IS NOT OLD.target_id OR NEW.owner IS NOT OLD.owner
    OR NEW.author_kind IS NOT OLD.author_kind OR NEW.author_id IS NOT OLD.author_id
    OR NEW.digest IS NOT OLD.digest OR NEW.hash IS NOT OLD.hash
BEGIN
    SELECT raise(ABORT, 'an event of the audit log can only be erased');
END;

CREATE TRIGGER audit_events_last BEFORE DELETE ON audit_events
BEGIN
    SELECT raise(ABORT, 'the audit log keeps every event');
END;

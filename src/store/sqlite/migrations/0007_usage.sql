-- When each service was last active. Apart from the service, because noting it is no change of it.
CREATE TABLE service_uses (
    service_id  TEXT PRIMARY KEY NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    -- NULL where it never was.
    as_client   INTEGER,
    as_resource INTEGER
) STRICT, WITHOUT ROWID;

-- Which service obtained tokens for which other, and when last.
CREATE TABLE service_links (
    client   TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    -- No reference: the gateway's own service is in no table.
    resource TEXT NOT NULL,
    asked    INTEGER NOT NULL,
    PRIMARY KEY (client, resource)
) STRICT, WITHOUT ROWID;

CREATE INDEX service_links_resource ON service_links (resource);

CREATE TRIGGER service_links_removed AFTER DELETE ON services
BEGIN
    DELETE FROM service_links WHERE resource = OLD.id;
END;

-- The services in the scope of each grant that has a refresh token.
CREATE TABLE grant_services (
    service  TEXT NOT NULL,
    -- As the grant's, so that those of a service come in its order.
    created  INTEGER NOT NULL,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    PRIMARY KEY (service, created, grant_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX grant_services_grant ON grant_services (grant_id);

INSERT INTO grant_services (service, created, grant_id)
SELECT DISTINCT s.value, g.created, g.id FROM grants g, json_each(g.scope, '$.services') s;

-- A trigger, because grants come into being in more than one way.
CREATE TRIGGER grants_added AFTER INSERT ON grants
BEGIN
    INSERT OR IGNORE INTO grant_services (service, created, grant_id)
    SELECT value, NEW.created, NEW.id FROM json_each(NEW.scope, '$.services');
END;

-- In the order of time, for lists that begin with the newest.
CREATE INDEX credentials_kind ON credentials (kind, created);
DROP INDEX consents_client;
CREATE INDEX consents_client ON consents (client, given);

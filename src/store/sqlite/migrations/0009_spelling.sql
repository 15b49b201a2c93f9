-- Names whose spelling without regard to case was made by an older rule. The start makes it anew (refold.rs): SQLite does not
-- know the rule. A name of ASCII alone is spelled as it was.
CREATE TABLE refold (
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group', 'service')),
    id   TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

INSERT INTO refold SELECT 'service', id FROM services WHERE name GLOB '*[^ -~]*';
INSERT INTO refold SELECT 'group', id FROM user_groups WHERE name GLOB '*[^ -~]*';
INSERT INTO refold SELECT 'user', id FROM users WHERE login || coalesce(email, '') || name GLOB '*[^ -~]*';

-- What searches look at is filled in where it is missing.
UPDATE user_groups SET words = NULL WHERE id IN (SELECT id FROM refold WHERE kind = 'group');
UPDATE users SET folded_name = NULL WHERE id IN (SELECT id FROM refold WHERE kind = 'user');
DELETE FROM user_words WHERE user_id IN (SELECT id FROM refold WHERE kind = 'user');

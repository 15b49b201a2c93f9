-- Name and address without regard to case. NULL in a row that an older version has written; the start fills them in.
ALTER TABLE users ADD COLUMN folded_name TEXT;
ALTER TABLE users ADD COLUMN folded_email TEXT;
ALTER TABLE users ADD COLUMN ban_badge TEXT;
ALTER TABLE users ADD COLUMN avatar_url TEXT;
ALTER TABLE users ADD COLUMN locale TEXT;
-- When the personal data was taken out.
ALTER TABLE users ADD COLUMN erased INTEGER;

UPDATE users SET ban_badge = '' WHERE banned_since IS NOT NULL;

-- With the login behind, so that equal ones come in its order.
CREATE INDEX users_name ON users (folded_name, folded_login);
CREATE INDEX users_email ON users (folded_email, folded_login);
CREATE INDEX users_created ON users (created, folded_login);
CREATE INDEX users_banned ON users (banned_since) WHERE banned_since IS NOT NULL;
CREATE INDEX users_administrator ON users (administrator) WHERE administrator = 1;

-- The words of each user's login, name and address without regard to case.
CREATE TABLE user_words (
    word    TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (word, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_words_user ON user_words (user_id);

-- The last access of each user. Apart from the user, because noting it is no change of the user.
CREATE TABLE user_accesses (
    user_id    TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    time       INTEGER NOT NULL,
    address    TEXT NOT NULL,
    user_agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX user_accesses_time ON user_accesses (time);

ALTER TABLE user_groups ADD COLUMN icon_url TEXT;
-- The words of its name, a blank before each; groups are few. NULL as above.
ALTER TABLE user_groups ADD COLUMN words TEXT;
ALTER TABLE user_groups ADD COLUMN parent TEXT REFERENCES user_groups (id) ON DELETE SET NULL;
ALTER TABLE user_groups ADD COLUMN auto_join INTEGER NOT NULL DEFAULT 0 CHECK (auto_join IN (0, 1));
ALTER TABLE user_groups ADD COLUMN all_users INTEGER NOT NULL DEFAULT 0 CHECK (all_users IN (0, 1));

CREATE INDEX user_groups_parent ON user_groups (parent, folded_name);
CREATE INDEX user_groups_auto_join ON user_groups (auto_join) WHERE auto_join = 1;

-- There is one group of all users.
CREATE UNIQUE INDEX user_groups_all_users ON user_groups (all_users) WHERE all_users = 1;

-- Each group with itself and every group above it.
CREATE TABLE group_nesting (
    group_id TEXT NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    above    TEXT NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, above)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_nesting_above ON group_nesting (above);

INSERT INTO group_nesting (group_id, above) SELECT id, id FROM user_groups;

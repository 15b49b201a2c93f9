//! Users: whom somebody means who signs in, and what the gate has to hear.
//!
//! Invariant: what one user may type to sign in, no other may; a user carries the value of the change counter at which
//! it last changed, and whoever is removed leaves theirs behind.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore,
    changes::{Topic, count, version},
    errors::store_error,
    record::Record,
    revocations,
};
use crate::{
    base::id::{GroupId, UserId},
    model::{
        revocation::Revocation,
        user::{Ban, Email, Password, Person, User},
    },
    store::{
        Result, StoreError,
        name::folded,
        people::{ChangeUser, People, UserStore},
    },
};

const WHAT: &str = "user";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.login, u.name, u.email, u.email_verified, u.password_hash, u.password_set,
                    u.password_must_change, u.ban_reason, u.banned_since, u.guest, u.administrator, u.declared,
                    u.created, u.updated,
                    (SELECT json_group_array(m.group_id) FROM memberships m WHERE m.user_id = u.id) AS member_of
             FROM users u ",
            $rest
        )
    };
}
pub(super) use select;

pub(super) fn read(row: &SqliteRow) -> Result<User> {
    let record = Record::of(row, WHAT)?;
    let mut groups: Vec<GroupId> = record.json("member_of")?;
    groups.sort();
    Ok(User {
        id: read_id(&record)?,
        login: record.get("login")?,
        name: record.get("name")?,
        email: read_email(&record)?,
        password: match record.get("password_hash")? {
            None => None,
            Some(hash) => Some(Password {
                hash,
                set: record.time("password_set")?,
                must_change: record.flag("password_must_change")?,
            }),
        },
        ban: match record.get("ban_reason")? {
            None => None,
            Some(reason) => Some(Ban { reason, since: record.time("banned_since")? }),
        },
        guest: record.flag("guest")?,
        administrator: record.flag("administrator")?,
        groups,
        declared: record.flag("declared")?,
        created: record.time("created")?,
        updated: record.time("updated")?,
    })
}

fn read_person(row: &SqliteRow) -> Result<Person> {
    let record = Record::of(row, WHAT)?;
    let mut groups: Vec<String> = record.json("member_of")?;
    groups.sort();
    Ok(Person {
        id: read_id(&record)?,
        login: record.get("login")?,
        name: record.get("name")?,
        email: read_email(&record)?,
        groups,
        banned: record.optional_time("banned_since")?.is_some(),
        guest: record.flag("guest")?,
        administrator: record.flag("administrator")?,
    })
}

fn read_id(record: &Record<'_>) -> Result<UserId> {
    UserId::parse(record.id()).map_err(|e| record.damaged("id", e))
}

fn read_email(record: &Record<'_>) -> Result<Option<Email>> {
    let Some(address) = record.get("email")? else { return Ok(None) };
    Ok(Some(Email { address, verified: record.flag("email_verified")? }))
}

/// The user with this id, as `connection` sees it.
pub(super) async fn find(connection: &mut SqliteConnection, id: &UserId) -> Result<Option<User>> {
    let row = sqlx::query(select!("WHERE u.id = ?1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(read).transpose()
}

/// What `user` may type to sign in, with the field that it comes from.
fn names(user: &User) -> impl Iterator<Item = (&'static str, String)> {
    let email = user.email.as_ref().map(|email| ("email", folded(&email.address)));
    [("id", folded(user.id.as_str())), ("login", folded(&user.login))].into_iter().chain(email)
}

/// Refuses what another user has already.
async fn refuse_conflict(connection: &mut SqliteConnection, user: &User) -> Result<()> {
    for (field, name) in names(user) {
        let taken: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM user_names WHERE name = ?1 AND user_id <> ?2")
                .bind(name)
                .bind(user.id.as_str())
                .fetch_optional(&mut *connection)
                .await
                .map_err(store_error)?;
        if taken.is_some() {
            return Err(StoreError::Conflict { what: WHAT, field });
        }
    }
    if !user.guest {
        return Ok(());
    }
    let taken: Option<i64> = sqlx::query_scalar("SELECT 1 FROM users WHERE guest = 1 AND id <> ?1")
        .bind(user.id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    if taken.is_some() { Err(StoreError::Conflict { what: WHAT, field: "guest" }) } else { Ok(()) }
}

/// Writes the user, who is new or replaces the one of the same id, with names and memberships.
async fn put(connection: &mut SqliteConnection, user: &User) -> Result<()> {
    refuse_conflict(connection, user).await?;
    let version = count(connection, Topic::Users).await?;
    sqlx::query(
        "INSERT INTO users (id, login, folded_login, name, email, email_verified, password_hash, password_set,
                            password_must_change, ban_reason, banned_since, guest, administrator, declared,
                            created, updated, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (id) DO UPDATE
         SET login = excluded.login, folded_login = excluded.folded_login, name = excluded.name,
             email = excluded.email, email_verified = excluded.email_verified,
             password_hash = excluded.password_hash, password_set = excluded.password_set,
             password_must_change = excluded.password_must_change, ban_reason = excluded.ban_reason,
             banned_since = excluded.banned_since, guest = excluded.guest,
             administrator = excluded.administrator, declared = excluded.declared,
             created = excluded.created, updated = excluded.updated, version = excluded.version",
    )
    .bind(user.id.as_str())
    .bind(user.login.as_str())
    .bind(folded(&user.login))
    .bind(user.name.as_str())
    .bind(user.email.as_ref().map(|email| email.address.as_str()))
    .bind(user.email.as_ref().map(|email| email.verified))
    .bind(user.password.as_ref().map(|password| password.hash.as_str()))
    .bind(user.password.as_ref().map(|password| password.set.millis()))
    .bind(user.password.as_ref().map(|password| password.must_change))
    .bind(user.ban.as_ref().map(|ban| ban.reason.as_str()))
    .bind(user.ban.as_ref().map(|ban| ban.since.millis()))
    .bind(user.guest)
    .bind(user.administrator)
    .bind(user.declared)
    .bind(user.created.millis())
    .bind(user.updated.millis())
    .bind(version)
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;

    sqlx::query(
        "DELETE FROM user_names WHERE user_id = ?1;
         DELETE FROM memberships WHERE user_id = ?1;
         DELETE FROM removed_users WHERE id = ?1",
    )
    .bind(user.id.as_str())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    for (_, name) in names(user) {
        // The login may be the address.
        sqlx::query("INSERT OR IGNORE INTO user_names (name, user_id) VALUES (?1, ?2)")
            .bind(name)
            .bind(user.id.as_str())
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    for group in &user.groups {
        let added = sqlx::query(
            "INSERT INTO memberships (user_id, group_id) SELECT ?1, id FROM user_groups WHERE id = ?2",
        )
        .bind(user.id.as_str())
        .bind(group.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
        if added.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "group" });
        }
    }
    Ok(())
}

async fn add(connection: &mut SqliteConnection, user: &User) -> Result<()> {
    if find(connection, &user.id).await?.is_some() {
        return Err(StoreError::Conflict { what: WHAT, field: "id" });
    }
    put(connection, &with_sorted_groups(user.clone())).await
}

fn with_sorted_groups(mut user: User) -> User {
    user.groups.sort();
    user.groups.dedup();
    user
}

async fn change(
    connection: &mut SqliteConnection,
    id: &UserId,
    change: ChangeUser<'_>,
    revocation: Option<&Revocation>,
) -> Result<User> {
    let before = find(connection, id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    let mut user = before.clone();
    change(&mut user);
    let user = with_sorted_groups(User { id: id.clone(), ..user });
    if user != before {
        put(connection, &user).await?;
    }
    if let Some(revocation) = revocation {
        revocations::record(connection, revocation).await?;
    }
    Ok(user)
}

async fn remove(connection: &mut SqliteConnection, id: &UserId, revocation: &Revocation) -> Result<()> {
    // Names, memberships, sessions, codes, grants and consents go with it.
    let removed = sqlx::query("DELETE FROM users WHERE id = ?1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    if removed.rows_affected() == 0 {
        return Err(StoreError::NotFound { what: WHAT });
    }
    let version = count(connection, Topic::Users).await?;
    sqlx::query("INSERT OR REPLACE INTO removed_users (id, version) VALUES (?1, ?2)")
        .bind(id.as_str())
        .bind(version)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    revocations::record(connection, revocation).await
}

#[async_trait]
impl UserStore for SqliteStore {
    async fn list_users(&self) -> Result<Vec<User>> {
        let rows = sqlx::query(select!("ORDER BY u.folded_login"))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<User>> {
        find(&mut *self.readers.acquire().await.map_err(store_error)?, id).await
    }

    async fn find_user_by_name(&self, name: &str) -> Result<Option<User>> {
        // Where the name is nobody's, whoever has the next one is read and left aside, so that the time does not tell.
        let name = folded(name);
        let row = sqlx::query(select!(
            "WHERE u.id = coalesce(
                 (SELECT n.user_id FROM user_names n WHERE n.name >= ?1 ORDER BY n.name LIMIT 1),
                 (SELECT n.user_id FROM user_names n WHERE n.name < ?1 ORDER BY n.name DESC LIMIT 1))"
        ))
        .bind(name.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        let user = row.as_ref().map(read).transpose()?;
        Ok(user.filter(|user| names(user).any(|(_, known)| known == name)))
    }

    async fn find_guest(&self) -> Result<Option<User>> {
        let row = sqlx::query(select!("WHERE u.guest = 1"))
            .fetch_optional(&self.readers)
            .await
            .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    }

    async fn add_user(&self, user: &User) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = add(tx.connection(), user).await;
        tx.settle(outcome).await
    }

    async fn change_user(
        &self,
        id: &UserId,
        alter: ChangeUser<'_>,
        revocation: Option<&Revocation>,
    ) -> Result<User> {
        let mut tx = self.writer.begin().await?;
        let outcome = change(tx.connection(), id, alter, revocation).await;
        tx.settle(outcome).await
    }

    async fn remove_user(&self, id: &UserId, revocation: &Revocation) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = remove(tx.connection(), id, revocation).await;
        tx.settle(outcome).await
    }

    async fn people(&self, since: i64) -> Result<People> {
        // One transaction, so that the number and what it counts are of one moment.
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let version = version(&mut tx, Topic::Users).await?;
        let since = if since > version { 0 } else { since };
        let changed = sqlx::query(
            "SELECT u.id, u.login, u.name, u.email, u.email_verified, u.banned_since, u.guest, u.administrator,
                    (SELECT json_group_array(g.name) FROM memberships m JOIN user_groups g ON g.id = m.group_id
                     WHERE m.user_id = u.id) AS member_of
             FROM users u WHERE u.version > ?1",
        )
        .bind(since)
        .fetch_all(&mut *tx)
        .await
        .map_err(store_error)?;
        let changed = changed.iter().map(read_person).collect::<Result<_>>()?;
        if since == 0 {
            return Ok(People { version, changed, removed: Vec::new() });
        }
        let removed = sqlx::query("SELECT id FROM removed_users WHERE version > ?1")
            .bind(since)
            .fetch_all(&mut *tx)
            .await
            .map_err(store_error)?;
        let removed = removed.iter().map(|row| read_id(&Record::of(row, "removed user")?));
        Ok(People { version, changed, removed: removed.collect::<Result<_>>()? })
    }
}

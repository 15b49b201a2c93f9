//! Users: whom somebody means who signs in, and what the gate has to hear.
//!
//! Invariant: what one user may type to sign in, no other may; a user carries the value of the change counter at which
//! it last changed, and whoever is removed leaves theirs behind.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count, version},
    errors::store_error,
    groups,
    record::Record,
    revocations, search, user_names,
};
use crate::{
    base::{
        id::{GroupId, UserId},
        time::Timestamp,
    },
    model::{
        event::{Author, EventKind},
        revocation::Revocation,
        user::{Ban, Email, Password, Person, User, UserProfile},
    },
    store::{
        Result, Rule, StoreError, described,
        name::folded,
        people::{ChangeUser, People, UserStore},
    },
};

const WHAT: &str = "user";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.login, u.name, u.email, u.email_verified, u.password_hash, u.password_set,
                    u.password_must_change, u.ban_reason, u.banned_since, u.ban_badge, u.guest, u.administrator,
                    u.declared, u.created, u.updated, u.avatar_url, u.locale, u.erased,
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
            Some(reason) => {
                Some(Ban { reason, since: record.time("banned_since")?, badge: record.get("ban_badge")? })
            }
        },
        guest: record.flag("guest")?,
        administrator: record.flag("administrator")?,
        groups,
        profile: UserProfile { avatar_url: record.get("avatar_url")?, locale: record.get("locale")? },
        erased: record.optional_time("erased")?,
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

/// Writes the user, who is new or replaces the one of the same id, with names and memberships.
async fn put(connection: &mut SqliteConnection, user: &User) -> Result<()> {
    user_names::refuse_conflict(connection, user).await?;
    let version = count(connection, Topic::Users).await?;
    sqlx::query(
        "INSERT INTO users (id, login, folded_login, name, email, email_verified, password_hash, password_set,
                            password_must_change, ban_reason, banned_since, guest, administrator, declared,
                            created, updated, version, folded_name, folded_email, ban_badge, avatar_url, locale, erased)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
                 ?23)
         ON CONFLICT (id) DO UPDATE
         SET login = excluded.login, folded_login = excluded.folded_login, name = excluded.name,
             email = excluded.email, email_verified = excluded.email_verified,
             password_hash = excluded.password_hash, password_set = excluded.password_set,
             password_must_change = excluded.password_must_change, ban_reason = excluded.ban_reason,
             banned_since = excluded.banned_since, guest = excluded.guest,
             administrator = excluded.administrator, declared = excluded.declared,
             created = excluded.created, updated = excluded.updated, version = excluded.version,
             folded_name = excluded.folded_name, folded_email = excluded.folded_email,
             ban_badge = excluded.ban_badge, avatar_url = excluded.avatar_url, locale = excluded.locale,
             erased = excluded.erased",
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
    .bind(folded(&user.name))
    .bind(user.email.as_ref().map(|email| folded(&email.address)))
    .bind(user.ban.as_ref().map(|ban| ban.badge.as_str()))
    .bind(user.profile.avatar_url.as_deref())
    .bind(user.profile.locale.as_deref())
    .bind(user.erased.map(Timestamp::millis))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;

    sqlx::query(
        "DELETE FROM user_names WHERE user_id = ?1;
         DELETE FROM user_words WHERE user_id = ?1;
         DELETE FROM memberships WHERE user_id = ?1;
         DELETE FROM removed_users WHERE id = ?1",
    )
    .bind(user.id.as_str())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    for (_, name) in user_names::names(user) {
        // The login may be the address.
        sqlx::query("INSERT OR IGNORE INTO user_names (name, user_id) VALUES (?1, ?2)")
            .bind(name)
            .bind(user.id.as_str())
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    let email = user.email.as_ref().map_or("", |email| &email.address);
    search::put_words(connection, user.id.as_str(), [&user.login, &user.name, email]).await?;
    for group in &user.groups {
        groups::refuse_all_users(connection, group).await?;
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

/// Refuses a change after which nobody could administer, if somebody can.
pub(super) async fn keep_an_administrator(
    connection: &mut SqliteConnection,
    before: &User,
    after: Option<&User>,
) -> Result<()> {
    if !before.may_administer() || after.is_some_and(User::may_administer) {
        return Ok(());
    }
    let another: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM users WHERE administrator = 1 AND banned_since IS NULL AND guest = 0 AND id <> ?1",
    )
    .bind(before.id.as_str())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    if another.is_some() { Ok(()) } else { Err(StoreError::Against(Rule::LastAdministrator)) }
}

async fn add(connection: &mut SqliteConnection, by: &Author, user: &User) -> Result<()> {
    if find(connection, &user.id).await?.is_some() {
        return Err(StoreError::Conflict { what: WHAT, field: "id" });
    }
    let mut user = user.clone();
    if !user.guest && !user.declared {
        user.groups.extend(groups::to_be_joined(connection).await?);
    }
    let user = with_sorted_groups(user);
    put(connection, &user).await?;
    audit::changed(connection, by, None, Some(&user)).await
}

fn with_sorted_groups(mut user: User) -> User {
    user.groups.sort();
    user.groups.dedup();
    user
}

pub(super) async fn change(
    connection: &mut SqliteConnection,
    by: &Author,
    id: &UserId,
    change: ChangeUser<'_>,
    revocation: Option<&Revocation>,
) -> Result<User> {
    let before = find(connection, id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    let mut user = before.clone();
    change(&mut user);
    let user = with_sorted_groups(User { id: id.clone(), ..user });
    keep_an_administrator(connection, &before, Some(&user)).await?;
    if user != before {
        put(connection, &user).await?;
        audit::changed(connection, by, Some(&before), Some(&user)).await?;
    }
    match revocation {
        // A revocation that no other event explains is one itself.
        Some(revocation) if described::events(Some(&before), Some(&user)).is_empty() => {
            revocations::record_told(connection, by, revocation, EventKind::TokenRevoked).await?;
        }
        Some(revocation) => revocations::record(connection, revocation).await?,
        None => {}
    }
    Ok(user)
}

pub(super) async fn remove(
    connection: &mut SqliteConnection,
    by: &Author,
    id: &UserId,
    revocation: &Revocation,
) -> Result<()> {
    let before = find(connection, id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    keep_an_administrator(connection, &before, None).await?;
    // Names, memberships, sessions, codes, grants and consents go with it.
    sqlx::query("DELETE FROM users WHERE id = ?1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    audit::changed(connection, by, Some(&before), None).await?;
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
        Ok(user.filter(|user| user_names::names(user).any(|(_, known)| known == name)))
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
        let outcome = add(tx.connection(), &self.author, user).await;
        tx.settle(outcome).await
    }

    async fn change_user(
        &self,
        id: &UserId,
        alter: ChangeUser<'_>,
        revocation: Option<&Revocation>,
    ) -> Result<User> {
        let mut tx = self.writer.begin().await?;
        let outcome = change(tx.connection(), &self.author, id, alter, revocation).await;
        tx.settle(outcome).await
    }

    async fn remove_user(&self, id: &UserId, revocation: &Revocation) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = remove(tx.connection(), &self.author, id, revocation).await;
        tx.settle(outcome).await
    }

    async fn people(&self, since: i64) -> Result<People> {
        // One transaction, so that the number and what it counts are of one moment.
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let version = version(&mut tx, Topic::Users).await?;
        let since = if since > version { 0 } else { since };
        let changed = sqlx::query(
            "SELECT u.id, u.login, u.name, u.email, u.email_verified, u.banned_since, u.guest, u.administrator,
                    (SELECT json_group_array(DISTINCT g.name) FROM memberships m
                     JOIN group_nesting n ON n.group_id = m.group_id JOIN user_groups g ON g.id = n.above
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

//! Groups of users.
//!
//! Invariant: what changes a group's name or place, or takes it away, changes those who are in it, in the same transaction.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count},
    errors::store_error,
    nesting,
    record::Record,
    users,
};
use crate::{
    base::id::GroupId,
    model::{
        event::Author,
        user::{Group, User},
    },
    store::{
        Result, Rule, StoreError,
        name::{folded, words},
        people::GroupStore,
    },
};

const WHAT: &str = "group";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT g.id, g.name, g.description, g.icon_url, g.parent, g.auto_join, g.all_users, g.created, g.updated
             FROM user_groups g ",
            $rest
        )
    };
}
pub(super) use select;

pub(super) fn read(row: &SqliteRow) -> Result<Group> {
    let record = Record::of(row, WHAT)?;
    let id = |field, text: &str| GroupId::parse(text).map_err(|e| record.damaged(field, e));
    let parent: Option<&str> = record.get("parent")?;
    Ok(Group {
        id: id("id", record.id())?,
        name: record.get("name")?,
        description: record.get("description")?,
        icon_url: record.get("icon_url")?,
        parent: parent.map(|parent| id("parent", parent)).transpose()?,
        auto_join: record.flag("auto_join")?,
        all_users: record.flag("all_users")?,
        created: record.time("created")?,
        updated: record.time("updated")?,
    })
}

pub(super) async fn find(connection: &mut SqliteConnection, id: &GroupId) -> Result<Option<Group>> {
    let row = sqlx::query(select!("WHERE g.id = ?1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(read).transpose()
}

/// The groups that new users are put into.
pub(super) async fn to_be_joined(connection: &mut SqliteConnection) -> Result<Vec<GroupId>> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM user_groups WHERE auto_join = 1")
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let parse =
        |id: &String| GroupId::parse(id).map_err(|e| StoreError::Damaged(format!("group {id:?}: {e}")));
    ids.iter().map(parse).collect()
}

/// Refuses what is not done with the group of all users.
pub(super) async fn refuse_all_users(connection: &mut SqliteConnection, id: &GroupId) -> Result<()> {
    let all_users: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM user_groups WHERE all_users = 1 AND id = ?1")
            .bind(id.as_str())
            .fetch_optional(connection)
            .await
            .map_err(store_error)?;
    if all_users.is_some() { Err(StoreError::Against(Rule::AllUsers)) } else { Ok(()) }
}

/// Refuses what another group has already, and what cannot be.
async fn refuse_conflict(connection: &mut SqliteConnection, group: &Group) -> Result<()> {
    let taken: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM user_groups WHERE folded_name = ?1 AND id <> ?2")
            .bind(folded(&group.name))
            .bind(group.id.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(store_error)?;
    if taken.is_some() {
        return Err(StoreError::Conflict { what: WHAT, field: "name" });
    }
    if !group.all_users {
        return Ok(());
    }
    if group.parent.is_some() || group.auto_join {
        return Err(StoreError::Against(Rule::AllUsers));
    }
    let taken: Option<i64> = sqlx::query_scalar("SELECT 1 FROM user_groups WHERE all_users = 1 AND id <> ?1")
        .bind(group.id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    if taken.is_some() { Err(StoreError::Conflict { what: WHAT, field: "all_users" }) } else { Ok(()) }
}

/// Writes the group, which is new or replaces the one of the same id.
async fn put(connection: &mut SqliteConnection, group: &Group) -> Result<()> {
    refuse_conflict(connection, group).await?;
    sqlx::query(
        "INSERT INTO user_groups (id, name, folded_name, description, created, updated, icon_url, auto_join, all_users,
                                  words)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, folded_name = excluded.folded_name, description = excluded.description,
             created = excluded.created, updated = excluded.updated, icon_url = excluded.icon_url,
             auto_join = excluded.auto_join, words = excluded.words",
    )
    .bind(group.id.as_str())
    .bind(group.name.as_str())
    .bind(folded(&group.name))
    .bind(group.description.as_deref())
    .bind(group.created.millis())
    .bind(group.updated.millis())
    .bind(group.icon_url.as_deref())
    .bind(group.auto_join)
    .bind(group.all_users)
    .bind(joined_words(&group.name))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    nesting::put_below(connection, &group.id, group.parent.as_ref()).await
}

/// The words of a name, a blank before each.
pub(super) fn joined_words(name: &str) -> String {
    words(name).fold(String::new(), |joined, word| joined + " " + &word)
}

async fn add(connection: &mut SqliteConnection, by: &Author, group: &Group) -> Result<()> {
    if find(connection, &group.id).await?.is_some() {
        return Err(StoreError::Conflict { what: WHAT, field: "id" });
    }
    put(connection, group).await?;
    audit::changed(connection, by, None, Some(group)).await?;
    count(connection, Topic::Users).await?;
    Ok(())
}

async fn update(connection: &mut SqliteConnection, by: &Author, group: &Group) -> Result<()> {
    let before = find(connection, &group.id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    let group = Group { all_users: before.all_users, ..group.clone() };
    let version = count(connection, Topic::Users).await?;
    put(connection, &group).await?;
    audit::changed(connection, by, Some(&before), Some(&group)).await?;
    if before.name == group.name && before.parent == group.parent {
        return Ok(());
    }
    mark_members(connection, &group.id, version).await
}

pub(super) async fn remove(connection: &mut SqliteConnection, by: &Author, id: &GroupId) -> Result<()> {
    refuse_all_users(connection, id).await?;
    let before = find(connection, id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    let version = count(connection, Topic::Users).await?;
    mark_members(connection, id, version).await?;
    nesting::take_out(connection, id).await?;
    sqlx::query("DELETE FROM user_groups WHERE id = ?1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    audit::changed(connection, by, Some(&before), None).await
}

/// Makes `version` the one at which those have changed who are in a group or in one below it.
pub(super) async fn mark_members(
    connection: &mut SqliteConnection,
    id: &GroupId,
    version: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE users SET version = ?2 WHERE id IN
         (SELECT m.user_id FROM group_nesting n JOIN memberships m ON m.group_id = n.group_id WHERE n.above = ?1)",
    )
    .bind(id.as_str())
    .bind(version)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl GroupStore for SqliteStore {
    async fn list_groups(&self) -> Result<Vec<Group>> {
        let rows = sqlx::query(select!("ORDER BY g.folded_name"))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn find_group(&self, id: &GroupId) -> Result<Option<Group>> {
        find(&mut *self.readers.acquire().await.map_err(store_error)?, id).await
    }

    async fn list_members(&self, id: &GroupId) -> Result<Vec<User>> {
        let rows = sqlx::query(users::select!(
            "WHERE u.id IN (SELECT g.user_id FROM memberships g WHERE g.group_id = ?1) ORDER BY u.folded_login"
        ))
        .bind(id.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter().map(users::read).collect()
    }

    async fn add_group(&self, group: &Group) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = add(tx.connection(), &self.author, group).await;
        tx.settle(outcome).await
    }

    async fn update_group(&self, group: &Group) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = update(tx.connection(), &self.author, group).await;
        tx.settle(outcome).await
    }

    async fn remove_group(&self, id: &GroupId) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = remove(tx.connection(), &self.author, id).await;
        tx.settle(outcome).await
    }
}

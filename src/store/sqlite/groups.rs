//! Groups of users.
//!
//! Invariant: what changes a group's name or takes it away changes its members, in the same transaction.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count},
    errors::store_error,
    record::Record,
    users,
};
use crate::{
    base::id::GroupId,
    model::{
        event::Author,
        user::{Group, User},
    },
    store::{Result, StoreError, name::folded, people::GroupStore},
};

const WHAT: &str = "group";

fn read(row: &SqliteRow) -> Result<Group> {
    let record = Record::of(row, WHAT)?;
    Ok(Group {
        id: GroupId::parse(record.id()).map_err(|e| record.damaged("id", e))?,
        name: record.get("name")?,
        description: record.get("description")?,
        created: record.time("created")?,
        updated: record.time("updated")?,
    })
}

async fn find(connection: &mut SqliteConnection, id: &GroupId) -> Result<Option<Group>> {
    let row = sqlx::query("SELECT id, name, description, created, updated FROM user_groups WHERE id = ?1")
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(read).transpose()
}

/// Writes the group, which is new or replaces the one of the same id.
async fn put(connection: &mut SqliteConnection, group: &Group) -> Result<()> {
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
    sqlx::query(
        "INSERT INTO user_groups (id, name, folded_name, description, created, updated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, folded_name = excluded.folded_name, description = excluded.description,
             created = excluded.created, updated = excluded.updated",
    )
    .bind(group.id.as_str())
    .bind(group.name.as_str())
    .bind(folded(&group.name))
    .bind(group.description.as_deref())
    .bind(group.created.millis())
    .bind(group.updated.millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
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
    put(connection, group).await?;
    audit::changed(connection, by, Some(&before), Some(group)).await?;
    let version = count(connection, Topic::Users).await?;
    if before.name == group.name { Ok(()) } else { mark_members(connection, &group.id, version).await }
}

async fn remove(connection: &mut SqliteConnection, by: &Author, id: &GroupId) -> Result<()> {
    let before = find(connection, id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    let version = count(connection, Topic::Users).await?;
    mark_members(connection, id, version).await?;
    sqlx::query("DELETE FROM user_groups WHERE id = ?1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    audit::changed(connection, by, Some(&before), None).await
}

/// Makes `version` the one at which the members of a group have changed.
async fn mark_members(connection: &mut SqliteConnection, id: &GroupId, version: i64) -> Result<()> {
    sqlx::query(
        "UPDATE users SET version = ?2 WHERE id IN (SELECT user_id FROM memberships WHERE group_id = ?1)",
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
        let rows = sqlx::query(
            "SELECT id, name, description, created, updated FROM user_groups ORDER BY folded_name",
        )
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

//! Which group is below which.
//!
//! Invariant: `group_nesting` has each group with itself and with every group above it, so that whoever asks for all the
//! groups of a user, or for all who are in a group, has no tree to walk; and nothing is above itself.

use sqlx::SqliteConnection;

use super::{errors::store_error, groups::refuse_all_users};
use crate::{
    base::id::GroupId,
    store::{Result, Rule, StoreError, people::DEEPEST_NESTING},
};

/// Puts a group, which may be new, with all that is below it, below `parent`, or below none.
pub(super) async fn put_below(
    connection: &mut SqliteConnection,
    id: &GroupId,
    parent: Option<&GroupId>,
) -> Result<()> {
    sqlx::query("INSERT OR IGNORE INTO group_nesting (group_id, above) VALUES (?1, ?1)")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    if let Some(parent) = parent {
        refuse_parent(connection, id, parent).await?;
    }
    take_out(connection, id).await?;
    sqlx::query("UPDATE user_groups SET parent = ?2 WHERE id = ?1")
        .bind(id.as_str())
        .bind(parent.map(GroupId::as_str))
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    let Some(parent) = parent else { return Ok(()) };
    sqlx::query(
        "INSERT INTO group_nesting (group_id, above)
         SELECT d.group_id, a.above FROM group_nesting d, group_nesting a WHERE d.above = ?1 AND a.group_id = ?2",
    )
    .bind(id.as_str())
    .bind(parent.as_str())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    let deepest: i64 = sqlx::query_scalar(
        "SELECT max((SELECT count(*) FROM group_nesting a WHERE a.group_id = d.group_id))
         FROM group_nesting d WHERE d.above = ?1",
    )
    .bind(id.as_str())
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    let fits = usize::try_from(deepest).is_ok_and(|deepest| deepest <= DEEPEST_NESTING);
    if fits { Ok(()) } else { Err(StoreError::Against(Rule::Nesting)) }
}

async fn refuse_parent(connection: &mut SqliteConnection, id: &GroupId, parent: &GroupId) -> Result<()> {
    if is_below(connection, parent, id).await? {
        return Err(StoreError::Against(Rule::Cycle));
    }
    refuse_all_users(connection, parent).await?;
    let exists: Option<i64> = sqlx::query_scalar("SELECT 1 FROM user_groups WHERE id = ?1")
        .bind(parent.as_str())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    if exists.is_some() { Ok(()) } else { Err(StoreError::NotFound { what: "group" }) }
}

/// Whether `id` is `above` or below it.
pub(super) async fn is_below(
    connection: &mut SqliteConnection,
    id: &GroupId,
    above: &GroupId,
) -> Result<bool> {
    let below: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM group_nesting WHERE group_id = ?1 AND above = ?2")
            .bind(id.as_str())
            .bind(above.as_str())
            .fetch_optional(connection)
            .await
            .map_err(store_error)?;
    Ok(below.is_some())
}

/// Forgets what is above a group, for all that is below it.
pub(super) async fn take_out(connection: &mut SqliteConnection, id: &GroupId) -> Result<()> {
    sqlx::query(
        "DELETE FROM group_nesting
         WHERE group_id IN (SELECT d.group_id FROM group_nesting d WHERE d.above = ?1)
               AND above IN (SELECT a.above FROM group_nesting a WHERE a.group_id = ?1 AND a.above <> ?1)",
    )
    .bind(id.as_str())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

//! Names that an older rule has spelled, entered under the spelling of today's.
//!
//! Invariant: no name means two. Of names that have become the same, the one that was spelled so before keeps it, else the oldest;
//! the others keep what they had and cannot be typed until they are renamed.

use sqlx::{Connection as _, SqliteConnection};

use super::{errors::store_error, record::Record};
use crate::store::{Result, name::folded};

/// Spells anew what the migration has listed.
pub(super) async fn refold(connection: &mut SqliteConnection) -> Result<()> {
    let listed: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM refold WHERE kind IN ('user', 'group', 'service') LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(store_error)?;
    if listed.is_none() {
        return Ok(());
    }
    let mut tx = connection.begin().await.map_err(store_error)?;
    spell(
        &mut tx,
        "service",
        "SELECT s.id, s.name FROM services s JOIN refold r ON r.kind = 'service' AND r.id = s.id ORDER BY s.created",
        "UPDATE OR IGNORE services SET folded_name = ?2 WHERE id = ?1",
    )
    .await?;
    spell(
        &mut tx,
        "group",
        "SELECT g.id, g.name FROM user_groups g JOIN refold r ON r.kind = 'group' AND r.id = g.id ORDER BY g.created",
        "UPDATE OR IGNORE user_groups SET folded_name = ?2 WHERE id = ?1",
    )
    .await?;
    spell(
        &mut tx,
        "user",
        "SELECT u.id, u.login AS name FROM users u JOIN refold r ON r.kind = 'user' AND r.id = u.id ORDER BY u.created",
        "UPDATE OR IGNORE users SET folded_login = ?2 WHERE id = ?1",
    )
    .await?;
    user_names(&mut tx).await?;
    sqlx::query("DELETE FROM refold").execute(&mut *tx).await.map_err(store_error)?;
    tx.commit().await.map_err(store_error)
}

async fn spell(
    connection: &mut SqliteConnection,
    what: &'static str,
    select: &'static str,
    update: &'static str,
) -> Result<()> {
    for row in sqlx::query(select).fetch_all(&mut *connection).await.map_err(store_error)? {
        let record = Record::of(&row, what)?;
        let written = sqlx::query(update)
            .bind(record.id())
            .bind(folded(record.get("name")?))
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
        if written.rows_affected() == 0 {
            tracing::warn!(what, id = record.id(), "its name is spelled as another's: give it another one");
        }
    }
    Ok(())
}

/// What the listed users may type to sign in.
async fn user_names(connection: &mut SqliteConnection) -> Result<()> {
    // All of them first: what one gives up may become another's.
    sqlx::query("DELETE FROM user_names WHERE user_id IN (SELECT id FROM refold WHERE kind = 'user')")
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    let rows = sqlx::query(
        "SELECT u.id, u.login, u.email FROM users u JOIN refold r ON r.kind = 'user' AND r.id = u.id ORDER BY u.created",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error)?;
    for row in &rows {
        let record = Record::of(row, "user")?;
        let email: Option<&str> = record.get("email")?;
        let names = [Some(record.id()), Some(record.get("login")?), email];
        for name in names.into_iter().flatten() {
            sqlx::query("INSERT OR IGNORE INTO user_names (name, user_id) VALUES (?1, ?2)")
                .bind(folded(name))
                .bind(record.id())
                .execute(&mut *connection)
                .await
                .map_err(store_error)?;
        }
    }
    Ok(())
}

//! What goes along when a user's password or a service goes: credentials that were made for programs.
//!
//! Invariant: no credential is left without a service that it is for.

use sqlx::SqliteConnection;

use super::{
    changes::{Topic, count},
    errors::store_error,
};
use crate::{
    base::id::{ServiceId, UserId},
    store::Result,
};

/// Takes the application passwords of a user away: with the password goes what stands for it.
pub(super) async fn end_passwords(connection: &mut SqliteConnection, user: &UserId) -> Result<()> {
    sqlx::query("DELETE FROM credentials WHERE user_id = ?1 AND kind = 'application_password'")
        .bind(user.as_str())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Takes a service out of every scope, and away what has none then.
pub(super) async fn forget_service(connection: &mut SqliteConnection, service: &ServiceId) -> Result<()> {
    sqlx::query(
        "DELETE FROM credentials WHERE id IN
             (SELECT s.credential FROM credential_services s
              WHERE s.service = ?1 AND NOT EXISTS
                  (SELECT 1 FROM credential_services o WHERE o.credential = s.credential AND o.service <> ?1))",
    )
    .bind(service.as_str())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    let narrowed: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM credential_services WHERE service = ?1 LIMIT 1")
            .bind(service.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(store_error)?;
    if narrowed.is_none() {
        return Ok(());
    }
    let version = count(connection, Topic::Credentials).await?;
    sqlx::query(
        "UPDATE credentials SET version = ?2
         WHERE id IN (SELECT s.credential FROM credential_services s WHERE s.service = ?1)",
    )
    .bind(service.as_str())
    .bind(version)
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query("DELETE FROM credential_services WHERE service = ?1")
        .bind(service.as_str())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

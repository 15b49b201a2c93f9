//! What a user may type to sign in.
//!
//! Invariant: what one user may type, no other may.

use sqlx::SqliteConnection;

use super::errors::store_error;
use crate::{
    model::user::User,
    store::{Result, StoreError, name::folded},
};

const WHAT: &str = "user";

/// What `user` may type to sign in, with the field that it comes from.
pub(super) fn names(user: &User) -> impl Iterator<Item = (&'static str, String)> {
    let email = user.email.as_ref().map(|email| ("email", folded(&email.address)));
    [("id", folded(user.id.as_str())), ("login", folded(&user.login))].into_iter().chain(email)
}

/// Refuses what another user has already.
pub(super) async fn refuse_conflict(connection: &mut SqliteConnection, user: &User) -> Result<()> {
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

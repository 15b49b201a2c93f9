//! The second step of a sign-in, and recovery codes.
//!
//! Invariant: what is good once is taken by the statement that finds it, under the write lock.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::{
    SqliteStore, audit,
    errors::{conflict, store_error},
    record::Record,
    users,
};
use crate::{
    base::id::UserId,
    crypto::digest::TokenDigest,
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target},
        second_step::SecondStep,
    },
    store::{Result, StoreError, second_step::SecondStepStore},
};

const WHAT: &str = "second step";

async fn add(
    connection: &mut SqliteConnection,
    by: &Author,
    step: &SecondStep,
    codes: &[TokenDigest],
) -> Result<()> {
    let user = users::find(connection, &step.user).await?.ok_or(StoreError::NotFound { what: "user" })?;
    sqlx::query("INSERT INTO second_steps (user_id, secret, since, spent) VALUES (?1, ?2, ?3, ?4)")
        .bind(step.user.as_str())
        .bind(step.secret.as_slice())
        .bind(step.since.millis())
        .bind(step.spent)
        .execute(&mut *connection)
        .await
        .map_err(|e| conflict(e, WHAT, "user"))?;
    add_codes(connection, &step.user, codes).await?;
    let changes = vec![FieldChange::new("recoveryCodes", codes.len())];
    let target = Target::user(&user.id, &user.login);
    audit::record_one(connection, by, NewEvent { kind: EventKind::SecondStepOn, target, changes }).await
}

async fn add_codes(connection: &mut SqliteConnection, user: &UserId, codes: &[TokenDigest]) -> Result<()> {
    for code in codes {
        sqlx::query("INSERT INTO recovery_codes (digest, user_id) VALUES (?1, ?2)")
            .bind(code.as_bytes().as_slice())
            .bind(user.as_str())
            .execute(&mut *connection)
            .await
            .map_err(|e| conflict(e, WHAT, "recovery code"))?;
    }
    Ok(())
}

/// Records something of a user's second step.
async fn tell(
    connection: &mut SqliteConnection,
    by: &Author,
    (kind, user): (EventKind, &UserId),
    changes: Vec<FieldChange>,
) -> Result<()> {
    let login = users::find(connection, user).await?.map(|user| user.login).unwrap_or_default();
    let target = Target::user(user, &login);
    audit::record_one(connection, by, NewEvent { kind, target, changes }).await
}

async fn codes_left(connection: &mut SqliteConnection, user: &UserId) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM recovery_codes WHERE user_id = ?1")
        .bind(user.as_str())
        .fetch_one(connection)
        .await
        .map_err(store_error)
}

async fn spend_code(
    connection: &mut SqliteConnection,
    by: &Author,
    read: &SecondStep,
    code: &TokenDigest,
) -> Result<bool> {
    let gone = sqlx::query(
        "DELETE FROM recovery_codes WHERE digest = ?1 AND user_id = ?2
         AND EXISTS (SELECT 1 FROM second_steps s WHERE s.user_id = ?2 AND s.secret = ?3)",
    )
    .bind(code.as_bytes().as_slice())
    .bind(read.user.as_str())
    .bind(read.secret.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    let left = codes_left(connection, &read.user).await?;
    let changes = vec![FieldChange::new("left", left)];
    tell(connection, by, (EventKind::RecoveryCodeUsed, &read.user), changes).await?;
    Ok(true)
}

async fn replace_codes(
    connection: &mut SqliteConnection,
    by: &Author,
    user: &UserId,
    codes: &[TokenDigest],
) -> Result<bool> {
    let on: Option<i64> = sqlx::query_scalar("SELECT 1 FROM second_steps WHERE user_id = ?1")
        .bind(user.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    if on.is_none() {
        return Ok(false);
    }
    sqlx::query("DELETE FROM recovery_codes WHERE user_id = ?1")
        .bind(user.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    add_codes(connection, user, codes).await?;
    let changes = vec![FieldChange::new("recoveryCodes", codes.len())];
    tell(connection, by, (EventKind::RecoveryCodesReplaced, user), changes).await?;
    Ok(true)
}

async fn remove(connection: &mut SqliteConnection, by: &Author, user: &UserId) -> Result<bool> {
    // The recovery codes go with it.
    let gone = sqlx::query("DELETE FROM second_steps WHERE user_id = ?1")
        .bind(user.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    tell(connection, by, (EventKind::SecondStepOff, user), Vec::new()).await?;
    Ok(true)
}

#[async_trait]
impl SecondStepStore for SqliteStore {
    async fn find_second_step(&self, user: &UserId) -> Result<Option<SecondStep>> {
        let row = sqlx::query(
            "SELECT s.secret, s.since, s.spent,
                    (SELECT count(*) FROM recovery_codes c WHERE c.user_id = s.user_id) AS codes_left
             FROM second_steps s WHERE s.user_id = ?1",
        )
        .bind(user.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::named(&row, WHAT, user.to_string());
        Ok(Some(SecondStep {
            user: user.clone(),
            secret: record.get("secret")?,
            since: record.time("since")?,
            spent: record.get("spent")?,
            codes_left: row.try_get("codes_left").map_err(store_error)?,
        }))
    }

    async fn add_second_step(&self, step: &SecondStep, codes: &[TokenDigest]) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = add(tx.connection(), &self.author, step, codes).await;
        tx.settle(outcome).await
    }

    async fn spend_time_step(&self, read: &SecondStep, spent: i64) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = sqlx::query(
            "UPDATE second_steps SET spent = ?3 WHERE user_id = ?1 AND secret = ?2 AND spent < ?3",
        )
        .bind(read.user.as_str())
        .bind(read.secret.as_slice())
        .bind(spent)
        .execute(tx.connection())
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(store_error);
        tx.settle(outcome).await
    }

    async fn spend_recovery_code(&self, read: &SecondStep, code: &TokenDigest) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = spend_code(tx.connection(), &self.author, read, code).await;
        tx.settle(outcome).await
    }

    async fn replace_recovery_codes(&self, user: &UserId, codes: &[TokenDigest]) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = replace_codes(tx.connection(), &self.author, user, codes).await;
        tx.settle(outcome).await
    }

    async fn remove_second_step(&self, user: &UserId) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = remove(tx.connection(), &self.author, user).await;
        tx.settle(outcome).await
    }
}

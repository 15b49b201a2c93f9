//! Signing keys. Their private parts arrive and leave sealed.
//!
//! Invariant: an algorithm has at most one active key; the schema's partial unique index holds it too.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count},
    errors::store_error,
    record::Record,
};
use crate::{
    base::{id::KeyId, time::Timestamp},
    model::{
        event::{EventKind, FieldChange, NewEvent, Target, TargetKind},
        key::{Algorithm, KeyState, SigningKeyRecord},
    },
    store::{KeyStore, Result, StoreError},
};

const WHAT: &str = "signing key";

fn read(row: &SqliteRow) -> Result<SigningKeyRecord> {
    let record = Record::of(row, WHAT)?;
    let algorithm: &str = record.get("algorithm")?;
    Ok(SigningKeyRecord {
        id: KeyId::parse(record.id()).map_err(|e| record.damaged("id", e))?,
        algorithm: Algorithm::parse(algorithm)
            .ok_or_else(|| record.damaged("algorithm", format_args!("{algorithm:?} is not known")))?,
        sealed: record.get("sealed")?,
        created: record.time("created")?,
        state: match record.optional_time("retired_until")? {
            None => KeyState::Active,
            Some(until) => KeyState::Retired { until },
        },
    })
}

/// What the audit log says of a key.
fn event(kind: EventKind, id: &KeyId, algorithm: Option<Algorithm>) -> NewEvent {
    let presentation = algorithm.map(|algorithm| algorithm.name().to_owned()).unwrap_or_default();
    let changes = match algorithm {
        Some(algorithm) => vec![FieldChange::new("algorithm", algorithm.name())],
        None => vec![FieldChange::new("sealed", "anew")],
    };
    let target = Target { kind: TargetKind::SigningKey, id: id.to_string(), presentation, owner: None };
    NewEvent { kind, target, changes }
}

/// Adds `key` as an active one.
async fn insert(connection: &mut SqliteConnection, key: &SigningKeyRecord) -> Result<()> {
    let taken: Option<i64> = sqlx::query_scalar("SELECT 1 FROM signing_keys WHERE id = ?1")
        .bind(key.id.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    if taken.is_some() {
        return Err(StoreError::Conflict { what: WHAT, field: "id" });
    }
    sqlx::query("INSERT INTO signing_keys (id, algorithm, sealed, created) VALUES (?1, ?2, ?3, ?4)")
        .bind(key.id.as_str())
        .bind(key.algorithm.name())
        .bind(key.sealed.as_slice())
        .bind(key.created.millis())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn list_keys(&self) -> Result<Vec<SigningKeyRecord>> {
        // Of keys made in the same millisecond the active one is the newest.
        let rows = sqlx::query(
            "SELECT id, algorithm, sealed, created, retired_until FROM signing_keys
             ORDER BY created DESC, retired_until IS NOT NULL, id",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn add_first_key(&self, key: &SigningKeyRecord) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let active: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM signing_keys WHERE algorithm = ?1 AND retired_until IS NULL")
                .bind(key.algorithm.name())
                .fetch_optional(tx.connection())
                .await
                .map_err(store_error)?;
        if active.is_some() {
            tx.abandon().await?;
            return Ok(false);
        }
        insert(tx.connection(), key).await?;
        let event = event(EventKind::Created, &key.id, Some(key.algorithm));
        audit::record_one(tx.connection(), &self.author, event).await?;
        count(tx.connection(), Topic::Keys).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn rotate_key(&self, key: &SigningKeyRecord, retired_until: Timestamp) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        sqlx::query(
            "UPDATE signing_keys SET retired_until = ?2 WHERE algorithm = ?1 AND retired_until IS NULL",
        )
        .bind(key.algorithm.name())
        .bind(retired_until.millis())
        .execute(tx.connection())
        .await
        .map_err(store_error)?;
        insert(tx.connection(), key).await?;
        let event = event(EventKind::KeyRotated, &key.id, Some(key.algorithm));
        audit::record_one(tx.connection(), &self.author, event).await?;
        count(tx.connection(), Topic::Keys).await?;
        tx.commit().await
    }

    async fn reseal_key(&self, id: &KeyId, sealed: &[u8]) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let updated = sqlx::query("UPDATE signing_keys SET sealed = ?2 WHERE id = ?1")
            .bind(id.as_str())
            .bind(sealed)
            .execute(tx.connection())
            .await
            .map_err(store_error)?;
        if updated.rows_affected() == 0 {
            tx.abandon().await?;
            return Err(StoreError::NotFound { what: WHAT });
        }
        audit::record_one(tx.connection(), &self.author, event(EventKind::Updated, id, None)).await?;
        count(tx.connection(), Topic::Keys).await?;
        tx.commit().await
    }

    async fn purge_keys(&self, now: Timestamp) -> Result<u64> {
        let mut tx = self.writer.begin().await?;
        let purged = sqlx::query("DELETE FROM signing_keys WHERE retired_until <= ?1")
            .bind(now.millis())
            .execute(tx.connection())
            .await
            .map_err(store_error)?
            .rows_affected();
        if purged == 0 {
            tx.abandon().await?;
            return Ok(0);
        }
        count(tx.connection(), Topic::Keys).await?;
        tx.commit().await?;
        Ok(purged)
    }
}

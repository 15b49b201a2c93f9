//! Revocations.
//!
//! Invariant: a target has one row; merging never makes it forget sooner or kill less.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore,
    changes::{Topic, count},
    errors::store_error,
    record::Record,
};
use crate::{
    base::{
        id::{ServiceId, TokenId},
        time::Timestamp,
    },
    model::revocation::{Revocation, RevocationTarget},
    store::{Result, RevocationStore},
};

const TOKEN: &str = "token";
const CLIENT: &str = "client";

fn read(row: &SqliteRow) -> Result<Revocation> {
    let kind: String = row.try_get("kind").map_err(store_error)?;
    let raw: &[u8] = row.try_get("target").map_err(store_error)?;
    let record = Record::named(row, "revocation", format!("{kind} {}", raw.escape_ascii()));
    let target = match kind.as_str() {
        TOKEN => <[u8; 16]>::try_from(raw)
            .map(|bytes| RevocationTarget::Token(TokenId::from_bytes(bytes)))
            .map_err(|e| record.damaged("target", e))?,
        CLIENT => {
            let text = std::str::from_utf8(raw).map_err(|e| record.damaged("target", e))?;
            RevocationTarget::Client(ServiceId::parse(text).map_err(|e| record.damaged("target", e))?)
        }
        _ => return Err(record.damaged("kind", "it is not known")),
    };
    Ok(Revocation { target, revoked: record.time("revoked")?, expires: record.time("expires")? })
}

/// Records `revocation` within the transaction that is open on `connection`.
pub(super) async fn record(connection: &mut SqliteConnection, revocation: &Revocation) -> Result<()> {
    let (kind, target) = match &revocation.target {
        RevocationTarget::Token(id) => (TOKEN, id.as_bytes().as_slice()),
        RevocationTarget::Client(id) => (CLIENT, id.as_str().as_bytes()),
    };
    sqlx::query(
        "INSERT INTO revocations (kind, target, revoked, expires) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, target) DO UPDATE
         SET revoked = max(revoked, excluded.revoked), expires = max(expires, excluded.expires)",
    )
    .bind(kind)
    .bind(target)
    .bind(revocation.revoked.millis())
    .bind(revocation.expires.millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    count(connection, Topic::Revocations).await
}

#[async_trait]
impl RevocationStore for SqliteStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        record(&mut tx.connection, revocation).await?;
        tx.commit().await
    }

    async fn list_revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        let rows = sqlx::query("SELECT kind, target, revoked, expires FROM revocations WHERE expires > ?1")
            .bind(now.millis())
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn purge_revocations(&self, now: Timestamp) -> Result<u64> {
        let mut tx = self.writer.begin().await?;
        let purged = sqlx::query("DELETE FROM revocations WHERE expires <= ?1")
            .bind(now.millis())
            .execute(&mut tx.connection)
            .await
            .map_err(store_error)?
            .rows_affected();
        tx.commit().await?;
        Ok(purged)
    }
}

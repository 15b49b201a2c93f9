//! Rejected redirect URIs.
//!
//! Invariant: a service has at most [`MAX_REJECTED_REDIRECTS`], whoever causes how many.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{SqliteStore, audit, errors::store_error, record::Record, services};
use crate::{
    base::id::ServiceId,
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target, TargetKind},
        grant::RejectedRedirect,
        service::Service,
    },
    store::{
        Result, StoreError,
        grants::{MAX_REJECTED_REDIRECTS, RejectedRedirectStore},
    },
};

fn read(row: &SqliteRow, service: &ServiceId) -> Result<RejectedRedirect> {
    let record = Record::named(row, "rejected redirect URI of the service", service.to_string());
    Ok(RejectedRedirect {
        uri: record.get("uri")?,
        tried_from: record.get("tried_from")?,
        tried_at: record.time("tried_at")?,
    })
}

async fn add(
    connection: &mut SqliteConnection,
    service: &ServiceId,
    rejected: &RejectedRedirect,
) -> Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO rejected_redirects (service_id, uri, tried_from, tried_at)
         SELECT id, ?2, ?3, ?4 FROM services WHERE id = ?1",
    )
    .bind(service.as_str())
    .bind(rejected.uri.as_str())
    .bind(rejected.tried_from.as_str())
    .bind(rejected.tried_at.millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query(
        "DELETE FROM rejected_redirects WHERE number IN
         (SELECT number FROM rejected_redirects WHERE service_id = ?1
          ORDER BY tried_at DESC, number DESC LIMIT -1 OFFSET ?2)",
    )
    .bind(service.as_str())
    .bind(i64::try_from(MAX_REJECTED_REDIRECTS).unwrap_or(i64::MAX))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

async fn forget(
    connection: &mut SqliteConnection,
    by: &Author,
    service: &ServiceId,
    uri: &str,
) -> Result<bool> {
    let forgotten = sqlx::query("DELETE FROM rejected_redirects WHERE service_id = ?1 AND uri = ?2")
        .bind(service.as_str())
        .bind(uri)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?
        .rows_affected();
    if forgotten > 0 {
        let (id, presentation) = (service.to_string(), service.to_string());
        let target = Target { kind: TargetKind::Service, id, presentation, owner: None };
        let changes = vec![FieldChange::gone("untrustedRedirectUri", uri)];
        let event = NewEvent { kind: EventKind::Updated, target, changes };
        audit::record_one(connection, by, event).await?;
    }
    Ok(forgotten > 0)
}

async fn accept(
    connection: &mut SqliteConnection,
    by: &Author,
    (before, service): (&Service, &Service),
    uri: &str,
) -> Result<bool> {
    if !services::replace(connection, by, Some(before), service).await? {
        return Ok(false);
    }
    if forget(connection, by, &service.id, uri).await? {
        Ok(true)
    } else {
        Err(StoreError::NotFound { what: "untrusted redirect URI" })
    }
}

#[async_trait]
impl RejectedRedirectStore for SqliteStore {
    async fn reject_redirect(&self, service: &ServiceId, rejected: &RejectedRedirect) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = add(tx.connection(), service, rejected).await;
        tx.settle(outcome).await
    }

    async fn list_rejected_redirects(&self, service: &ServiceId) -> Result<Vec<RejectedRedirect>> {
        let rows = sqlx::query(
            "SELECT uri, tried_from, tried_at FROM rejected_redirects
             WHERE service_id = ?1 ORDER BY tried_at DESC, number DESC",
        )
        .bind(service.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter().map(|row| read(row, service)).collect()
    }

    async fn accept_rejected_redirect(&self, before: &Service, service: &Service, uri: &str) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = accept(tx.connection(), &self.author, (before, service), uri).await;
        tx.settle(outcome).await
    }

    async fn forget_rejected_redirect(&self, service: &ServiceId, uri: &str) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = forget(tx.connection(), &self.author, service, uri).await;
        tx.settle(outcome).await
    }
}

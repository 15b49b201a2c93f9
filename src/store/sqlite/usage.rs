//! When services were last active, and how much rests on them.
//!
//! Invariant: a note never goes back in time, and is none of a service that is gone.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{SqliteStore, errors::store_error, record::Record};
use crate::{
    base::{id::ServiceId, time::Timestamp},
    model::usage::{Count, LastUse, Links, ServiceUse, UsageCounts},
    store::{
        Result, StoreError,
        usage::{MOST_COUNTED, MOST_LINKS, UsageStore},
    },
};

async fn note(connection: &mut SqliteConnection, used: &ServiceUse) -> Result<()> {
    sqlx::query(
        "INSERT INTO service_uses (service_id, as_client, as_resource)
         SELECT id, ?2, ?3 FROM services WHERE id = ?1
         ON CONFLICT (service_id) DO UPDATE
         SET as_client = max(coalesce(as_client, excluded.as_client), coalesce(excluded.as_client, as_client)),
             as_resource =
                 max(coalesce(as_resource, excluded.as_resource), coalesce(excluded.as_resource, as_resource))",
    )
    .bind(used.service.as_str())
    .bind(used.last.as_client.map(Timestamp::millis))
    .bind(used.last.as_resource.map(Timestamp::millis))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    for (resource, asked) in &used.asked_for {
        sqlx::query(
            "INSERT INTO service_links (client, resource, asked)
             SELECT id, ?2, ?3 FROM services
             WHERE id = ?1 AND (?2 = ?4 OR EXISTS (SELECT 1 FROM services s WHERE s.id = ?2))
             ON CONFLICT (client, resource) DO UPDATE SET asked = max(asked, excluded.asked)",
        )
        .bind(used.service.as_str())
        .bind(resource.as_str())
        .bind(asked.millis())
        .bind(ServiceId::HUB)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    }
    Ok(())
}

fn link(row: &SqliteRow) -> Result<(ServiceId, Timestamp)> {
    let record = Record::of(row, "service of a service")?;
    let id = ServiceId::parse(record.id()).map_err(|e| record.damaged("id", e))?;
    Ok((id, record.time("asked")?))
}

/// The ids as one argument.
pub(super) fn list<T: serde::Serialize>(ids: &[T]) -> Result<String> {
    serde_json::to_string(ids).map_err(|e| StoreError::Damaged(format!("a list of ids: {e}")))
}

impl SqliteStore {
    async fn linked(
        &self,
        statement: &'static str,
        service: &ServiceId,
    ) -> Result<Vec<(ServiceId, Timestamp)>> {
        let rows = sqlx::query(statement)
            .bind(service.as_str())
            .bind(i64::try_from(MOST_LINKS).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(link).collect()
    }

    async fn count_of(&self, statement: &'static str, service: &ServiceId) -> Result<Count> {
        let found: i64 = sqlx::query_scalar(statement)
            .bind(service.as_str())
            .bind(MOST_COUNTED)
            .fetch_one(&self.readers)
            .await
            .map_err(store_error)?;
        Ok(counted(found))
    }
}

/// What was counted up to [`MOST_COUNTED`].
pub(super) fn counted(found: i64) -> Count {
    let number = u64::try_from(found).unwrap_or_default();
    Count { number, more: number >= u64::from(MOST_COUNTED) }
}

#[async_trait]
impl UsageStore for SqliteStore {
    async fn note_service_uses(&self, uses: &[ServiceUse]) -> Result<()> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut tx = self.writer.begin().await?;
        for used in uses {
            note(tx.connection(), used).await?;
        }
        tx.commit().await
    }

    async fn last_uses(&self, services: &[ServiceId]) -> Result<Vec<LastUse>> {
        let rows = sqlx::query(
            "SELECT asked.value AS id, u.as_client, u.as_resource
             FROM json_each(?1) asked LEFT JOIN service_uses u ON u.service_id = asked.value ORDER BY asked.key",
        )
        .bind(list(services)?)
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        let read = |row: &SqliteRow| {
            let record = Record::of(row, "use of a service")?;
            Ok(LastUse {
                as_client: record.optional_time("as_client")?,
                as_resource: record.optional_time("as_resource")?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn links(&self, service: &ServiceId) -> Result<Links> {
        let asks_for = "SELECT resource AS id, asked FROM service_links WHERE client = ?1
                        ORDER BY asked DESC, resource LIMIT ?2";
        let asked_by = "SELECT client AS id, asked FROM service_links WHERE resource = ?1
                        ORDER BY asked DESC, client LIMIT ?2";
        Ok(Links {
            asks_for: self.linked(asks_for, service).await?,
            asked_by: self.linked(asked_by, service).await?,
        })
    }

    async fn usage(&self, service: &ServiceId) -> Result<UsageCounts> {
        let consents = "SELECT count(*) FROM (SELECT 1 FROM consents WHERE client = ?1 LIMIT ?2)";
        let grants = "SELECT count(*) FROM (SELECT 1 FROM grants WHERE client = ?1 LIMIT ?2)";
        let granted_for = "SELECT count(*) FROM (SELECT 1 FROM grant_services WHERE service = ?1 LIMIT ?2)";
        let tokens = "SELECT count(*) FROM (SELECT 1 FROM credential_services WHERE service = ?1 LIMIT ?2)";
        Ok(UsageCounts {
            consents: self.count_of(consents, service).await?,
            grants: self.count_of(grants, service).await?,
            granted_for: self.count_of(granted_for, service).await?,
            tokens: self.count_of(tokens, service).await?,
        })
    }
}

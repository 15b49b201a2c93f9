//! Services and the digests of their secrets.
//!
//! Invariant: a service and its secrets are read from one snapshot and written in one transaction.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count},
    credential_cascades,
    errors::store_error,
    record::Record,
    revocations,
};
use crate::{
    base::{id::ServiceId, time::Timestamp},
    crypto::digest::SecretDigest,
    model::{
        event::Author,
        revocation::{Revocation, RevocationTarget},
        service::{Service, StoredSecret, Trust},
    },
    store::{Result, ServiceStore, StoreError, name::folded},
};

const WHAT: &str = "service";

/// One row for each secret, or one without for a service that has none.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.name, s.trusted, s.consent_required, s.public, s.pkce_required,
                    s.rotate_refresh_tokens, s.flows, s.declared, s.profile, s.created, s.updated,
                    x.digest, x.created AS secret_created, x.expires AS secret_expires
             FROM services s LEFT JOIN service_secrets x ON x.service_id = s.id ",
            $rest
        )
    };
}

/// The services in `rows`, in which the rows of one service are neighbours.
fn read_all(rows: &[SqliteRow]) -> Result<Vec<Service>> {
    let mut services: Vec<Service> = Vec::with_capacity(rows.len());
    for row in rows {
        let record = Record::of(row, WHAT)?;
        let secret = read_secret(&record)?;
        match services.last_mut() {
            Some(last) if last.id.as_str() == record.id() => last.secrets.extend(secret),
            _ => services.push(Service { secrets: secret.into_iter().collect(), ..read(&record)? }),
        }
    }
    Ok(services)
}

fn read(record: &Record<'_>) -> Result<Service> {
    Ok(Service {
        id: ServiceId::parse(record.id()).map_err(|e| record.damaged("id", e))?,
        name: record.get("name")?,
        trust: Trust {
            trusted: record.flag("trusted")?,
            consent_required: record.flag("consent_required")?,
            public: record.flag("public")?,
            pkce_required: record.flag("pkce_required")?,
            rotate_refresh_tokens: record.flag("rotate_refresh_tokens")?,
            flows: record.json("flows")?,
        },
        profile: record.json("profile")?,
        secrets: Vec::new(),
        declared: record.flag("declared")?,
        created: record.time("created")?,
        updated: record.time("updated")?,
    })
}

fn read_secret(record: &Record<'_>) -> Result<Option<StoredSecret>> {
    let Some(digest) = record.get::<Option<&[u8]>>("digest")? else { return Ok(None) };
    let digest = digest.try_into().map_err(|e| record.damaged("digest", e))?;
    Ok(Some(StoredSecret {
        digest: SecretDigest::from_bytes(digest),
        created: record.time("secret_created")?,
        expires: record.optional_time("secret_expires")?,
    }))
}

/// The service with this id, as `connection` sees it.
async fn find(connection: &mut SqliteConnection, id: &ServiceId) -> Result<Option<Service>> {
    let rows = sqlx::query(select!("WHERE s.id = ?1 ORDER BY x.position"))
        .bind(id.as_str())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    Ok(read_all(&rows)?.pop())
}

/// Whether another service goes by this word in a scope, where ids and names both stand for a service.
async fn is_taken(connection: &mut SqliteConnection, word: &str, by: &ServiceId) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM services WHERE folded_name = ?1 AND id <> ?2
         UNION ALL SELECT 1 FROM services WHERE id IN (?1, ?3) AND id <> ?2",
    )
    .bind(folded(word))
    .bind(by.as_str())
    .bind(word)
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    Ok(found.is_some())
}

/// Writes the row, which is new or replaces the one of the same id, and the secrets.
async fn put(connection: &mut SqliteConnection, service: &Service) -> Result<()> {
    let json = |e: serde_json::Error| StoreError::Damaged(format!("service {}: {e}", service.id));
    sqlx::query(
        "INSERT INTO services (id, name, folded_name, trusted, consent_required, public, pkce_required,
                               rotate_refresh_tokens, flows, declared, profile, created, updated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, folded_name = excluded.folded_name, trusted = excluded.trusted,
             consent_required = excluded.consent_required, public = excluded.public,
             pkce_required = excluded.pkce_required,
             rotate_refresh_tokens = excluded.rotate_refresh_tokens, flows = excluded.flows,
             declared = excluded.declared, profile = excluded.profile, created = excluded.created,
             updated = excluded.updated",
    )
    .bind(service.id.as_str())
    .bind(service.name.as_str())
    .bind(folded(&service.name))
    .bind(service.trust.trusted)
    .bind(service.trust.consent_required)
    .bind(service.trust.public)
    .bind(service.trust.pkce_required)
    .bind(service.trust.rotate_refresh_tokens)
    .bind(serde_json::to_string(&service.trust.flows).map_err(json)?)
    .bind(service.declared)
    .bind(serde_json::to_string(&service.profile).map_err(json)?)
    .bind(service.created.millis())
    .bind(service.updated.millis())
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;

    sqlx::query("DELETE FROM service_secrets WHERE service_id = ?1")
        .bind(service.id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    for (position, secret) in (0_i64..).zip(&service.secrets) {
        sqlx::query(
            "INSERT INTO service_secrets (service_id, position, digest, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(service.id.as_str())
        .bind(position)
        .bind(secret.digest.as_bytes().as_slice())
        .bind(secret.created.millis())
        .bind(secret.expires.map(Timestamp::millis))
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    }
    count(connection, Topic::Services).await?;
    Ok(())
}

/// Replaces the service of the same id, if it is as it was `read`. Returns whether it was.
pub(super) async fn replace(
    connection: &mut SqliteConnection,
    by: &Author,
    read: Option<&Service>,
    service: &Service,
) -> Result<bool> {
    let before = find(connection, &service.id).await?.ok_or(StoreError::NotFound { what: WHAT })?;
    if read.is_some_and(|read| *read != before) {
        return Ok(false);
    }
    let renamed = folded(&before.name) != folded(&service.name);
    if renamed && is_taken(connection, &service.name, &service.id).await? {
        return Err(StoreError::Conflict { what: WHAT, field: "name" });
    }
    if service.trust.public && !before.trust.public {
        let target = RevocationTarget::Client(service.id.clone());
        revocations::record(connection, &Revocation::at(service.updated, target)).await?;
    }
    put(connection, service).await?;
    audit::changed(connection, by, Some(&before), Some(service)).await?;
    Ok(true)
}

#[async_trait]
impl ServiceStore for SqliteStore {
    async fn list_services(&self) -> Result<Vec<Service>> {
        let rows = sqlx::query(select!("ORDER BY s.folded_name, s.id, x.position"))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        read_all(&rows)
    }

    async fn find_service(&self, id: &ServiceId) -> Result<Option<Service>> {
        find(&mut *self.readers.acquire().await.map_err(store_error)?, id).await
    }

    async fn register_service(&self, service: &Service) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let (id, name) = (&service.id, &service.name);
        let taken = if find(tx.connection(), id).await?.is_some()
            || is_taken(tx.connection(), id.as_str(), id).await?
        {
            Some("id")
        } else if is_taken(tx.connection(), name, id).await? {
            Some("name")
        } else {
            None
        };
        if let Some(field) = taken {
            tx.abandon().await?;
            return Err(StoreError::Conflict { what: WHAT, field });
        }
        put(tx.connection(), service).await?;
        audit::changed(tx.connection(), &self.author, None, Some(service)).await?;
        tx.commit().await
    }

    async fn update_service(&self, service: &Service) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = replace(tx.connection(), &self.author, None, service).await.map(drop);
        tx.settle(outcome).await
    }

    async fn replace_service(&self, before: &Service, service: &Service) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = replace(tx.connection(), &self.author, Some(before), service).await;
        tx.settle(outcome).await
    }

    async fn remove_service(&self, id: &ServiceId, revocation: &Revocation) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let Some(before) = find(tx.connection(), id).await? else {
            tx.abandon().await?;
            return Err(StoreError::NotFound { what: WHAT });
        };
        sqlx::query("DELETE FROM services WHERE id = ?1")
            .bind(id.as_str())
            .execute(tx.connection())
            .await
            .map_err(store_error)?;
        credential_cascades::forget_service(tx.connection(), id).await?;
        audit::changed(tx.connection(), &self.author, Some(&before), None).await?;
        revocations::record(tx.connection(), revocation).await?;
        count(tx.connection(), Topic::Services).await?;
        tx.commit().await
    }
}

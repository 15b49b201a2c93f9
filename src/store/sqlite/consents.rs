//! Consents that are remembered.
//!
//! Invariant: a user and a client have one; taking it back revokes what the client obtained, in the same transaction.

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    errors::{conflict, store_error},
    record::Record,
    revocations::{self, Claim},
};
use crate::{
    base::{
        id::{ConsentId, ServiceId, UserId},
        time::Timestamp,
    },
    model::{
        event::{Author, EventKind, FieldChange, NewEvent, Target, TargetKind},
        grant::Consent,
        revocation::{Revocation, RevocationTarget},
    },
    store::{Result, StoreError, grants::ConsentStore},
};

const WHAT: &str = "consent";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.user_id, c.client, c.services, c.claims, c.given, c.expires FROM consents c ",
            $rest
        )
    };
}

pub(super) fn read(row: &SqliteRow) -> Result<Consent> {
    let record = Record::of(row, WHAT)?;
    Ok(Consent {
        id: ConsentId::parse(record.id()).map_err(|e| record.damaged("id", e))?,
        user: UserId::parse(record.get("user_id")?).map_err(|e| record.damaged("user_id", e))?,
        client: ServiceId::parse(record.get("client")?).map_err(|e| record.damaged("client", e))?,
        services: record.json("services")?,
        claims: record.json("claims")?,
        given: record.time("given")?,
        expires: record.time("expires")?,
    })
}

/// What the audit log says of a consent.
fn event(
    kind: EventKind,
    (id, user, client): (&ConsentId, &UserId, &ServiceId),
    changes: Vec<FieldChange>,
) -> NewEvent {
    let (owner, presentation) = (Some(user.clone()), format!("for {client}"));
    let target = Target { kind: TargetKind::Consent, id: id.to_string(), presentation, owner };
    NewEvent { kind, target, changes }
}

async fn put(connection: &mut SqliteConnection, by: &Author, consent: &Consent) -> Result<()> {
    let (user, client) = (&consent.user, Some(&consent.client));
    let claim = Claim { user, client, session: None, grant: None, made: consent.given };
    revocations::refuse_ended(connection, claim).await?;
    let json = |e: serde_json::Error| StoreError::Damaged(format!("{WHAT} {}: {e}", consent.id));
    sqlx::query(
        "INSERT INTO consents (id, user_id, client, services, claims, given, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (user_id, client) DO UPDATE
         SET services = excluded.services, claims = excluded.claims, given = excluded.given,
             expires = excluded.expires",
    )
    .bind(consent.id.as_str())
    .bind(consent.user.as_str())
    .bind(consent.client.as_str())
    .bind(serde_json::to_string(&consent.services).map_err(json)?)
    .bind(serde_json::to_string(&consent.claims).map_err(json)?)
    .bind(consent.given.millis())
    .bind(consent.expires.millis())
    .execute(&mut *connection)
    .await
    .map_err(|e| conflict(e, WHAT, "id"))?;
    let changes = vec![
        FieldChange::new("client", consent.client.as_str()),
        FieldChange::new("services", consent.services.iter().map(ServiceId::as_str).collect::<Vec<_>>()),
        FieldChange::new("claims", consent.claims.clone()),
    ];
    let about = (&consent.id, &consent.user, &consent.client);
    audit::record_one(connection, by, event(EventKind::ConsentGiven, about, changes)).await
}

async fn remove(
    connection: &mut SqliteConnection,
    by: &Author,
    user: &UserId,
    id: &ConsentId,
    now: Timestamp,
) -> Result<bool> {
    let client: Option<String> =
        sqlx::query_scalar("SELECT client FROM consents WHERE id = ?1 AND user_id = ?2")
            .bind(id.as_str())
            .bind(user.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(store_error)?;
    let Some(client) = client else { return Ok(false) };
    let client = ServiceId::parse(&client)
        .map_err(|e| StoreError::Damaged(format!("{WHAT} {:?}: client: {e}", id.as_str())))?;
    let changes = vec![FieldChange::gone("client", client.as_str())];
    audit::record_one(connection, by, event(EventKind::ConsentTakenBack, (id, user, &client), changes))
        .await?;
    // The consent itself goes with what came of it.
    let revocation = Revocation::at(now, RevocationTarget::Consent(user.clone(), client));
    revocations::record(connection, &revocation).await?;
    Ok(true)
}

#[async_trait]
impl ConsentStore for SqliteStore {
    async fn find_consent(&self, user: &UserId, client: &ServiceId) -> Result<Option<Consent>> {
        let row = sqlx::query(select!("WHERE c.user_id = ?1 AND c.client = ?2"))
            .bind(user.as_str())
            .bind(client.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    }

    async fn put_consent(&self, consent: &Consent) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = put(tx.connection(), &self.author, consent).await;
        tx.settle(outcome).await
    }

    async fn list_consents(&self, user: &UserId) -> Result<Vec<Consent>> {
        let rows = sqlx::query(select!("WHERE c.user_id = ?1 ORDER BY c.given DESC, c.id"))
            .bind(user.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    async fn remove_consent(&self, user: &UserId, id: &ConsentId, now: Timestamp) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let outcome = remove(tx.connection(), &self.author, user, id, now).await;
        tx.settle(outcome).await
    }

    async fn purge_consents(&self, now: Timestamp) -> Result<u64> {
        self.purge(
            "DELETE FROM consents WHERE rowid IN
             (SELECT rowid FROM consents WHERE expires <= ?1 LIMIT 100)",
            &[now],
        )
        .await
    }
}

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
        id::{GrantId, ServiceId, SessionId, TokenId, UserId},
        time::Timestamp,
    },
    model::revocation::{Revocation, RevocationTarget},
    store::{Result, RevocationStore},
};

const TOKEN: &str = "token";
const GRANT: &str = "grant";
const SESSION: &str = "session";
const CLIENT: &str = "client";
const USER: &str = "user";
const CONSENT: &str = "consent";

/// Stands between the two ids of a consent; no id has it.
const BETWEEN: char = ' ';

fn read(row: &SqliteRow) -> Result<Revocation> {
    let kind: String = row.try_get("kind").map_err(store_error)?;
    let raw: &[u8] = row.try_get("target").map_err(store_error)?;
    let record = Record::named(row, "revocation", format!("{kind} {}", raw.escape_ascii()));
    let wrong = |why: &dyn std::fmt::Display| record.damaged("target", why);
    let text = || std::str::from_utf8(raw).map_err(|e| wrong(&e));
    let service = |text: &str| ServiceId::parse(text).map_err(|e| wrong(&e));
    let user = |text: &str| UserId::parse(text).map_err(|e| wrong(&e));
    let target = match kind.as_str() {
        TOKEN => <[u8; 16]>::try_from(raw)
            .map(|bytes| RevocationTarget::Token(TokenId::from_bytes(bytes)))
            .map_err(|e| wrong(&e))?,
        GRANT => RevocationTarget::Grant(GrantId::parse(text()?).map_err(|e| wrong(&e))?),
        SESSION => RevocationTarget::Session(SessionId::parse(text()?).map_err(|e| wrong(&e))?),
        CLIENT => RevocationTarget::Client(service(text()?)?),
        USER => RevocationTarget::User(user(text()?)?),
        CONSENT => {
            let (of, client) = text()?.split_once(BETWEEN).ok_or_else(|| wrong(&"it is one id, not two"))?;
            RevocationTarget::Consent(user(of)?, service(client)?)
        }
        _ => return Err(record.damaged("kind", "it is not known")),
    };
    Ok(Revocation { target, revoked: record.time("revoked")?, expires: record.time("expires")? })
}

/// Records `revocation` within the transaction that is open on `connection`.
pub(super) async fn record(connection: &mut SqliteConnection, revocation: &Revocation) -> Result<()> {
    let text = |id: &str| id.as_bytes().to_vec();
    let (kind, target) = match &revocation.target {
        RevocationTarget::Token(id) => (TOKEN, id.as_bytes().to_vec()),
        RevocationTarget::Grant(id) => (GRANT, text(id.as_str())),
        RevocationTarget::Session(id) => (SESSION, text(id.as_str())),
        RevocationTarget::Client(id) => (CLIENT, text(id.as_str())),
        RevocationTarget::User(id) => (USER, text(id.as_str())),
        RevocationTarget::Consent(user, client) => (CONSENT, text(&format!("{user}{BETWEEN}{client}"))),
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

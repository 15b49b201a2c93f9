//! Grants, and the trait that codes and refresh tokens make up with them.
//!
//! Invariant: a grant has at least one refresh token; when the last is forgotten, so is the grant.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SLICE, SqliteStore, codes,
    errors::{conflict, store_error},
    record::Record,
    refresh,
    revocations::{self, Claim},
};
use crate::{
    base::{
        id::{GrantId, ServiceId, SessionId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::{
        grant::{AuthorizationCode, Grant, RefreshToken},
        revocation::LONGEST_TOKEN_LIFE,
    },
    store::{
        Result, StoreError,
        grants::{Exchange, GrantStore, RefreshState, Rotation},
    },
};

const WHAT: &str = "grant";

/// Reads the columns of a grant, of a row that is a `what`.
pub(super) fn read<'r>(row: &'r SqliteRow, what: &'static str) -> Result<(Record<'r>, Grant)> {
    let record = Record::of(row, what)?;
    let session: Option<&str> = record.get("session")?;
    let session = session.map(SessionId::parse).transpose();
    let grant = Grant {
        id: GrantId::parse(record.id()).map_err(|e| record.damaged("id", e))?,
        client: ServiceId::parse(record.get("client")?).map_err(|e| record.damaged("client", e))?,
        user: UserId::parse(record.get("user_id")?).map_err(|e| record.damaged("user_id", e))?,
        scope: record.json("scope")?,
        session: session.map_err(|e| record.damaged("session", e))?,
        authenticated: record.time("authenticated")?,
        nonce: record.get("nonce")?,
        created: record.time("created")?,
    };
    Ok((record, grant))
}

/// The scope as it is kept.
pub(super) fn scope(grant: &Grant) -> Result<String> {
    serde_json::to_string(&grant.scope)
        .map_err(|e| StoreError::Damaged(format!("{WHAT} {}: scope: {e}", grant.id)))
}

/// What a grant gives, for [`revocations::refuse_ended`].
pub(super) const fn claim(grant: &Grant) -> Claim<'_> {
    Claim {
        user: &grant.user,
        client: Some(&grant.client),
        session: grant.session.as_ref(),
        grant: Some(&grant.id),
        made: grant.created,
    }
}

async fn add(connection: &mut SqliteConnection, grant: &Grant, refresh: &RefreshToken) -> Result<()> {
    if refresh.grant != grant.id {
        return Err(StoreError::NotFound { what: WHAT });
    }
    revocations::refuse_ended(connection, claim(grant)).await?;
    sqlx::query(
        "INSERT INTO grants (id, client, user_id, scope, session, authenticated, nonce, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(grant.id.as_str())
    .bind(grant.client.as_str())
    .bind(grant.user.as_str())
    .bind(scope(grant)?)
    .bind(grant.session.as_ref().map(SessionId::as_str))
    .bind(grant.authenticated.millis())
    .bind(grant.nonce.as_deref())
    .bind(grant.created.millis())
    .execute(&mut *connection)
    .await
    .map_err(|e| conflict(e, WHAT, "id"))?;
    refresh::add(connection, refresh).await
}

/// Takes at most [`SLICE`] expired refresh tokens, and the grants that have none left. Returns how many of each.
async fn purge_refresh(connection: &mut SqliteConnection, now: Timestamp) -> Result<(u64, u64)> {
    let orphans: Vec<String> = sqlx::query_scalar(
        "DELETE FROM refresh_tokens WHERE rowid IN
         (SELECT rowid FROM refresh_tokens WHERE expires <= ?1 LIMIT 100) RETURNING grant_id",
    )
    .bind(now.millis())
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error)?;
    if orphans.is_empty() {
        return Ok((0, 0));
    }
    let list = serde_json::to_string(&orphans)
        .map_err(|e| StoreError::Damaged(format!("the ids of grants: {e}")))?;
    let grants = sqlx::query(
        "DELETE FROM grants WHERE id IN (SELECT value FROM json_each(?1))
         AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.grant_id = grants.id)",
    )
    .bind(list)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok((orphans.len() as u64, grants.rows_affected()))
}

#[async_trait]
impl GrantStore for SqliteStore {
    async fn add_code(&self, code: &AuthorizationCode) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = codes::add(tx.connection(), code).await;
        tx.settle(outcome).await
    }

    async fn find_code(&self, digest: &TokenDigest) -> Result<Option<(AuthorizationCode, bool)>> {
        codes::find(&mut *self.readers.acquire().await.map_err(store_error)?, digest).await
    }

    async fn exchange_code(
        &self,
        digest: &TokenDigest,
        refresh: Option<&RefreshToken>,
        now: Timestamp,
    ) -> Result<Exchange> {
        let mut tx = self.writer.begin().await?;
        let outcome = codes::exchange(tx.connection(), &self.author, digest, refresh, now).await;
        tx.settle(outcome).await
    }

    async fn add_grant(&self, grant: &Grant, refresh: &RefreshToken) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let outcome = add(tx.connection(), grant, refresh).await;
        tx.settle(outcome).await
    }

    async fn find_refresh(
        &self,
        digest: &TokenDigest,
    ) -> Result<Option<(RefreshToken, Grant, RefreshState)>> {
        refresh::find(&mut *self.readers.acquire().await.map_err(store_error)?, digest).await
    }

    async fn rotate_refresh(
        &self,
        digest: &TokenDigest,
        successor: &RefreshToken,
        answer: &[u8],
        now: Timestamp,
    ) -> Result<Rotation> {
        let mut tx = self.writer.begin().await?;
        let outcome = refresh::rotate(tx.connection(), digest, successor, answer, now).await;
        tx.settle(outcome).await
    }

    async fn list_grants(&self, user: &UserId) -> Result<Vec<(Grant, Timestamp)>> {
        let rows = sqlx::query(
            "SELECT g.id, g.client, g.user_id, g.scope, g.session, g.authenticated, g.nonce, g.created,
                    max(r.created) AS refreshed
             FROM grants g JOIN refresh_tokens r ON r.grant_id = g.id AND r.spent IS NULL
             WHERE g.user_id = ?1 GROUP BY g.id ORDER BY refreshed DESC, g.id",
        )
        .bind(user.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        let grants = rows.iter().map(|row| {
            let (record, grant) = read(row, WHAT)?;
            Ok((grant, record.time("refreshed")?))
        });
        grants.collect()
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>> {
        let row = sqlx::query(
            "SELECT id, client, user_id, scope, session, authenticated, nonce, created
             FROM grants WHERE id = ?1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(store_error)?;
        row.map(|row| read(&row, WHAT).map(|(_, grant)| grant)).transpose()
    }

    async fn purge_grants(&self, window: Duration, now: Timestamp) -> Result<u64> {
        let mut purged = self
            .purge(
                "DELETE FROM codes WHERE rowid IN (SELECT rowid FROM codes WHERE expires <= ?1 LIMIT 100)",
                &[now.minus(LONGEST_TOKEN_LIFE)],
            )
            .await?;
        loop {
            let mut tx = self.writer.begin().await?;
            let outcome = purge_refresh(tx.connection(), now).await;
            let (tokens, grants) = tx.settle(outcome).await?;
            purged += tokens + grants;
            if tokens < SLICE {
                break;
            }
        }
        // The tokens stay, so that a second use of one is still seen to be one.
        self.purge(
            "UPDATE refresh_tokens SET answer = NULL WHERE rowid IN
             (SELECT rowid FROM refresh_tokens WHERE answer IS NOT NULL AND spent <= ?1 LIMIT 100)",
            &[now.minus(window)],
        )
        .await?;
        Ok(purged)
    }
}

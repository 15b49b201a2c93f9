//! Permanent tokens and application passwords.
//!
//! Invariant: what the gate has to hear of carries the value of the change counter at its last change; whatever takes a
//! credential away, a cascade included, leaves its digest behind (the schema's trigger sees to that).

use async_trait::async_trait;
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{
    SqliteStore, audit,
    changes::{Topic, count, version},
    credential_rows::{PASSWORD, TOKEN, digest, read_known, read_password, read_token},
    errors::{conflict, store_error},
    record::Record,
    revocations::{self, Claim},
};
use crate::{
    base::{
        id::{ServiceId, TokenId, UserId},
        time::Timestamp,
    },
    crypto::digest::TokenDigest,
    model::credential::{ApplicationPassword, CredentialKind, PermanentToken},
    store::{
        Result, StoreError,
        credentials::{CredentialStore, CredentialUse, Credentials},
        described::Described,
    },
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.digest, c.user_id, c.author, c.name, c.created, c.used, c.used_from,
                    c.used_agent,
                    (SELECT json_group_array(s.service) FROM credential_services s WHERE s.credential = c.id)
                        AS scope
             FROM credentials c ",
            $rest
        )
    };
}

/// The name of a kind in messages and conflicts.
const fn what(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::PermanentToken => "permanent token",
        CredentialKind::ApplicationPassword => "application password",
    }
}

const fn column(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::PermanentToken => TOKEN,
        CredentialKind::ApplicationPassword => PASSWORD,
    }
}

/// What both kinds have when they are added.
struct New<'n> {
    kind: CredentialKind,
    id: &'n TokenId,
    digest: &'n TokenDigest,
    user: &'n UserId,
    author: &'n UserId,
    name: &'n str,
    created: Timestamp,
    used: Option<Timestamp>,
    source: Option<(&'n str, &'n str)>,
}

async fn insert(connection: &mut SqliteConnection, new: &New<'_>) -> Result<()> {
    let version = count(connection, Topic::Credentials).await?;
    sqlx::query(
        "INSERT INTO credentials (id, kind, digest, user_id, author, name, created, used, used_from, used_agent,
                                  version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .bind(new.id.as_bytes().as_slice())
    .bind(column(new.kind))
    .bind(new.digest.as_bytes().as_slice())
    .bind(new.user.as_str())
    .bind(new.author.as_str())
    .bind(new.name)
    .bind(new.created.millis())
    .bind(new.used.map(Timestamp::millis))
    .bind(new.source.map(|(address, _)| address))
    .bind(new.source.map(|(_, agent)| agent))
    .bind(version)
    .execute(&mut *connection)
    .await
    .map_err(|e| conflict(e, what(new.kind), "id"))?;
    // A digest that was taken away and comes back is there.
    sqlx::query("DELETE FROM removed_credentials WHERE digest = ?1")
        .bind(new.digest.as_bytes().as_slice())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn add_token(connection: &mut SqliteConnection, token: &PermanentToken) -> Result<()> {
    let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM users WHERE id = ?1")
        .bind(token.user.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    if there.is_none() {
        return Err(StoreError::NotFound { what: "user" });
    }
    let new = New {
        kind: CredentialKind::PermanentToken,
        id: &token.id,
        digest: &token.digest,
        user: &token.user,
        author: &token.author,
        name: &token.name,
        created: token.created,
        used: token.used,
        source: None,
    };
    insert(connection, &new).await?;
    let mut scope: Vec<&ServiceId> = token.scope.iter().collect();
    scope.sort_unstable();
    scope.dedup();
    if scope.is_empty() {
        return Err(StoreError::NotFound { what: "service" });
    }
    for service in scope {
        let added = sqlx::query(
            "INSERT INTO credential_services (credential, service)
             SELECT ?1, ?2 WHERE ?2 = ?3 OR EXISTS (SELECT 1 FROM services WHERE id = ?2)",
        )
        .bind(token.id.as_bytes().as_slice())
        .bind(service.as_str())
        .bind(ServiceId::HUB)
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
        if added.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "service" });
        }
    }
    Ok(())
}

async fn add_password(connection: &mut SqliteConnection, password: &ApplicationPassword) -> Result<()> {
    let (user, made) = (&password.user, password.created);
    revocations::refuse_ended(connection, Claim { user, client: None, session: None, grant: None, made })
        .await?;
    let source = password.used.as_ref();
    let new = New {
        kind: CredentialKind::ApplicationPassword,
        id: &password.id,
        digest: &password.digest,
        user,
        author: user,
        name: &password.name,
        created: made,
        used: source.map(|used| used.at),
        source: source.map(|used| (used.address.as_str(), used.user_agent.as_str())),
    };
    insert(connection, &new).await
}

impl SqliteStore {
    async fn credentials_of(&self, user: &UserId, kind: CredentialKind) -> Result<Vec<SqliteRow>> {
        sqlx::query(select!("WHERE c.user_id = ?1 AND c.kind = ?2 ORDER BY c.created DESC, c.id"))
            .bind(user.as_str())
            .bind(column(kind))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)
    }

    async fn remove_credential<C: Described>(
        &self,
        (user, kind, id): (&UserId, CredentialKind, &TokenId),
        read: fn(&SqliteRow) -> Result<C>,
    ) -> Result<bool> {
        let mut tx = self.writer.begin().await?;
        let row = sqlx::query(select!("WHERE c.id = ?1 AND c.user_id = ?2 AND c.kind = ?3"))
            .bind(id.as_bytes().as_slice())
            .bind(user.as_str())
            .bind(column(kind))
            .fetch_optional(tx.connection())
            .await
            .map_err(store_error)?;
        let Some(row) = row else {
            tx.abandon().await?;
            return Ok(false);
        };
        let before = read(&row)?;
        sqlx::query("DELETE FROM credentials WHERE id = ?1")
            .bind(id.as_bytes().as_slice())
            .execute(tx.connection())
            .await
            .map_err(store_error)?;
        audit::changed(tx.connection(), &self.author, Some(&before), None).await?;
        tx.commit().await?;
        Ok(true)
    }
}

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn add_permanent_token(&self, token: &PermanentToken) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let mut outcome = add_token(tx.connection(), token).await;
        if outcome.is_ok() {
            outcome = audit::changed(tx.connection(), &self.author, None, Some(token)).await;
        }
        tx.settle(outcome).await
    }

    async fn list_permanent_tokens(&self, user: &UserId) -> Result<Vec<PermanentToken>> {
        let rows = self.credentials_of(user, CredentialKind::PermanentToken).await?;
        rows.iter().map(read_token).collect()
    }

    async fn remove_permanent_token(&self, user: &UserId, id: &TokenId) -> Result<bool> {
        self.remove_credential((user, CredentialKind::PermanentToken, id), read_token).await
    }

    async fn add_application_password(&self, password: &ApplicationPassword) -> Result<()> {
        let mut tx = self.writer.begin().await?;
        let mut outcome = add_password(tx.connection(), password).await;
        if outcome.is_ok() {
            outcome = audit::changed(tx.connection(), &self.author, None, Some(password)).await;
        }
        tx.settle(outcome).await
    }

    async fn list_application_passwords(&self, user: &UserId) -> Result<Vec<ApplicationPassword>> {
        let rows = self.credentials_of(user, CredentialKind::ApplicationPassword).await?;
        rows.iter().map(read_password).collect()
    }

    async fn remove_application_password(&self, user: &UserId, id: &TokenId) -> Result<bool> {
        self.remove_credential((user, CredentialKind::ApplicationPassword, id), read_password).await
    }

    async fn note_uses(&self, uses: &[CredentialUse]) -> Result<()> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut tx = self.writer.begin().await?;
        for used in uses {
            let (address, agent) = used.source.as_ref().map(|(a, u)| (a.as_str(), u.as_str())).unzip();
            sqlx::query(
                "UPDATE credentials
                 SET used = ?2, used_from = coalesce(?3, used_from), used_agent = coalesce(?4, used_agent)
                 WHERE id = ?1 AND (used IS NULL OR used < ?2)",
            )
            .bind(used.id.as_bytes().as_slice())
            .bind(used.at.millis())
            .bind(address)
            .bind(agent)
            .execute(tx.connection())
            .await
            .map_err(store_error)?;
        }
        tx.commit().await
    }

    async fn credentials(&self, since: i64) -> Result<Credentials> {
        // One transaction, so that the number and what it counts are of one moment.
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let version = version(&mut tx, Topic::Credentials).await?;
        let since = if since > version { 0 } else { since };
        let changed = sqlx::query(select!("WHERE c.version > ?1"))
            .bind(since)
            .fetch_all(&mut *tx)
            .await
            .map_err(store_error)?;
        let changed = changed.iter().map(read_known).collect::<Result<_>>()?;
        if since == 0 {
            return Ok(Credentials { version, changed, removed: Vec::new() });
        }
        let removed = sqlx::query("SELECT digest FROM removed_credentials WHERE version > ?1")
            .bind(since)
            .fetch_all(&mut *tx)
            .await
            .map_err(store_error)?;
        let removed =
            removed.iter().map(|row| digest(&Record::named(row, "removed credential", String::new())));
        Ok(Credentials { version, changed, removed: removed.collect::<Result<_>>()? })
    }
}

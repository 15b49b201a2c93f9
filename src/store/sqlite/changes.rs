//! Change counters.
//!
//! Invariant: a counter grows in the very transaction that changes what it counts, so that whoever sees the new
//! number also sees the change.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::{SqliteStore, errors::store_error};
use crate::store::{ChangeFeed, Result, StoreError, Versions};

/// What is counted; the names are those in the table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Topic {
    Services,
    Keys,
    Revocations,
    Users,
    Credentials,
}

impl Topic {
    const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Keys => "keys",
            Self::Revocations => "revocations",
            Self::Users => "users",
            Self::Credentials => "credentials",
        }
    }
}

/// Counts one change within the transaction that is open on `connection`; returns the new number.
pub(super) async fn count(connection: &mut SqliteConnection, topic: Topic) -> Result<i64> {
    let counted: Vec<i64> =
        sqlx::query_scalar("UPDATE changes SET version = version + 1 WHERE topic = ?1 RETURNING version")
            .bind(topic.name())
            .fetch_all(connection)
            .await
            .map_err(store_error)?;
    counted.first().copied().ok_or_else(|| missing(topic))
}

/// The number as `connection` sees it.
pub(super) async fn version(connection: &mut SqliteConnection, topic: Topic) -> Result<i64> {
    sqlx::query_scalar("SELECT version FROM changes WHERE topic = ?1")
        .bind(topic.name())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?
        .ok_or_else(|| missing(topic))
}

fn missing(topic: Topic) -> StoreError {
    StoreError::Damaged(format!("the change counter {:?} is missing", topic.name()))
}

#[async_trait]
impl ChangeFeed for SqliteStore {
    async fn versions(&self) -> Result<Versions> {
        let rows = sqlx::query("SELECT topic, version FROM changes")
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let topic: String = row.try_get("topic").map_err(store_error)?;
            let version: i64 = row.try_get("version").map_err(store_error)?;
            found.push((topic, version));
        }
        let version = |topic: Topic| {
            let found = found.iter().find(|(name, _)| name == topic.name());
            found.map(|(_, version)| *version).ok_or_else(|| missing(topic))
        };
        Ok(Versions {
            services: version(Topic::Services)?,
            keys: version(Topic::Keys)?,
            revocations: version(Topic::Revocations)?,
            users: version(Topic::Users)?,
            credentials: version(Topic::Credentials)?,
        })
    }

    async fn in_place(&self) -> Result<()> {
        self.home.in_place()
    }
}

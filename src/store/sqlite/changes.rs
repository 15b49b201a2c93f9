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
}

impl Topic {
    const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Keys => "keys",
            Self::Revocations => "revocations",
        }
    }
}

/// Counts one change within the transaction that is open on `connection`.
pub(super) async fn count(connection: &mut SqliteConnection, topic: Topic) -> Result<()> {
    let updated = sqlx::query("UPDATE changes SET version = version + 1 WHERE topic = ?1")
        .bind(topic.name())
        .execute(connection)
        .await
        .map_err(store_error)?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(missing(topic)) }
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
        })
    }
}

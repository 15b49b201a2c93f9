//! The schema's versions.
//!
//! Invariant: a version that was ever released is never edited; a change is a new one.

use sqlx::{
    SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};

use super::errors::{migration_error, store_error};
use crate::store::{Result, StoreError};

/// What `PRAGMA application_id` says in a database of ours; the first version sets it.
pub(super) const APPLICATION_ID: i64 = 0x6875_6267;

const VERSIONS: [(i64, &str, &str); 9] = [
    (1, "registry", include_str!("migrations/0001_registry.sql")),
    (2, "people", include_str!("migrations/0002_people.sql")),
    (3, "credentials", include_str!("migrations/0003_credentials.sql")),
    (4, "directory", include_str!("migrations/0004_directory.sql")),
    (5, "audit", include_str!("migrations/0005_audit.sql")),
    (6, "second step", include_str!("migrations/0006_second_step.sql")),
    (7, "usage", include_str!("migrations/0007_usage.sql")),
    (8, "links", include_str!("migrations/0008_links.sql")),
    (9, "spelling", include_str!("migrations/0009_spelling.sql")),
];

/// Brings the schema up to date, each version in a transaction of its own. The caller holds the setup lock, because
/// sqlx has none for SQLite.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    migrate_to(VERSIONS.len(), connection).await
}

/// Refuses a schema that has not exactly the versions that are known here.
pub(super) async fn refuse_other(connection: &mut SqliteConnection) -> Result<()> {
    // The table of sqlx's own; nothing else than a number of ours is in the column.
    let known: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    if known.iter().copied().eq(VERSIONS.iter().map(|(version, ..)| *version)) {
        return Ok(());
    }
    Err(StoreError::Unavailable(
        "its schema is of another version of hubgate; the next start changes that".into(),
    ))
}

/// Refuses a schema of a newer version; an older one is brought up to date by the next start.
pub(super) async fn refuse_newer(connection: &mut SqliteConnection) -> Result<()> {
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    if VERSIONS.last().is_some_and(|(known, ..)| newest <= *known) {
        return Ok(());
    }
    Err(StoreError::Damaged("its schema is of a newer version of hubgate".into()))
}

/// As [`migrate`], with the first `count` versions only.
pub(super) async fn migrate_to(count: usize, connection: &mut SqliteConnection) -> Result<()> {
    let versions = VERSIONS.into_iter().take(count).map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    // The future of sqlx's `run` cannot move between threads; this is the part of it that can.
    Migrator::with_migrations(versions.collect())
        .run_direct(None, connection, false)
        .await
        .map_err(migration_error)
}

//! The schema's versions.
//!
//! Invariant: a version that was ever released is never edited; a change is a new one.

use sqlx::{
    SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};

use super::errors::migration_error;
use crate::store::Result;

/// What `PRAGMA application_id` says in a database of ours; the first version sets it.
pub(super) const APPLICATION_ID: i64 = 0x6875_6267;

const VERSIONS: [(i64, &str, &str); 1] = [(1, "registry", include_str!("migrations/0001_registry.sql"))];

/// Brings the schema up to date, each version in a transaction of its own. The caller holds the setup lock, because
/// sqlx has none for SQLite.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let versions = VERSIONS.map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    // The future of sqlx's `run` cannot move between threads; this is the part of it that can.
    Migrator::with_migrations(versions.into())
        .run_direct(None, connection, false)
        .await
        .map_err(migration_error)
}

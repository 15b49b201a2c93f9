//! The SQLite store keeps the contract.

use std::sync::Arc;

use async_trait::async_trait;
use hubgate::store::{SharedStore, sqlite::SqliteStore};
use tempfile::TempDir;

use super::conformance::{Backend, conformance};

/// A database in a folder of its own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Backend for Folder {
    async fn open(&self) -> SharedStore {
        Arc::new(SqliteStore::open(&self.0.path().join("hubgate.db")).await.unwrap())
    }
}

conformance!(Folder::new());

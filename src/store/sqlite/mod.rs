//! The store in one SQLite file, for a gateway that runs alone.
//!
//! Readers have a few connections of their own and are never held up by a write (WAL); every write is one transaction
//! that is on the disk (`synchronous = FULL`) before it is acknowledged.
//!
//! Invariant: several processes (the gateway, a command) may have the file open at once, but only one changes its schema.

mod audit;
pub mod backup;
mod changes;
mod codes;
mod consents;
mod credential_cascades;
mod credential_rows;
mod credentials;
mod errors;
mod events;
mod grants;
mod groups;
mod holdings;
mod home;
mod keeper;
mod keys;
mod links;
mod merges;
mod nesting;
mod record;
mod redirects;
mod refold;
mod refresh;
mod revocations;
mod schema;
mod search;
mod second_step;
mod services;
mod sessions;
mod setup;
mod usage;
mod user_names;
mod users;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

use self::{errors::store_error, home::Home, setup::Ready, writer::Writer};
use super::Result;
use crate::{base::time::Timestamp, model::event::Author};

/// How long a statement waits for another process to release its lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a read waits for a connection.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads are short and rare (the data plane has its own copy); more connections would only cost memory.
const READERS: u32 = 4;

/// The size down to which SQLite cuts its log after having emptied it, so that one burst does not occupy the disk for ever.
const LOG_LIMIT: &str = "16777216";

/// What the writing connection may keep of the file, in KiB below zero: what one transaction changes should fit. Taken
/// as it is needed, so a small database does not cost it.
const WRITER_CACHE: &str = "-16384";

/// Pages of the log from which on a commit moves them itself, should [`keeper`] not have done so long before.
const LONGEST_LOG: &str = "10000";

/// How many rows a connection's thread may be ahead of who reads them: with fewer, long lists are a ping-pong.
const ROWS_AHEAD: usize = 1024;

/// The most rows that one statement of [`SqliteStore::purge`] takes; they all say so themselves.
const SLICE: u64 = 100;

/// The store in one SQLite file.
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    /// Whose writes the audit log says that these are.
    author: Arc<Author>,
    home: Arc<Home>,
}

impl SqliteStore {
    /// Opens the database at `path`, after having made it, its folder and its schema where they are missing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](super::StoreError::Unavailable) when the folder or file cannot be written to or
    /// another process keeps it locked; [`StoreError::Damaged`](super::StoreError::Damaged) when the file is corrupt,
    /// no database, another program's or a newer hubgate's. The message names the path.
    pub async fn open(path: &Path) -> Result<Self> {
        let ready = setup::prepare(path).await?;
        let options = writing(&ready.path);
        Self::of(ready, options)
    }

    /// Opens the database at `path` for reading, if there is one: every write is refused. Nothing is made, and a schema that is
    /// not this version's is left as it is.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; [`StoreError::Unavailable`](super::StoreError::Unavailable) when the schema is older.
    pub async fn open_to_read(path: &Path) -> Result<Option<Self>> {
        let Some(ready) = setup::find(path).await? else { return Ok(None) };
        let options = reading(&ready.path);
        Self::of(ready, options).map(Some)
    }

    fn of(ready: Ready, writing: SqliteConnectOptions) -> Result<Self> {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(reading(&ready.path));
        let home = Arc::new(Home::of(ready.path)?);
        let writer = Writer::new(ready.connection, writing);
        Ok(Self { readers, writer, author: Arc::new(Author::gateway()), home })
    }

    /// Lets what runs end, then closes the file. Every later use is refused.
    pub async fn close(&self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await
    }

    /// Repeats `statement`, which deletes at most [`SLICE`] rows, until it finds fewer. Each time is a transaction of its
    /// own, so that other writes wait for a slice and not for all that is over.
    async fn purge(&self, statement: &'static str, times: &[Timestamp]) -> Result<u64> {
        let mut purged = 0;
        loop {
            let mut tx = self.writer.begin().await?;
            let query = times.iter().fold(sqlx::query(statement), |query, time| query.bind(time.millis()));
            let slice = query.execute(tx.connection()).await.map_err(store_error)?.rows_affected();
            tx.commit().await?;
            purged += slice;
            if slice < SLICE {
                return Ok(purged);
            }
        }
    }
}

/// How every connection is made. The file must exist: [`setup`] alone makes it.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", LOG_LIMIT)
        // A file that somebody has tampered with must not run functions or crash the reader.
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .row_buffer_size(ROWS_AHEAD)
        .thread_name(|n| format!("hubgate-sqlite-{n}"))
        .disable_statement_logging()
}

/// How connections are made that do not write.
fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("query_only", "ON")
}

/// How the connection that writes is made.
fn writing(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", LONGEST_LOG)
}

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;

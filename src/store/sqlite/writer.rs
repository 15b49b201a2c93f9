//! The one connection that writes, and its transactions.
//!
//! SQLite has one writer at a time in any case; queueing for it in here is fair and needs no polling, and what
//! SQLite's own lock then waits for is other processes only.
//!
//! Invariant: a transaction begins with the write lock (`BEGIN IMMEDIATE`), so that what it reads cannot change before
//! it writes; a connection whose transaction did not end as it should is closed, so that nothing is left open in it and
//! a file whose `fsync` has failed is opened anew before it is written again.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, MutexGuard};

use super::errors::store_error;
use crate::store::{Result, StoreError};

/// How long a write waits for its turn before it gives up.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// The queue in front of the connection that writes.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    slot: Mutex<Slot>,
}

enum Slot {
    /// Nobody writes.
    Ready(SqliteConnection),
    /// The last transaction ended badly; the next one connects.
    Empty,
    /// The store was closed.
    Closed,
}

impl Writer {
    /// A writer that goes on with `connection` and makes new ones with `options`.
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        Self { options, slot: Mutex::new(Slot::Ready(connection)) }
    }

    /// Waits for its turn and begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction<'_>> {
        let mut slot = tokio::time::timeout(QUEUE_TIMEOUT, self.slot.lock())
            .await
            .map_err(|_| StoreError::Unavailable("too many writes are waiting".into()))?;
        let mut connection = match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Ready(connection) => connection,
            Slot::Empty => self.options.connect().await.map_err(store_error)?,
            Slot::Closed => {
                *slot = Slot::Closed;
                return Err(StoreError::Unavailable("the store is closed".into()));
            }
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.map_err(store_error)?;
        Ok(Transaction { slot, connection })
    }

    /// Lets the transaction that runs end, and closes. SQLite moves the log into the database then if it can.
    pub(super) async fn close(&self) -> Result<()> {
        let mut slot = self.slot.lock().await;
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Ready(connection) => connection.close().await.map_err(store_error),
            Slot::Empty | Slot::Closed => Ok(()),
        }
    }
}

/// A transaction that has the write lock. Dropped without [`Transaction::commit`], it leaves nothing behind.
pub(super) struct Transaction<'w> {
    slot: MutexGuard<'w, Slot>,
    connection: SqliteConnection,
}

impl Transaction<'_> {
    /// The connection, for statements.
    pub(super) const fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Ends it as `outcome` says: what was refused leaves nothing behind.
    pub(super) async fn settle<T>(self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Ok(value) => self.commit().await.map(|()| value),
            Err(refusal @ (StoreError::Conflict { .. } | StoreError::NotFound { .. })) => {
                self.abandon().await?;
                Err(refusal)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Makes it durable; only after this may anybody be told.
    pub(super) async fn commit(self) -> Result<()> {
        self.end("COMMIT").await
    }

    /// Gives it up because there is nothing to change, which is cheaper than dropping it.
    pub(super) async fn abandon(self) -> Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> Result<()> {
        sqlx::query(statement).execute(&mut self.connection).await.map_err(store_error)?;
        *self.slot = Slot::Ready(self.connection);
        Ok(())
    }
}

//! Moves what is in the write-ahead log into the database, beside the writes.
//!
//! Left to itself, SQLite does that within the commit that makes the log long, and everybody who shares that commit waits for
//! the disk once more, several times as long. Here a connection of its own does it, in the mode in which nobody waits for
//! it (`PASSIVE`). Only when all of the log has been moved does it begin anew, and while others write there is always something
//! left; so from a certain length on the writer moves the rest itself, which is little by then, between two transactions.
//!
//! Invariant: nothing depends on it. Where it fails the log grows until SQLite moves it as it always would
//! ([`super::LONGEST_LOG`]).

use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{errors::store_error, writer::Request};
use crate::store::Result;

/// After how many writes there is something to be moved: some hundreds of pages.
const WRITES: usize = 200;

/// From how many pages in the log on the writer is asked to move the rest.
const LONG: i64 = 2000;

/// What the writer has of it.
pub(super) struct Keeper {
    due: mpsc::Sender<()>,
    task: JoinHandle<()>,
    writes: usize,
}

impl Keeper {
    /// One that connects with `options` when there is something to do, and asks the writer by its queue.
    pub(super) fn start(options: SqliteConnectOptions, queue: mpsc::WeakSender<Request>) -> Self {
        let (due, told) = mpsc::channel(1);
        Self { due, task: tokio::spawn(keep(options, queue, told)), writes: 0 }
    }

    /// So many writes are on the disk.
    pub(super) fn written(&mut self, writes: usize) {
        self.writes += writes;
        // While it is still at it, it is told with the next.
        if self.writes >= WRITES && self.due.try_send(()).is_ok() {
            self.writes = 0;
        }
    }

    /// Lets it end what it does and closes its connection.
    pub(super) async fn close(self) {
        drop(self.due);
        // Its panic would be in the log.
        let _ = self.task.await;
    }
}

async fn keep(options: SqliteConnectOptions, queue: mpsc::WeakSender<Request>, mut told: mpsc::Receiver<()>) {
    let mut kept = None;
    while told.recv().await.is_some() {
        match moved_with(kept.take(), &options, &queue).await {
            Ok(connection) => kept = Some(connection),
            Err(error) => tracing::warn!(%error, "the store's log could not be moved into the database"),
        }
    }
    if let Some(connection) = kept {
        let _ = connection.close().await;
    }
}

async fn moved_with(
    kept: Option<SqliteConnection>,
    options: &SqliteConnectOptions,
    queue: &mpsc::WeakSender<Request>,
) -> Result<SqliteConnection> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => options.connect().await.map_err(store_error)?,
    };
    if checkpoint(&mut connection).await? >= LONG {
        // What was written during the first.
        checkpoint(&mut connection).await?;
        if let Some(queue) = queue.upgrade() {
            // Full of writes, or closed: another time.
            let _ = queue.try_send(Request::MoveLog);
        }
    }
    Ok(connection)
}

/// Moves what can be moved without waiting for anybody; how many pages there are in the log.
pub(super) async fn checkpoint(connection: &mut SqliteConnection) -> Result<i64> {
    let row =
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await.map_err(store_error)?;
    row.try_get("log").map_err(store_error)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use super::{super::SqliteStore, *};

    /// Bytes of one write, about ten pages.
    const WRITE: usize = 40_000;

    fn length(path: &Path) -> usize {
        fs::metadata(path).map_or(0, |file| usize::try_from(file.len()).unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_is_moved_beside_the_writes_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let log = folder.path().join("a.db-wal");
        let store = SqliteStore::open(&path).await.unwrap();
        let write = async |statement: &'static str| {
            let mut tx = store.writer.begin().await.unwrap();
            sqlx::query(statement).execute(tx.connection()).await.unwrap();
            tx.commit().await.unwrap();
        };
        write("CREATE TABLE filler (bytes BLOB)").await;
        let rounds = 5;
        for round in 1..=rounds {
            for _ in 0..WRITES {
                write("INSERT INTO filler (bytes) VALUES (zeroblob(40000))").await;
            }
            // What was written stands in the database itself only when somebody has moved it there.
            let mut patience = 0..1000;
            while length(&path) < round * WRITES * WRITE * 9 / 10 {
                assert!(patience.next().is_some(), "{round}: {} in the database", length(&path));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let (written, log_is) = (rounds * WRITES * WRITE, length(&log));
        assert!(log_is < written * 3 / 4, "the log has {log_is} bytes of {written}");
        let count: usize = {
            let mut connection = store.readers.acquire().await.unwrap();
            let count: i64 =
                sqlx::query_scalar("SELECT count(*) FROM filler").fetch_one(&mut *connection).await.unwrap();
            usize::try_from(count).unwrap()
        };
        assert_eq!(count, rounds * WRITES);
        store.close().await.unwrap();
        assert!(!log.exists(), "the last connection to close removes it");
    }

    #[tokio::test]
    async fn a_store_that_is_given_up_leaves_nobody_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let (queue, requests) = mpsc::channel(1);
        let mut keeper = Keeper::start(super::super::options(&path), queue.downgrade());
        keeper.written(WRITES - 1);
        assert_eq!(keeper.writes, WRITES - 1, "not yet");
        keeper.written(1);
        assert_eq!(keeper.writes, 0);
        drop((queue, requests));
        keeper.close().await;
        store.close().await.unwrap();
    }
}

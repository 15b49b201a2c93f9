//! The one connection that writes, and its transactions.
//!
//! SQLite has one writer at a time in any case; queueing for it in here is fair and needs no polling, and what
//! SQLite's own lock then waits for is other processes only. What a write costs is the disk's confirmation, so the
//! writes that wait at the same time share one (group commit): a task of its own opens a transaction, lends the connection
//! to one after the other, each within a savepoint, and tells all of them when the disk has confirmed.
//!
//! Invariants: a transaction begins with the write lock (`BEGIN IMMEDIATE`), so that what it reads cannot change before
//! it writes. What is refused, fails or is given up leaves nothing behind and takes nobody along who shares the
//! transaction; unless SQLite itself has undone it, which all of them are told. Nobody hears of the end of its own
//! part, a refusal or a reading included, before all that it may have seen is on the disk. A connection in which
//! something did not end as it should is closed, so that a file whose `fsync` has failed is opened anew before it is
//! written again.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc, oneshot},
    time::Instant,
};

use super::{
    errors::store_error,
    keeper::{self, Keeper},
};
use crate::store::{Result, StoreError};

/// How long a write waits for its turn before it gives up.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many wait inside of the queue; more wait before it.
const QUEUE: usize = 1024;

/// The most writes that share a transaction, and the time after which none is added, so that the first of them does not
/// wait for long and other processes get the lock.
const SHARED: usize = 128;
const SHARED_TIME: Duration = Duration::from_millis(5);

/// The queue in front of the connection that writes; its copies share it.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
}

pub(super) enum Request {
    /// To be lent the connection.
    Lend(oneshot::Sender<Result<Transaction>>),
    /// To move what is left of the log into the database.
    MoveLog,
    /// To close it.
    Close(oneshot::Sender<Result<()>>),
}

/// How a part of a shared transaction ends, unless its [`Transaction`] is dropped, and who waits for the disk.
enum End {
    Keep(oneshot::Sender<Result<()>>),
    Undo(oneshot::Sender<Result<()>>),
}

/// A transaction that has the write lock. Dropped without [`Transaction::commit`], it leaves nothing behind.
pub(super) struct Transaction {
    // In this order: the connection is free when the end is known.
    connection: OwnedMutexGuard<SqliteConnection>,
    end: oneshot::Sender<End>,
}

impl Writer {
    /// A writer that goes on with `connection` and makes new ones with `options`. Its task ends with its last copy.
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        Self::sharing(connection, options, SHARED_TIME)
    }

    /// The same with a time of its own in place of [`SHARED_TIME`].
    pub(super) fn sharing(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        time: Duration,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let keeper = Keeper::start(options.clone(), queue.downgrade());
        tokio::spawn(Desk { options, time, requests, keeper, connection: Some(connection) }.serve());
        Self { queue }
    }

    /// Waits for its turn and begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction> {
        let (lend, turn) = oneshot::channel();
        let turn = async {
            self.queue.send(Request::Lend(lend)).await.map_err(|_| closed())?;
            turn.await.map_err(|_| closed())?
        };
        let in_time = tokio::time::timeout(QUEUE_TIMEOUT, turn).await;
        in_time.map_err(|_| StoreError::Unavailable("too many writes are waiting".into()))?
    }

    /// Lets the transactions that wait end, and closes. SQLite moves the log into the database then if it can.
    pub(super) async fn close(&self) -> Result<()> {
        let (close, done) = oneshot::channel();
        if self.queue.send(Request::Close(close)).await.is_err() {
            return Ok(());
        }
        done.await.unwrap_or(Ok(()))
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Transaction {
    /// The connection, for statements.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Makes it durable; only after this may anybody be told.
    pub(super) async fn commit(self) -> Result<()> {
        self.end(End::Keep).await
    }

    /// Gives it up because there is nothing to change, which is cheaper than dropping it. What it has read is on the disk
    /// afterwards.
    pub(super) async fn abandon(self) -> Result<()> {
        self.end(End::Undo).await
    }

    /// Ends it as `outcome` says: what was refused leaves nothing behind.
    pub(super) async fn settle<T>(self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Ok(value) => self.commit().await.map(|()| value),
            Err(
                refusal
                @ (StoreError::Conflict { .. } | StoreError::NotFound { .. } | StoreError::Against(_)),
            ) => {
                self.abandon().await?;
                Err(refusal)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn end(self, how: impl FnOnce(oneshot::Sender<Result<()>>) -> End) -> Result<()> {
        let (confirm, confirmed) = oneshot::channel();
        let Self { connection, end } = self;
        drop(connection);
        end.send(how(confirm)).map_err(|_| closed())?;
        confirmed.await.map_err(|_| closed())?
    }
}

/// The task that has the connection.
struct Desk {
    options: SqliteConnectOptions,
    time: Duration,
    requests: mpsc::Receiver<Request>,
    keeper: Keeper,
    /// `None` after something ended badly; the next transaction connects.
    connection: Option<SqliteConnection>,
}

impl Desk {
    async fn serve(mut self) {
        let mut next = None;
        loop {
            let request = match next.take() {
                Some(request) => request,
                None => match self.requests.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            match request {
                Request::Lend(first) => next = self.share(first).await,
                Request::MoveLog => self.move_log().await,
                Request::Close(done) => {
                    // The last connection that closes removes the log.
                    self.keeper.close().await;
                    let closed = match self.connection.take() {
                        Some(connection) => connection.close().await.map_err(store_error),
                        None => Ok(()),
                    };
                    // Whoever asked may have gone.
                    let _ = done.send(closed);
                    return;
                }
            }
        }
    }

    /// Runs one shared transaction, begun for `first`. Returns the request that ended it, if one did.
    async fn share(&mut self, first: oneshot::Sender<Result<Transaction>>) -> Option<Request> {
        if first.is_closed() {
            return None;
        }
        let connection = match self.begin().await {
            Ok(connection) => connection,
            Err(error) => {
                let _ = first.send(Err(error));
                return None;
            }
        };
        let mut shared =
            Shared { connection: Arc::new(Mutex::new(connection)), kept: false, waiting: Vec::new() };
        let deadline = Instant::now() + self.time;
        let (mut lend, mut left) = (first, SHARED);
        let (sound, next) = loop {
            let sound = shared.run(lend).await;
            left -= 1;
            if sound != Sound::Yes || left == 0 || Instant::now() >= deadline {
                break (sound, None);
            }
            match self.requests.try_recv() {
                Ok(Request::Lend(next)) => lend = next,
                Ok(other) => break (sound, Some(other)),
                Err(_) => break (sound, None),
            }
        };
        self.keeper.written(shared.waiting.len());
        self.connection = shared.end(sound).await;
        next
    }

    /// All that is left in the log, so that the next transaction begins it anew.
    async fn move_log(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match keeper::checkpoint(&mut connection).await {
            Ok(_) => self.connection = Some(connection),
            Err(error) => tracing::warn!(%error, "the store's log could not be moved into the database"),
        }
    }

    async fn begin(&mut self) -> Result<SqliteConnection> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(store_error)?,
        };
        execute(&mut connection, "BEGIN IMMEDIATE; SAVEPOINT part").await?;
        Ok(connection)
    }
}

/// In which state a part has left the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sound {
    Yes,
    /// A part did not end as it should; the others are as they were.
    Doubtful,
    /// There is no transaction any more.
    Lost,
}

/// A transaction in which each part has a savepoint.
struct Shared {
    connection: Arc<Mutex<SqliteConnection>>,
    /// Whether the savepoint that is open is that of a part which is to be kept.
    kept: bool,
    /// Who waits for the disk.
    waiting: Vec<oneshot::Sender<Result<()>>>,
}

impl Shared {
    /// Lends the connection and waits until it is back.
    async fn run(&mut self, lend: oneshot::Sender<Result<Transaction>>) -> Sound {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        if std::mem::take(&mut self.kept)
            && execute(&mut connection, "RELEASE part; SAVEPOINT part").await.is_err()
        {
            let _ = lend.send(Err(undone()));
            return Sound::Lost;
        }
        let (end, ended) = oneshot::channel();
        if lend.send(Ok(Transaction { connection, end })).is_err() {
            // Given up while it waited: nothing was begun.
            return Sound::Yes;
        }
        let sound = match ended.await {
            Ok(End::Keep(confirm)) => {
                self.waiting.push(confirm);
                self.kept = true;
                return Sound::Yes;
            }
            Ok(End::Undo(confirm)) => {
                self.waiting.push(confirm);
                Sound::Yes
            }
            Err(_) => Sound::Doubtful,
        };
        match execute(&mut *self.connection.lock().await, "ROLLBACK TO part").await {
            Ok(()) => sound,
            Err(_) => Sound::Lost,
        }
    }

    /// Waits for the disk and tells everybody. Returns the connection if it may be used again.
    async fn end(self, sound: Sound) -> Option<SqliteConnection> {
        let connection = Arc::into_inner(self.connection).map(Mutex::into_inner);
        let (outcome, connection) = match connection {
            Some(mut connection) if sound != Sound::Lost => match execute(&mut connection, "COMMIT").await {
                Ok(()) => (Ok(()), (sound == Sound::Yes).then_some(connection)),
                Err(error) => (Err(error), None),
            },
            _ => (Err(undone()), None),
        };
        for confirm in self.waiting {
            // Whoever waited may have gone.
            let _ = confirm.send(match &outcome {
                Ok(()) => Ok(()),
                Err(StoreError::Damaged(text)) => Err(StoreError::Damaged(text.clone())),
                Err(StoreError::Unavailable(text)) => Err(StoreError::Unavailable(text.clone())),
                Err(_) => Err(undone()),
            });
        }
        connection
    }
}

fn undone() -> StoreError {
    StoreError::Unavailable("another write failed and took along what shared its transaction".into())
}

async fn execute(connection: &mut SqliteConnection, statement: &'static str) -> Result<()> {
    sqlx::query(statement).execute(connection).await.map_err(store_error)?;
    Ok(())
}

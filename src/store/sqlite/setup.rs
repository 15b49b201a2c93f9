//! Makes a database where there is none, and makes sure that the one that is there is sound, ours and up to date.
//!
//! Invariants: under the final name there is never a half-made database, because a new one is made under another name
//! and renamed; what is made is for its owner only; setup runs in one process at a time, under a lock file beside the
//! database; the database file itself is opened by SQLite only, because closing any other handle to it would drop the
//! locks that SQLite holds in this process.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::time::{Instant, sleep};

use super::{
    BUSY_TIMEOUT,
    errors::{file_error, store_error, within},
    options, reading, refold, schema, search, writing,
};
use crate::store::{Result, StoreError};

/// Up to this size the whole file is checked at every start, which takes well under a second; above it, only what is
/// read is checked as it is read.
const CHECKED_SIZE: u64 = 64 << 20;

const LOCK_POLL: Duration = Duration::from_millis(20);

/// A database that may be used.
pub(super) struct Ready {
    /// Its absolute path without symbolic links.
    pub(super) path: PathBuf,
    /// A connection for writing.
    pub(super) connection: SqliteConnection,
}

/// Makes or checks the database at `path`.
pub(super) async fn prepare(path: &Path) -> Result<Ready> {
    let path = locate(path)?;
    // Before the lock, so that nothing is left beside what is no database.
    if let Ok(metadata) = fs::metadata(&path)
        && !metadata.is_file()
    {
        let kind = if metadata.is_dir() { "a folder" } else { "a device or the like" };
        return Err(StoreError::Damaged(format!("{}: this is {kind}, not a database file", path.display())));
    }
    let lock = lock(&beside(&path, ".lock")).await?;
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make(&path).await?;
            fs::metadata(&path).map_err(|e| file_error("read", &path, &e))?
        }
        Err(e) => return Err(file_error("read", &path, &e)),
    };
    let connection = check(&path, &metadata).await.map_err(|e| within(e, path.display()))?;
    drop(lock);
    Ok(Ready { path, connection })
}

/// The database at `path`, if there is one, for reading. Neither made nor brought up to date.
pub(super) async fn find(path: &Path) -> Result<Option<Ready>> {
    let path = match fs::canonicalize(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|e| file_error("find", path, &e))?,
    };
    let mut connection = reading(&path).connect().await.map_err(store_error)?;
    refuse_foreign(&mut connection).await?;
    schema::refuse_other(&mut connection).await?;
    Ok(Some(Ready { path, connection }))
}

/// The absolute path without symbolic links, so that a database has one lock file by whatever name it is opened.
fn locate(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|e| file_error("find", path, &e))?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(StoreError::Damaged(format!("{} does not name a file", path.display())));
    };
    make_folder(folder)?;
    match fs::canonicalize(&absolute) {
        Ok(real) => Ok(real),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Ok(fs::canonicalize(folder).map_err(|e| file_error("find", folder, &e))?.join(name))
        }
        Err(e) => Err(file_error("find", &absolute, &e)),
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|f| !f.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| file_error("make the folder", folder, &e))?;
    for parent in missing.iter().filter_map(|f| f.parent()) {
        sync_folder(parent)?;
    }
    Ok(())
}

/// A name in a folder survives a power failure only when the folder has been synchronised too.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| file_error("synchronise", folder, &e))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the setup lock; dropping the file releases it. The file stays: removing it would let two processes lock two files.
async fn lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| file_error("write", path, &e))?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_POLL).await,
            Err(TryLockError::WouldBlock) => {
                let text = "another process has been preparing the database for too long";
                return Err(StoreError::Unavailable(format!("{}: {text}", path.display())));
            }
            Err(TryLockError::Error(e)) => return Err(file_error("lock", path, &e)),
        }
    }
}

/// Makes a new database under another name and gives it its own when it is complete.
async fn make(path: &Path) -> Result<()> {
    let log = beside(path, "-wal");
    if log.exists() {
        // SQLite would play it back into the new file.
        return Err(StoreError::Damaged(format!(
            "{} is missing but its log {} is there: restore the database, or remove the log to begin anew",
            path.display(),
            log.display()
        )));
    }
    let draft = beside(path, ".new");
    for leftover in ["", "-wal", "-shm", "-journal"].map(|suffix| beside(&draft, suffix)) {
        match fs::remove_file(&leftover) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(file_error("remove", &leftover, &e)),
            _ => {}
        }
    }
    // SQLite gives its log and shared memory the mode of the database.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|e| file_error("make", &draft, &e))?;

    let written = async {
        let mut connection = options(&draft).connect().await.map_err(store_error)?;
        use_log(&mut connection).await?;
        schema::migrate(&mut connection).await?;
        connection.close().await.map_err(store_error)
    };
    written.await.map_err(|e| within(e, draft.display()))?;
    if beside(&draft, "-wal").exists() {
        return Err(StoreError::Unavailable(format!("{}: its log could not be merged", draft.display())));
    }
    fs::rename(&draft, path).map_err(|e| file_error("rename to", path, &e))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Opens a database and refuses to use it unless it is sound, ours and up to date.
async fn check(path: &Path, metadata: &fs::Metadata) -> Result<SqliteConnection> {
    if metadata.len() == 0 {
        // SQLite would take it for a new database: services that were there would silently be gone.
        let text =
            "the file is empty, which no database of ours ever is: restore it, or remove it to begin anew";
        return Err(StoreError::Damaged(text.into()));
    }
    // While there is a log, a page that a full disk has cut off can still come out of it.
    let log_is_empty = fs::metadata(beside(path, "-wal")).map_or(true, |log| log.len() == 0);
    let mut connection = writing(path).connect().await.map_err(store_error)?;
    refuse_foreign(&mut connection).await?;
    let page: i64 =
        sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut connection).await.map_err(store_error)?;
    if log_is_empty && u64::try_from(page).is_ok_and(|page| !metadata.len().is_multiple_of(page)) {
        // SQLite would read zeros for what is missing.
        return Err(StoreError::Damaged("the file is cut off in the middle of a page".into()));
    }
    if metadata.len() <= CHECKED_SIZE {
        check_pages(&mut connection).await?;
    }
    use_log(&mut connection).await?;
    schema::migrate(&mut connection).await?;
    refold::refold(&mut connection).await?;
    search::fill_in(&mut connection).await?;
    check_writable(&mut connection).await?;
    Ok(connection)
}

pub(super) async fn refuse_foreign(connection: &mut SqliteConnection) -> Result<()> {
    let owner: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(connection).await.map_err(store_error)?;
    if owner == schema::APPLICATION_ID {
        return Ok(());
    }
    Err(StoreError::Damaged("this is the database of another program".into()))
}

pub(super) async fn check_pages(connection: &mut SqliteConnection) -> Result<()> {
    let found: Vec<String> =
        sqlx::query_scalar("PRAGMA quick_check(3)").fetch_all(connection).await.map_err(store_error)?;
    if found == ["ok"] {
        return Ok(());
    }
    Err(StoreError::Damaged(format!("the database file is corrupt: {}", found.join("; "))))
}

/// Switches to a write-ahead log, which stays switched on in the file. Done here, under the setup lock, because the
/// switch needs the file for itself and does not wait for it.
async fn use_log(connection: &mut SqliteConnection) -> Result<()> {
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(connection).await.map_err(store_error)?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    let text =
        "the file system does not support SQLite's write-ahead log; a network file system is no place for it";
    Err(StoreError::Unavailable(text.into()))
}

/// SQLite opens a file that it may only read without a word; and a lock that never goes away should be seen now.
async fn check_writable(connection: &mut SqliteConnection) -> Result<()> {
    for statement in ["BEGIN IMMEDIATE", "ROLLBACK"] {
        sqlx::query(statement).execute(&mut *connection).await.map_err(store_error)?;
    }
    Ok(())
}

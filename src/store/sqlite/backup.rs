//! A copy of the database in one file, with the other files without which it is of no use; and back.
//!
//! Invariants: a copy is of one moment and holds every write that was acknowledged before; it is for its owner alone; under a
//! final name there is never half of one, and nothing that is there already is replaced.

use std::{
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteJournalMode};
use tempfile::TempPath;
use zeroize::Zeroizing;

use super::{
    errors::{file_error, store_error},
    options, schema, setup,
};
use crate::{
    base::time::Timestamp,
    store::{Result, StoreError},
};

/// Files that a copy holds besides: names, and what is in them.
pub type Kept = Vec<(String, Zeroizing<Vec<u8>>)>;

/// Writes a copy of the database at `path` to the new file `to`, with these files in it. `false` when there is no database.
///
/// # Errors
/// [`StoreError::Conflict`] when `to` is there already; otherwise as [`SqliteStore::open_to_read`](super::SqliteStore::open_to_read), and
/// [`StoreError::Unavailable`] when the copy cannot be written.
pub async fn back_up(path: &Path, to: &Path, kept: &Kept, now: Timestamp) -> Result<bool> {
    let Some(ready) = setup::find(path).await? else { return Ok(false) };
    drop(ready.connection);
    let draft = draft(to)?;
    let mut connection = options(&ready.path).connect().await.map_err(store_error)?;
    let name = draft.to_str().ok_or_else(|| StoreError::Unavailable("its name is no UTF-8".into()))?;
    sqlx::query("VACUUM INTO ?1").bind(name).execute(&mut connection).await.map_err(store_error)?;
    connection.close().await.map_err(store_error)?;
    let mut copy = alone(&draft).await?;
    for statement in [
        "CREATE TABLE backup (taken INTEGER NOT NULL) STRICT",
        "CREATE TABLE backup_file (name TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL) STRICT",
    ] {
        sqlx::query(statement).execute(&mut copy).await.map_err(store_error)?;
    }
    let taken = sqlx::query("INSERT INTO backup (taken) VALUES (?1)").bind(now.millis());
    taken.execute(&mut copy).await.map_err(store_error)?;
    for (name, content) in kept {
        let row = sqlx::query("INSERT INTO backup_file (name, content) VALUES (?1, ?2)");
        row.bind(name).bind(content.as_slice()).execute(&mut copy).await.map_err(store_error)?;
    }
    copy.close().await.map_err(store_error)?;
    settle(draft, to)?;
    Ok(true)
}

/// A copy that was taken apart: the database, under a name that goes unless it is kept, and what was in it besides.
pub struct Unpacked {
    draft: TempPath,
    /// The other files.
    pub kept: Kept,
    /// When the copy was made.
    pub taken: Timestamp,
}

impl Unpacked {
    /// Gives the database its name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one already.
    pub fn settle(self, path: &Path) -> Result<()> {
        settle(self.draft, path)
    }
}

/// Takes a copy apart, beside where its database shall be.
///
/// # Errors
/// [`StoreError::Damaged`] when it is corrupt, no copy of ours or a newer version's; [`StoreError::Unavailable`] when it cannot be read.
pub async fn unpack(from: &Path, path: &Path) -> Result<Unpacked> {
    let mut source = File::open(from).map_err(|e| file_error("read", from, &e))?;
    let draft = draft(path)?;
    File::options()
        .write(true)
        .open(&draft)
        .and_then(|mut file| io::copy(&mut source, &mut file))
        .map_err(|e| file_error("write", &draft, &e))?;
    let mut connection = alone(&draft).await?;
    setup::refuse_foreign(&mut connection).await?;
    setup::check_pages(&mut connection).await?;
    schema::refuse_newer(&mut connection).await?;
    let ours =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('backup', 'backup_file')";
    let tables: i64 = sqlx::query_scalar(ours).fetch_one(&mut connection).await.map_err(store_error)?;
    if tables != 2 {
        return Err(StoreError::Damaged("this is no file that `hubgate backup` has made".into()));
    }
    let taken: i64 = sqlx::query_scalar("SELECT taken FROM backup")
        .fetch_one(&mut connection)
        .await
        .map_err(store_error)?;
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT name, content FROM backup_file")
        .fetch_all(&mut connection)
        .await
        .map_err(store_error)?;
    let kept = rows.into_iter().map(|(name, content)| (name, Zeroizing::new(content))).collect();
    // The database is nobody's copy any more, and no secret of the files stays in it.
    for statement in ["PRAGMA secure_delete = ON", "DROP TABLE backup_file", "DROP TABLE backup"] {
        sqlx::query(statement).execute(&mut connection).await.map_err(store_error)?;
    }
    connection.close().await.map_err(store_error)?;
    let taken = Timestamp::from_millis(taken);
    Ok(Unpacked { draft, kept, taken })
}

/// A connection to a file that nobody else knows, without a log beside it.
async fn alone(path: &Path) -> Result<SqliteConnection> {
    options(path).journal_mode(SqliteJournalMode::Delete).connect().await.map_err(store_error)
}

/// An empty file beside `path`, for its owner alone.
fn draft(path: &Path) -> Result<TempPath> {
    let folder = folder_of(path);
    let made = tempfile::Builder::new()
        .prefix(".hubgate-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(|e| file_error("write in", folder, &e))?;
    Ok(made.into_temp_path())
}

/// Gives a draft its name, for good.
fn settle(draft: TempPath, path: &Path) -> Result<()> {
    File::open(&draft).and_then(|file| file.sync_all()).map_err(|e| file_error("synchronise", path, &e))?;
    draft.persist_noclobber(path).map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Conflict { what: "file", field: "name" },
        _ => file_error("write", path, &failed.error),
    })?;
    setup::sync_folder(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

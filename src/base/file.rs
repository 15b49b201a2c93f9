//! Writing files that only their owner may read.

use std::{
    fs::{DirBuilder, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use tempfile::NamedTempFile;

/// Makes a folder, with its parents, for its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Keeps everybody else who asks for the same folder waiting, in this process or another, until what is returned is dropped. Makes
/// the folder where it is missing.
///
/// # Errors
/// When it cannot be made or opened. A file system without locks is no error: there the others do not wait.
pub fn hold_folder(path: &Path) -> io::Result<File> {
    private_folder(path)?;
    let folder = File::open(path)?;
    match folder.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(folder),
    }
}

/// Writes a file for its owner alone: beside it first, synced, then moved, so that it is there whole or not at all. Of two
/// who do so at once the second wins.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    beside(folder, content)?.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Writes a file for its owner alone, unless there is one: of two who do so at once the first wins, and nothing of the
/// second is left.
///
/// # Errors
/// When it cannot be written.
pub fn write_private_first(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    match beside(folder, content)?.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => File::open(folder)?.sync_all(),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A synced file under a name that nobody else has; it goes unless it is moved.
fn beside(folder: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    private_folder(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

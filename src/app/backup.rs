//! Everything that the gateway keeps, in one file and back: the database, the key that opens what is sealed in it, and the
//! certificate that it made for itself.
//!
//! Invariant: what is there is never replaced; a restore goes to a data folder without a database.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    StartError,
    data::{self, KEY_FILE, certificate_files},
};
use crate::{
    base::{
        file,
        time::{Clock, Timestamp},
    },
    config::{Config, StoreUrl, Tls},
    store::{
        StoreError,
        sqlite::backup::{self, Kept},
    },
};

/// The certificate that a gateway makes for itself, as a backup names its files.
const CERTIFICATE: [&str; 2] = ["tls/certificate.pem", "tls/key.pem"];

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data folder.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file.
    #[error("{path} cannot be {what}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Read, written.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// Nothing to back up.
    #[error("there is no database at {0}: nothing to back up")]
    Nothing(PathBuf),
    /// It would be replaced.
    #[error("{0} is there already, and nothing is replaced: name another file, or move it away")]
    Taken(PathBuf),
    /// It would be replaced.
    #[error(
        "{0} is there already: a backup is restored into a data folder without a database, while no gateway runs on it; \
         move it away, with its `-wal` and `-shm`"
    )]
    Inhabited(PathBuf),
    /// Another key.
    #[error("{0} is there already and is not the backup's: move it away")]
    Other(PathBuf),
    /// It has not what is needed.
    #[error("the backup is incomplete: {0} is missing")]
    Incomplete(&'static str),
}

/// Writes a backup to the new file `to`, while a gateway runs or not.
///
/// # Errors
/// [`BackupError`]
pub async fn back_up(config: &Config, to: &Path, clock: &dyn Clock) -> Result<(), BackupError> {
    let StoreUrl::Sqlite(path) = &config.store;
    if to.exists() {
        return Err(BackupError::Taken(to.to_owned()));
    }
    if !path.exists() {
        return Err(BackupError::Nothing(path.clone()));
    }
    let mut kept = Kept::new();
    for (name, path) in files(config) {
        match fs::read(&path) {
            Ok(content) => kept.push((name.to_owned(), Zeroizing::new(content))),
            // Its own certificate is made when it is needed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != KEY_FILE => {}
            Err(error) => return Err(BackupError::File { path, what: "read", error }),
        }
    }
    match backup::back_up(path, to, &kept, clock.now()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(BackupError::Nothing(path.clone())),
        Err(StoreError::Conflict { .. }) => Err(BackupError::Taken(to.to_owned())),
        Err(error) => Err(failed(path, error)),
    }
}

/// Restores a backup into the data folder. Returns when it was made.
///
/// # Errors
/// [`BackupError`]; then nothing was changed, but for files that were missing.
pub async fn restore(config: &Config, from: &Path) -> Result<Timestamp, BackupError> {
    let StoreUrl::Sqlite(path) = &config.store;
    for suffix in ["", "-wal"] {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        if Path::new(&name).exists() {
            return Err(BackupError::Inhabited(name.into()));
        }
    }
    data::prepare(&config.data_dir).map_err(StartError::from)?;
    if let Some(folder) = path.parent() {
        file::private_folder(folder).map_err(|error| BackupError::File {
            path: folder.to_owned(),
            what: "made",
            error,
        })?;
    }
    let unpacked = backup::unpack(from, path).await.map_err(|error| failed(from, error))?;
    let wanted = files(config);
    let kept =
        |wanted: &str| unpacked.kept.iter().find(|(name, _)| name == wanted).map(|(_, content)| content);
    if kept(KEY_FILE).is_none() {
        return Err(BackupError::Incomplete(KEY_FILE));
    }
    // Names that are not looked for are nobody's to write.
    for (name, path) in wanted {
        let Some(content) = kept(name) else { continue };
        file::write_private_first(&path, content).map_err(|error| BackupError::File {
            path: path.clone(),
            what: "written",
            error,
        })?;
        let there = fs::read(&path).map(Zeroizing::new);
        if there.is_ok_and(|there| *there != **content) {
            return Err(BackupError::Other(path));
        }
    }
    let taken = unpacked.taken;
    match unpacked.settle(path) {
        Ok(()) => Ok(taken),
        Err(StoreError::Conflict { .. }) => Err(BackupError::Inhabited(path.clone())),
        Err(error) => Err(failed(path, error)),
    }
}

/// What belongs to the database: names in a backup, and where the files are.
fn files(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let mut files = vec![(KEY_FILE, config.data_dir.join(KEY_FILE))];
    if matches!(config.tls, Tls::SelfSigned) {
        let own = certificate_files(config);
        files.extend(CERTIFICATE.into_iter().zip([own.certificate, own.private_key]));
    }
    files
}

fn failed(path: &Path, error: StoreError) -> BackupError {
    StartError::Store { path: path.display().to_string(), error }.into()
}

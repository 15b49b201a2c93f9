//! The data folder: what the gateway makes for itself on its first start.
//!
//! Invariant: the key file is readable by its owner alone, or it is not used.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    base::{file, random::Random},
    config::{Config, Tls},
    crypto::seal::{SEALING_KEY_LENGTH, SealingKey},
    server::tls::CertificateFiles,
};

/// The file of the key that seals signing keys, in the data folder.
pub(super) const KEY_FILE: &str = "hubgate.key";

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder cannot be made or written.
    #[error("the data folder {path} cannot be used: {error}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The key file cannot be read or written.
    #[error("the key file {path} cannot be used: {error}")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may read the key file.
    #[error(
        "the key file {path} can be read by others than its owner (mode {mode:o}); run: chmod 600 {path}"
    )]
    KeyFileOpen {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key file is not ours.
    #[error("the key file {path} does not hold {SEALING_KEY_LENGTH} bytes; put the right one back")]
    KeyFileContent {
        /// Which.
        path: PathBuf,
    },
}

/// Makes the folder when it is not there, and finds out now whether it can be written.
pub(super) fn prepare(folder: &Path) -> Result<(), DataError> {
    let failed = |error| DataError::Folder { path: folder.to_owned(), error };
    file::private_folder(folder).map_err(failed)?;
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    file::write_private(&probe, b"").map_err(failed)?;
    fs::remove_file(&probe).map_err(failed)
}

/// The key that seals signing keys; made when there is none.
///
/// # Errors
/// [`DataError`]
pub fn sealing_key(folder: &Path, random: &dyn Random) -> Result<SealingKey, DataError> {
    match existing_sealing_key(folder) {
        Err(DataError::KeyFile { path, error }) if error.kind() == io::ErrorKind::NotFound => {
            let key = Zeroizing::new(random.bytes::<SEALING_KEY_LENGTH>());
            file::write_private_first(&path, key.as_slice())
                .map_err(|error| DataError::KeyFile { path, error })?;
            existing_sealing_key(folder)
        }
        found => found,
    }
}

/// The same; none is made.
///
/// # Errors
/// [`DataError`], also when there is none.
pub(super) fn existing_sealing_key(folder: &Path) -> Result<SealingKey, DataError> {
    let path = folder.join(KEY_FILE);
    let failed = |error| DataError::KeyFile { path: path.clone(), error };
    let mode = fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataError::KeyFileOpen { path, mode });
    }
    let bytes = Zeroizing::new(fs::read(&path).map_err(failed)?);
    let key: Option<&[u8; SEALING_KEY_LENGTH]> = bytes.as_slice().try_into().ok();
    key.and_then(|key| SealingKey::new(key).ok()).ok_or(DataError::KeyFileContent { path })
}

/// Where the certificate of a configuration is.
#[must_use]
pub fn certificate_files(config: &Config) -> CertificateFiles {
    match &config.tls {
        Tls::Files { certificate, private_key } => {
            CertificateFiles { certificate: certificate.clone(), private_key: private_key.clone() }
        }
        Tls::SelfSigned => {
            let folder = config.data_dir.join("tls");
            CertificateFiles {
                certificate: folder.join("certificate.pem"),
                private_key: folder.join("key.pem"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    #[test]
    fn the_key_file_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        sealing_key(folder.path(), &SystemRandom).unwrap();
        let first = fs::read(&path).unwrap();
        file::write_private_first(&path, b"of another process").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        sealing_key(folder.path(), &SystemRandom).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            sealing_key(folder.path(), &SystemRandom),
            Err(DataError::KeyFileOpen { mode: 0o640, .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(sealing_key(folder.path(), &SystemRandom), Err(DataError::KeyFileContent { .. })));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = prepare(&file.join("below")).unwrap_err();
        assert!(error.to_string().contains("below"), "{error}");
    }
}

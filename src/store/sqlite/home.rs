//! Where the database is, and whether it is still there.
//!
//! Invariant: the file is looked at by its name and never opened: closing another handle to it would drop SQLite's locks.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::errors::file_error;
use crate::store::{Result, StoreError};

/// A database file that is open.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    /// Device and number: what the name stands for.
    file: (u64, u64),
}

impl Home {
    /// The file that is at `path` now.
    pub(super) fn of(path: PathBuf) -> Result<Self> {
        let file = identity(&path).map_err(|e| file_error("read", &path, &e))?;
        Ok(Self { path, file })
    }

    /// Whether the name still stands for that file.
    pub(super) fn in_place(&self) -> Result<()> {
        let what = match identity(&self.path) {
            Ok(file) if file == self.file => return Ok(()),
            Ok(_) => "replaced by another file",
            Err(e) if e.kind() == io::ErrorKind::NotFound => "removed or renamed",
            Err(e) => return Err(file_error("find", &self.path, &e)),
        };
        let path = self.path.display();
        Err(StoreError::Damaged(format!(
            "{path} was {what} while it is in use: what is written now is lost when this process ends; put the file back, or \
             restart with the one that is to be used"
        )))
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_or_replaced_is_noticed_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let [path, aside] = ["store.db", "aside.db"].map(|name| folder.path().join(name));
        assert!(matches!(Home::of(path.clone()), Err(StoreError::Unavailable(_))));
        fs::write(&path, "a").unwrap();
        let home = Home::of(path.clone()).unwrap();
        fs::write(&path, "longer").unwrap();
        home.in_place().unwrap();
        for replaced in [false, true] {
            fs::rename(&path, &aside).unwrap();
            if replaced {
                fs::write(&path, "longer").unwrap();
            }
            let error = home.in_place().unwrap_err();
            assert!(matches!(error, StoreError::Damaged(_)));
            let text = error.to_string();
            let what = if replaced { "replaced" } else { "removed" };
            assert!(text.contains(what) && text.contains(&path.display().to_string()), "{text}");
            fs::rename(&aside, &path).unwrap();
            home.in_place().unwrap();
        }
    }
}

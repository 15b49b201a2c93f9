//! What SQLite's and sqlx's errors mean to the gateway: wait and retry, or call somebody.
//!
//! Invariant: no message contains a value from the database other than a record's id.

use std::{fmt::Display, io, path::Path};

use sqlx::migrate::MigrateError;

use crate::store::StoreError;

/// Primary result codes (the low byte of every code), see <https://sqlite.org/rescode.html>.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const ABORT: i32 = 4;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const NOTADB: i32 = 26;
    /// Extended: the disk returned other data than was written.
    pub(super) const IOERR_DATA: i32 = IOERR | 32 << 8;
    /// Extended: the file system found itself damaged.
    pub(super) const IOERR_CORRUPTFS: i32 = IOERR | 33 << 8;
}

/// Maps an error of a statement, of connecting or of waiting for a connection.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse().ok());
            from_code(code.unwrap_or_default(), database.message())
        }
        sqlx::Error::Io(e) => StoreError::Unavailable(e.to_string()),
        sqlx::Error::PoolTimedOut => StoreError::Unavailable("all connections are in use".into()),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreError::Unavailable("the connection is closed".into())
        }
        // A configuration error here is a file name that SQLite cannot take; the rest is data that does not decode.
        other => StoreError::Damaged(other.to_string()),
    }
}

fn from_code(code: i32, message: &str) -> StoreError {
    if matches!(code, code::IOERR_DATA | code::IOERR_CORRUPTFS) {
        return StoreError::Damaged(format!("the disk does not return what was written ({message})"));
    }
    let unavailable = |text: &str| StoreError::Unavailable(format!("{text} ({message})"));
    match code & 0xff {
        code::BUSY | code::LOCKED | code::PROTOCOL => {
            unavailable("another process has kept the database locked for too long")
        }
        code::FULL => unavailable("the disk is full"),
        code::READONLY => unavailable("the database cannot be written to"),
        code::PERM | code::CANTOPEN => unavailable("the database cannot be opened"),
        code::IOERR => unavailable("the disk failed"),
        code::NOMEM => unavailable("there is not enough memory"),
        code::ABORT | code::INTERRUPT => unavailable("the operation was interrupted"),
        code::NOTADB => StoreError::Damaged(format!("the file is not a database ({message})")),
        code::CORRUPT => StoreError::Damaged(format!("the database file is corrupt ({message})")),
        _ => StoreError::Damaged(format!("{message} (SQLite's code {code})")),
    }
}

/// Maps an error of adding a record of kind `what` whose `field` must be its own.
pub(super) fn conflict(error: sqlx::Error, what: &'static str, field: &'static str) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            StoreError::Conflict { what, field }
        }
        _ => store_error(error),
    }
}

/// Maps an error of bringing the schema up to date.
pub(super) fn migration_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(e) => store_error(e),
        MigrateError::ExecuteMigration(e, version) => {
            within(store_error(e), format_args!("schema version {version}"))
        }
        MigrateError::VersionMissing(version) => StoreError::Damaged(format!(
            "it was written by a newer hubgate (its schema has version {version}, which this one does not know)"
        )),
        MigrateError::VersionMismatch(version) => StoreError::Damaged(format!(
            "its schema version {version} is not the one that this hubgate knows under that number"
        )),
        other => StoreError::Damaged(other.to_string()),
    }
}

/// Maps an error of the file system while a database is prepared.
pub(super) fn file_error(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot {doing} {}: {error}", path.display()))
}

/// Names the place of an error that tells a person where to look; the caller's own errors need none.
pub(super) fn within(error: StoreError, place: impl Display) -> StoreError {
    match error {
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("{place}: {text}")),
        StoreError::Damaged(text) => StoreError::Damaged(format!("{place}: {text}")),
        fault @ (StoreError::Conflict { .. } | StoreError::NotFound { .. } | StoreError::Against(_)) => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_unavailable_and_what_stays_is_damaged() {
        let full_and_its_like = [
            code::FULL,
            code::READONLY,
            code::BUSY,
            code::BUSY | 2 << 8,
            code::CANTOPEN,
            code::IOERR | 4 << 8,
            code::PROTOCOL,
        ];
        for code in full_and_its_like {
            assert!(matches!(from_code(code, "m"), StoreError::Unavailable(_)), "{code}");
        }
        let damage = [code::CORRUPT, code::CORRUPT | 2 << 8, code::NOTADB, code::IOERR_DATA, 1, 17, 19, 20];
        for code in damage {
            assert!(matches!(from_code(code, "m"), StoreError::Damaged(_)), "{code}");
        }
    }

    #[test]
    fn a_place_is_named_unless_the_caller_is_at_fault() {
        let damaged = within(StoreError::Damaged("torn".into()), "a.db");
        assert_eq!(damaged.to_string(), "the store is damaged or not ours: a.db: torn");
        assert!(matches!(
            within(StoreError::NotFound { what: "key" }, "a.db"),
            StoreError::NotFound { what: "key" }
        ));
    }
}

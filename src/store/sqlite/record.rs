//! Reading a row as a record.
//!
//! Invariant: a value that is not what it should be becomes [`StoreError::Damaged`] that names the record, never a default.

use std::fmt::Display;

use sqlx::{Decode, Row as _, Sqlite, Type, sqlite::SqliteRow};

use super::errors::store_error;
use crate::{
    base::time::Timestamp,
    store::{Result, StoreError},
};

/// A row of the table of some kind of record, and that record's id.
pub(super) struct Record<'r> {
    row: &'r SqliteRow,
    what: &'static str,
    id: String,
}

impl<'r> Record<'r> {
    /// Wraps a row whose column `id` is text.
    pub(super) fn of(row: &'r SqliteRow, what: &'static str) -> Result<Self> {
        let id: String = row.try_get("id").map_err(|e| {
            StoreError::Damaged(format!("a {what} without a readable id: {}", store_error(e)))
        })?;
        Ok(Self { row, what, id })
    }

    /// Wraps a row that is known under `id`.
    pub(super) const fn named(row: &'r SqliteRow, what: &'static str, id: String) -> Self {
        Self { row, what, id }
    }

    /// The record's id as it was found.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The error that says that `field` is not what it should be.
    pub(super) fn damaged(&self, field: &str, why: impl Display) -> StoreError {
        StoreError::Damaged(format!("{} {:?}: {field}: {why}", self.what, self.id))
    }

    /// A column's value.
    pub(super) fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|e| self.damaged(column, e))
    }

    /// A column of 0 or 1.
    pub(super) fn flag(&self, column: &'static str) -> Result<bool> {
        match self.get::<i64>(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damaged(column, format_args!("{other} is neither 0 nor 1"))),
        }
    }

    /// A column of milliseconds.
    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.get(column).map(Timestamp::from_millis)
    }

    /// A column of milliseconds or NULL.
    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_millis))
    }

    /// A column of JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        serde_json::from_str(self.get(column)?).map_err(|e| self.damaged(column, e))
    }
}

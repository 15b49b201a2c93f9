//! How commands speak: results on standard output, complaints on standard error, tables that line up.
//!
//! Invariant: a closed standard output ends a command quietly; nothing here panics over it.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::{
    app::{DataError, ReloadError, StartError, backup::BackupError},
    base::id::InvalidId,
    config::{Config, StoreUrl},
    registry::{
        keys::KeyError, second_step::SecondStepError, services::ServiceError, tokens::TokenRefusal,
        users::PeopleError,
    },
    store::StoreError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The configuration; already rendered.
    #[error("{0}")]
    Problems(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Reload(#[from] ReloadError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    People(#[from] PeopleError),
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    #[error(transparent)]
    SecondStep(#[from] SecondStepError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Said already, on standard output.
    #[error("")]
    Said,
    /// Something said already, or in full here.
    #[error("{0}")]
    Plain(String),
    /// What was typed cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// Why a command that judges could not tell.
    #[error(transparent)]
    NotTold(Box<Self>),
}

impl Failure {
    /// Of a command whose failure would be read as its judgement.
    pub(super) fn not_told(self) -> Self {
        match self {
            Self::Said | Self::Usage(_) => self,
            other => Self::NotTold(Box::new(other)),
        }
    }

    /// The exit status.
    pub(super) const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotTold(_) => 3,
            _ => 1,
        }
    }
}

/// Says that a command judges without a store.
pub(super) fn remark_no_store(config: &Config) {
    let StoreUrl::Sqlite(path) = &config.store;
    remark(&format!(
        "There is no store yet at {}: judged by the services of the file; no token, nobody and no registered service is known.",
        path.display()
    ));
}

/// Whether standard error takes colours.
pub(super) fn colour() -> bool {
    io::stderr().is_terminal()
}

/// Says on standard error why a command failed.
pub(super) fn complain(failure: &Failure) {
    if let Some(text) = complaint(failure) {
        remark(&text);
    }
}

/// Why a command failed, where that was not said yet.
pub(super) fn complaint(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Said => None,
        Failure::Problems(text) => Some(text.trim_end().to_owned()),
        Failure::NotTold(why) => complaint(why),
        other => Some(format!("hubgate: {other}")),
    }
}

/// A remark on standard error.
pub(super) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A result on standard output.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A result as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    say(&serde_json::to_string_pretty(value)?)
}

/// Rows in columns, with a heading; `none` when there are no rows.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>], none: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return say(none);
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heading.get(column).map(|h| h.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    say(&line(&mut heading.iter().copied()))?;
    for row in rows {
        say(&line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// `yes` or `no`.
pub(super) fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

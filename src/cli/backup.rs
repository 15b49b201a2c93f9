//! `hubgate backup` and `hubgate restore`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    load,
    output::{Failure, say},
};
use crate::{app::backup, base::time::SystemClock};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The new file. It holds secrets and is made for you alone.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn back_up(config: &Path, args: &BackupArgs) -> Result<(), Failure> {
    let config = load(config)?;
    runtime()?.block_on(backup::back_up(&config, &args.file, &SystemClock))?;
    say(&format!(
        "{} holds everything that the gateway keeps. Whoever has it can sign tokens: keep it as you keep {}.",
        args.file.display(),
        config.data_dir.display()
    ))
}

pub(super) fn restore(config: &Path, args: &BackupArgs) -> Result<(), Failure> {
    let config = load(config)?;
    let taken = runtime()?.block_on(backup::restore(&config, &args.file))?;
    say(&format!(
        "{} is as it was at {taken}. What was revoked, changed or signed out since then is undone.",
        config.data_dir.display()
    ))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

//! Completion scripts and manual pages, made from the commands themselves.

use std::path::Path;

use clap::CommandFactory as _;

use super::{
    Cli,
    output::{Failure, say},
};

/// Prints a completion script.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hubgate", &mut script);
    say(String::from_utf8_lossy(&script).trim_end())
}

/// Prints the manual page, or writes all pages into a folder.
pub(super) fn pages(folder: Option<&Path>) -> Result<(), Failure> {
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)?;
        return Ok(clap_mangen::generate_to(Cli::command(), folder)?);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    say(String::from_utf8_lossy(&page).trim_end())
}

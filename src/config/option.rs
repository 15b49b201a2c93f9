//! Values that commands take as options, spelled and checked as in the file.

use std::time::Duration;

use super::value::{self, Wrong};

/// A duration: `"250ms"`, `"90s"`, `"15m"`, `"1h"`, `"30d"`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    value::duration(text).map_err(|wrong| sentence(&wrong))
}

fn sentence(wrong: &Wrong) -> String {
    match &wrong.help {
        Some(help) => format!("it {}; {help}", wrong.what),
        None => format!("it {}", wrong.what),
    }
}

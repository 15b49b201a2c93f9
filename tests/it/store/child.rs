//! Running one test of this binary again in a process of its own, which may be killed, confined or robbed of rights.
//!
//! A test that needs it plays both parts: it asks [`database`] whether it is the child, and starts itself with [`command`].

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const DATABASE: &str = "HUBGATE_TEST_DATABASE";

/// The database that the parent has chosen; `None` in the parent.
#[expect(clippy::disallowed_methods, reason = "how the parent speaks to this child")]
pub(crate) fn database() -> Option<PathBuf> {
    std::env::var_os(DATABASE).map(PathBuf::from)
}

/// Runs `test` (its path without the crate) as the child, with its output on a pipe.
pub(crate) fn command(test: &str, database: &Path) -> Command {
    // Not by its path, which a child without rights may be unable to reach.
    line([OsString::from("/proc/self/exe")], test, database)
}

/// The same, started by another program that ends by executing its arguments.
pub(crate) fn confined(by: &[&str], test: &str, database: &Path) -> Command {
    let this: OsString = std::env::current_exe().unwrap().into();
    line(by.iter().map(OsString::from).chain([this]), test, database)
}

fn line(program: impl IntoIterator<Item = OsString>, test: &str, database: &Path) -> Command {
    let mut program = program.into_iter();
    let mut command = Command::new(program.next().unwrap());
    command.args(program).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(DATABASE, database).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Tells the parent something; the test harness's own lines do not begin with a colon.
pub(crate) fn tell(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n:{text}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What the child told, in order. A line that was cut off is not part of it.
pub(crate) fn told(output: &str) -> Vec<&str> {
    let whole = output.rfind('\n').map_or("", |end| &output[..end]);
    whole.lines().filter_map(|line| line.strip_prefix(':')).collect()
}

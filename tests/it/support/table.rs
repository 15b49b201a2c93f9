//! The tables of attacks as data, so that others can be sent the very same bytes: a test leaves its own in `target/tmp/attacks`, one
//! line of JSON for each case. `tests/python/test_control.py` reads them.

use std::{fs, path::Path, thread};

use serde_json::Value;

use super::h2::Field;

/// Writes the cases of the running test, in place of those of an earlier run.
pub(crate) fn leave(cases: impl IntoIterator<Item = Value>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attacks");
    fs::create_dir_all(&folder).unwrap();
    let test = thread::current().name().expect("a test").replace("::", ".");
    let lines: Vec<String> = cases.into_iter().map(|case| case.to_string()).collect();
    // Whoever reads meanwhile sees one table or the other.
    let unfinished = folder.join(format!("{test}.new"));
    fs::write(&unfinished, lines.join("\n") + "\n").unwrap();
    fs::rename(&unfinished, folder.join(format!("{test}.jsonl"))).unwrap();
}

/// Bytes as text in which each character is one byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The fields of an HTTP/2 request.
pub(crate) fn fields(fields: &[Field<'_>]) -> Vec<[String; 2]> {
    fields.iter().map(|(name, value)| [text(name), text(value)]).collect()
}

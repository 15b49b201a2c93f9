//! The house rules that no compiler checks, read from the sources: which module may use which, what the pure modules
//! must not import, how long a file may grow, and that each begins by saying what it does.
//!
//! A rule that fails prints every place as `file:line: rule`, so that one run shows the whole work.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Who may use whom: ARCHITECTURE.md's arrows, closed downwards. A module may always use itself. An entry with `::`
/// allows that part alone. A module that is missing here is an error, so a new one has to find its place.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    // Records hold digests of secrets; keys are sealed and signed with by what their record says.
    ("model", &["base", "crypto::digest"]),
    ("crypto", &["base", "model::key"]),
    ("store", &["base", "model", "crypto"]),
    ("oauth", &["base", "model", "crypto", "store"]),
    ("identity", &["base", "model", "crypto", "store"]),
    // What an administrator does, for commands, configuration and later REST alike.
    ("registry", &["base", "model", "crypto", "store", "oauth"]),
    ("access", &["base", "model", "crypto", "store", "oauth", "identity"]),
    // What people read, in every language; errors have their words beside their codes.
    ("texts", &["base", "oauth::error", "oauth::cause"]),
    ("proxy", &["base", "model", "crypto", "store", "oauth", "identity", "access", "observe", "texts"]),
    (
        "web",
        &[
            "base", "model", "crypto", "store", "oauth", "identity", "registry", "access", "proxy",
            "observe", "mail", "texts",
        ],
    ),
    ("observe", &["base"]),
    ("mail", &["base", "observe", "texts"]),
    ("server", &["base", "observe"]),
    ("config", &["base", "model"]),
    (
        "app",
        &[
            "base", "model", "crypto", "store", "oauth", "identity", "registry", "access", "proxy", "web",
            "observe", "mail", "server", "config",
        ],
    ),
    ("demo", &["base", "model", "registry", "config", "app", "observe"]),
    (
        // `check` asks the gate's own routes and policy what they would decide.
        "cli",
        &[
            "base", "model", "crypto", "store", "oauth", "identity", "registry", "access", "proxy",
            "observe", "config", "app", "demo",
        ],
    ),
    ("main", &["cli", "app", "config", "observe"]),
];

/// Modules that decide without I/O, and what they therefore never name.
const PURE: &[&str] = &["src/base", "src/model", "src/oauth", "src/identity", "src/access/policy"];
const IMPURE_CRATES: &[&str] =
    &["hyper", "hyper_util", "tokio", "tokio_rustls", "axum", "tower", "tower_http"];

/// Lines that a file may have without its tests.
const LONGEST: usize = 400;

/// Longer files, each with the reason why it is one piece.
const LONG_FOR_A_REASON: &[(&str, &str)] = &[];

/// Beginnings of paths that exist on one machine only. In two parts, so that this file passes its own rule.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

#[test]
fn arrows_only_point_down() {
    let mut wrong = Findings::default();
    for file in sources() {
        let from = module_of(&file.name);
        if from == "lib" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == from) else {
            wrong.add(&file, 1, &format!("module `{from}` has no row in ARROWS: say what it may use"));
            continue;
        };
        for (line, path) in uses(&file) {
            let to = path.join("::");
            let inside = path.first().is_none_or(|first| *first == from);
            let below = allowed.iter().any(|a| to == *a || to.starts_with(&format!("{a}::")));
            if !inside && !below {
                wrong.add(
                    &file,
                    line,
                    &format!("`{from}` must not use `{to}` (allowed: {})", allowed.join(", ")),
                );
            }
        }
    }
    wrong.report();
}

#[test]
fn pure_modules_know_no_runtime_and_no_http_library() {
    let mut wrong = Findings::default();
    for file in sources().iter().filter(|f| PURE.iter().any(|p| is_below(&f.name, p))) {
        for (number, line) in numbered(&file.code) {
            for name in IMPURE_CRATES.iter().filter(|c| has_path_root(line, c)) {
                wrong.add(file, number, &format!("a module that decides without I/O must not name `{name}`"));
            }
        }
    }
    wrong.report();
}

#[test]
fn no_file_grows_beyond_a_reader() {
    let mut wrong = Findings::default();
    for file in sources() {
        let lines = file.text.lines().count() - file.test_lines;
        let excused = LONG_FOR_A_REASON.iter().any(|(name, _)| *name == file.name);
        if lines > LONGEST && !excused {
            wrong.add(
                &file,
                1,
                &format!("{lines} lines without tests, more than {LONGEST}: split it, or list why not"),
            );
        } else if lines <= LONGEST && excused {
            wrong.add(&file, 1, &format!("{lines} lines: no longer needs its exception"));
        }
    }
    wrong.report();
}

#[test]
fn every_file_begins_with_what_it_does() {
    let mut wrong = Findings::default();
    for file in sources() {
        let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !first.starts_with("//! ") {
            wrong.add(&file, 1, "a file begins with a `//!` comment: what it does, what it keeps, which RFC");
        }
    }
    wrong.report();
}

#[test]
fn nothing_is_left_for_later() {
    let mut wrong = Findings::default();
    for file in rust_files(&["src", "tests", "examples", "benches", "fuzz/fuzz_targets"]) {
        for (number, line) in numbered(&file.everything) {
            for left in ["todo!(", "unimplemented!(", "#[ignore", "#[allow("] {
                if line.contains(left) {
                    wrong.add(
                        &file,
                        number,
                        &format!("`{left}…` (for a lint, `#[expect(…, reason = \"…\")]`)"),
                    );
                }
            }
        }
    }
    wrong.report();
}

#[test]
fn no_path_of_somebodys_machine() {
    let mut wrong = Findings::default();
    let mut files = Vec::new();
    for folder in [
        ".ci",
        "bench",
        "benches",
        "docs",
        "examples",
        "fuzz/fuzz_targets",
        "migrations",
        "scripts",
        "src",
        "tests",
    ] {
        walk(&root().join(folder), &mut files);
    }
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    files.extend(top.filter(|p| p.is_file() && p.extension().is_some_and(|e| e == "md" || e == "toml")));
    assert!(files.len() > 20, "the walk has lost the repository: {files:?}");
    for path in files {
        // What is not UTF-8 text is a test's data.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let file = Source::new(name_of(&path), text);
        for (number, line) in numbered(&file.text) {
            for found in MACHINE_PATHS.iter().filter(|p| begins_a_path(line, p)) {
                wrong.add(&file, number, &format!("`{found}…` exists on one machine only"));
            }
        }
    }
    wrong.report();
}

/// The reader above must see what it is there for: here it meets each kind of offence.
/// `docs/standards.md` claims nothing without a test: each row that says done names one, and each that is named exists.
#[test]
fn every_test_that_the_standards_name_exists() {
    let table = fs::read_to_string(root().join("docs/standards.md")).unwrap();
    let tests: std::collections::BTreeSet<String> =
        rust_files(&["src", "tests/it"]).iter().flat_map(|file| named_tests(&file.text)).collect();
    assert!(tests.len() > 300 && tests.contains("every_test_that_the_standards_name_exists"));
    let mut wrong = Vec::new();
    let mut claims = 0;
    for (number, line) in table.lines().enumerate().filter(|(_, line)| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [.., state, shown_by] = cells[..] else { continue };
        if cells.len() < 4 || ["state", "---"].contains(&state) {
            continue;
        }
        let names: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        claims += names.len();
        let does = ["done", "partly", "not", "as "].iter().find(|word| state.starts_with(**word));
        match does {
            None => wrong.push(format!("{}: {state:?} is neither done, partly nor not", number + 1)),
            Some(&"done" | &"partly") if names.is_empty() => {
                wrong.push(format!("{}: no test shows it", number + 1));
            }
            Some(_) => {}
        }
        for name in names.iter().filter(|name| !tests.contains(**name)) {
            wrong.push(format!("{}: there is no test {name}", number + 1));
        }
    }
    assert!(claims > 100, "the table is read");
    assert!(wrong.is_empty(), "docs/standards.md:\n{}", wrong.join("\n"));
}

/// Names of the functions that are tests.
fn named_tests(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if ["#[test]", "#[tokio::test"].iter().any(|mark| line.starts_with(mark)) {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            found.push(rest.split(|c: char| !is_name(c)).next().unwrap_or_default().to_owned());
            marked = false;
        }
    }
    found
}

#[test]
fn the_reader_sees_what_it_should() {
    let file = Source::new(
        "src/proxy/outbound/mod.rs".into(),
        r##"//! Text with crate::not::a::path, and "quotes".
use crate::{
    base::{id::KeyId, time::Timestamp},
    web,
};
pub(crate) use super::super::app::App as Application;
use super::route::Route;
fn f<'a>(x: &'a str) -> char {
    let _ = ("crate::text::x", r#"crate::raw::y"#, '"', '\'', b'\\');
    crate::config::load(x); /* crate::comment /* nested */ still */
    '{'
}
#[cfg(test)]
#[expect(clippy::all, reason = "}")]
mod tests {
    use crate::server::listen;
    fn brace() -> &'static str { "}" }
}
fn after() { crate::demo::run() }
"##
        .into(),
    );
    let found: Vec<_> = uses(&file).into_iter().map(|(line, path)| (line, path.join("::"))).collect();
    let expected = [
        (3, "base::id::KeyId"),
        (3, "base::time::Timestamp"),
        (4, "web"),
        (6, "app::App"),
        (7, "proxy::route::Route"),
        (10, "config::load"),
        (19, "demo::run"),
    ];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
    assert_eq!(file.test_lines, 6);

    assert!(has_path_root("use hyper::body::Body;", "hyper"));
    assert!(has_path_root("    let x: ::tokio::Thing;", "tokio"));
    assert!(
        !has_path_root("use hyper_util::rt;", "hyper") && !has_path_root("crate::tokio_like::x", "tokio")
    );
    assert!(
        is_below("src/access/policy.rs", "src/access/policy") && is_below("src/model/key.rs", "src/model")
    );
    assert!(!is_below("src/models.rs", "src/model"));
    let own = MACHINE_PATHS[0];
    assert!(begins_a_path(&format!("see {own}x"), own) && begins_a_path(&format!("`{own}x`"), own));
    assert!(!begins_a_path(&format!("https://a.example{own}x"), own));
    assert_eq!(
        ["src/main.rs", "src/cli/mod.rs", "src/app.rs", "src/web/oauth/token.rs"].map(module_of),
        ["main", "cli", "app", "web"]
    );
}

/// What was found wrong, file by file.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, file: &Source, line: usize, rule: &str) {
        writeln!(self.0, "  {}:{line}: {rule}", file.name).unwrap();
    }

    fn report(self) {
        assert!(self.0.is_empty(), "the house rules are broken:\n{}", self.0);
    }
}

/// A file in three readings of equal length, so that line numbers agree.
struct Source {
    /// Relative to the repository, with `/`.
    name: String,
    /// As it is.
    text: String,
    /// Comments, strings and characters blanked.
    everything: String,
    /// Test-only items blanked too.
    code: String,
    /// Lines of test-only items.
    test_lines: usize,
}

impl Source {
    fn new(name: String, text: String) -> Self {
        let everything = without_texts(&text);
        let (code, test_lines) = without_tests(&everything);
        Self { name, text, everything, code, test_lines }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", ".cache", "__pycache__", "node_modules"].contains(&name.as_str()) {
            walk(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
}

fn rust_files(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut found);
    }
    found.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    assert!(found.len() > 10, "the walk has lost the sources: {found:?}");
    found.iter().map(|path| Source::new(name_of(path), fs::read_to_string(path).unwrap())).collect()
}

/// The files of the library and the program, without those that hold tests alone (`#[cfg(test)] mod x;`).
fn sources() -> Vec<Source> {
    let mut files = rust_files(&["src"]);
    let mut tests = Vec::new();
    for file in &files {
        let folder = module_path(&file.name).join("/");
        for (at, _) in file.everything.match_indices("#[cfg(test)]") {
            let rest = file.everything[at + "#[cfg(test)]".len()..].trim_start();
            let name =
                rest.strip_prefix("mod ").and_then(|rest| rest.split_once(';')).map(|(name, _)| name.trim());
            if let Some(name) = name.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')) {
                tests.push(format!("src/{folder}/{name}"));
            }
        }
    }
    files.retain(|file| !tests.iter().any(|test| is_below(&file.name, test)));
    files
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// `src/proxy/route.rs` → `["proxy", "route"]`; `mod.rs` stands for its folder, `lib.rs` for the root.
fn module_path(name: &str) -> Vec<&str> {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|part| !["mod", "lib"].contains(part)).collect()
}

fn module_of(name: &str) -> &str {
    module_path(name).first().copied().unwrap_or("lib")
}

fn is_below(name: &str, module: &str) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a line names the crate `name` at the root of a path.
fn has_path_root(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let starts =
            !before.ends_with(is_name) && (!before.ends_with("::") || before.trim_end().ends_with(" ::"));
        starts
            && (after.starts_with("::")
                || (before.trim_end().ends_with("use") && after.starts_with([';', ' '])))
    })
}

/// Whether `path` stands in a line as a path of its own, not as the middle of a URL.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(|c: char| is_name(c) || ".-*}/".contains(c)))
}

/// Every path into our own crate that is named outside of tests, with its line; the root itself is left out.
fn uses(file: &Source) -> Vec<(usize, Vec<&str>)> {
    let (code, here) = (file.code.as_str(), module_path(&file.name));
    let mut found = Vec::new();
    for start in ["crate::", "hubgate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            if before.ends_with(|c: char| is_name(c) || c == ':' || c == '$') {
                continue;
            }
            let mut rest = &code[at..];
            let mut base = here.clone();
            if start == "super::" {
                while let Some(shorter) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = shorter;
                }
            } else {
                base.clear();
                rest = &rest[start.len()..];
            }
            read_tree(code, code.len() - rest.len(), &base, &mut found);
        }
    }
    found.sort();
    found.into_iter().map(|(at, path)| (code[..at].matches('\n').count() + 1, path)).collect()
}

/// Reads one path or `use` tree that starts at `at`; returns where it ends.
fn read_tree<'a>(
    code: &'a str,
    mut at: usize,
    base: &[&'a str],
    found: &mut Vec<(usize, Vec<&'a str>)>,
) -> usize {
    let mut path = base.to_vec();
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        if code[at..].starts_with('{') {
            at += 1;
            while at < code.len() && !code[at..].starts_with('}') {
                at = read_tree(code, at, &path, found);
                // Past `as Name`, blanks and the comma.
                at += code[at..].find([',', '}']).unwrap_or(code.len() - at);
                at += usize::from(code[at..].starts_with(','));
                at += code[at..].len() - code[at..].trim_start().len();
            }
            return (at + 1).min(code.len());
        }
        let length = code[at..].find(|c| !is_name(c)).unwrap_or(code.len() - at);
        let name = &code[at..at + length];
        if !name.is_empty() && name != "self" {
            path.push(name);
        }
        if !code[at + length..].starts_with("::") || length == 0 {
            found.push((at, path));
            return at + length;
        }
        at += length + 2;
    }
}

/// Blanks comments, strings and characters, and keeps every line break.
fn without_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_name = out.ends_with(is_name);
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest, '"'),
            'r' | 'b' | 'c' if !after_name => raw_string(rest),
            '\'' if is_character(rest) => quoted(rest, '\''),
            _ => 0,
        };
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            // Byte for byte, so that positions stay; a blanked character of several bytes becomes several blanks.
            out.extend(rest[..length].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let step = &text.as_bytes()[at..];
        if step.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if step.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a literal that begins with `quote` and may hold escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#`, `br#"…"#`; 0 when this is none.
fn raw_string(text: &str) -> usize {
    let Some(rest) = text.trim_start_matches(['b', 'c']).strip_prefix('r') else { return 0 };
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if !rest[hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = text.len() - rest.len() + hashes + 1;
    text[body..].find(&end).map_or(text.len(), |at| body + at + end.len())
}

/// A character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(second)) => second == '\'',
        _ => false,
    }
}

/// Blanks every item under `#[cfg(test)]`; also says how many lines those items have.
fn without_tests(code: &str) -> (String, usize) {
    let mut out = code.to_owned();
    let mut lines = 0;
    let mut from = 0;
    while let Some(start) = out[from..].find("#[cfg(test)]").map(|at| from + at) {
        let end = item_end(&out, start);
        lines += out[start..end].matches('\n').count() + 1;
        let blank: String = out[start..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
        from = end;
    }
    (out, lines)
}

/// Where the item whose attributes begin at `start` ends: at its `;`, or at the brace that closes it.
fn item_end(code: &str, start: usize) -> usize {
    let mut open = Vec::new();
    for (at, c) in code[start..].char_indices() {
        let close = match c {
            '(' => Some(')'),
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        };
        if close.is_some() {
            open.push(close);
        } else if open.last() == Some(&Some(c)) {
            open.pop();
            if c == '}' && open.is_empty() {
                return start + at + 1;
            }
        } else if c == ';' && open.is_empty() {
            return start + at + 1;
        }
    }
    code.len()
}

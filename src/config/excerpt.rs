//! Places in the file: line, column, and the line itself as it may be shown.
//!
//! Invariant: an excerpt never shows a secret, not even of a file with broken syntax.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::suggest;

/// A line of the file with a marked part. Counted in characters, so that masking moves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// 1-based.
    pub(super) line: usize,
    /// 1-based.
    pub(super) column: usize,
    /// Marked characters, those on this line only.
    pub(super) length: usize,
    /// The line, secrets masked, without its end.
    pub(super) text: String,
}

/// The file's text and what of it must not be shown.
pub(super) struct Source<'a> {
    text: &'a str,
    secrets: Vec<Range<usize>>,
    broken: bool,
}

impl<'a> Source<'a> {
    /// `broken`: the tree may lack parts of the text, so lines are looked at one by one as well.
    pub(super) fn new(text: &'a str, tree: &DeTable<'_>, broken: bool) -> Self {
        let mut secrets = Vec::new();
        find_secrets(tree, false, &mut secrets);
        Self { text, secrets, broken }
    }

    /// The line on which `span` begins. A span behind the end stands for the last line.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let start = floor(self.text, span.start);
        let end = floor(self.text, span.end).max(start);
        let (before, after) = self.text.split_at_checked(start).unwrap_or((self.text, ""));
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = start + after.find('\n').unwrap_or(after.len());
        let raw = self.text.get(line_start..line_end).unwrap_or_default();
        let marked = self.text.get(start..end.min(line_end)).unwrap_or_default();
        let safe = self.mask(raw, line_start);
        let text = if self.broken { mask_line(&safe) } else { safe };
        Excerpt {
            line: before.matches('\n').count() + 1,
            column: self.text.get(line_start..start).unwrap_or_default().chars().count() + 1,
            length: marked.trim_end().chars().count().max(1),
            text: text.trim_end_matches('\r').to_owned(),
        }
    }

    fn mask(&self, line: &str, offset: usize) -> String {
        let hidden = |at: usize| self.secrets.iter().any(|secret| secret.contains(&at));
        line.char_indices()
            .map(|(at, c)| if hidden(offset + at) && !matches!(c, '"' | '\'') { '*' } else { c })
            .collect()
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Whether a key, perhaps misspelled, names something that must not be shown.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let close = |word: &str| key.len() < 20 && suggest::distance(&key, word) <= 2;
    // Settings of what is secret, which are not secret themselves.
    let setting = key.ends_with("_grace") || key.ends_with("_threads");
    !setting
        && (key.contains("secret")
            || key.contains("passw")
            || close("secret")
            || close("password")
            || suggest::distance(&key, "headers") <= 1)
}

/// Whether a text is an address with somebody's password in it.
fn has_password(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

fn find_secrets(table: &DeTable<'_>, inside: bool, found: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        // `{ env = "NAME" }` and `{ file = "path" }` say where the secret is, not what it is.
        let reference = inside && matches!(name, "env" | "file");
        find_in_value(value.get_ref(), value.span(), !reference && (inside || is_secret(name)), found);
    }
}

fn find_in_value(value: &DeValue<'_>, span: Range<usize>, secret: bool, found: &mut Vec<Range<usize>>) {
    match value {
        DeValue::Table(table) => find_secrets(table, secret, found),
        DeValue::Array(items) => {
            for item in items {
                find_in_value(item.get_ref(), item.span(), secret, found);
            }
        }
        _ if secret => found.push(span),
        DeValue::String(text) if has_password(text) => found.push(span),
        _ => {}
    }
}

/// Where a line cannot be understood and speaks of secrets, everything behind the first `=` or quote is hidden.
fn mask_line(line: &str) -> String {
    let words = line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    if !words.take_while(|word| word.len() < 64).any(is_secret) {
        return line.to_owned();
    }
    let from = line.find(['=', '"', '\'']).map_or(line.len(), |at| at + 1);
    line.char_indices()
        .map(|(at, c)| if at < from || c.is_whitespace() || matches!(c, '"' | '\'') { c } else { '*' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        Source::new(text, tree.get_ref(), !errors.is_empty())
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a = 1\r\nb = \"äö\" # x\n";
        let at = text.find('#').unwrap();
        let excerpt = source(text).excerpt(&(at..at + 3));
        assert_eq!(
            (excerpt.line, excerpt.column, excerpt.length, excerpt.text.as_str()),
            (2, 10, 3, "b = \"äö\" # x")
        );
        let behind = source(text).excerpt(&(1000..2000));
        assert_eq!((behind.line, behind.column, behind.length), (3, 1, 1));
        assert_eq!(source("").excerpt(&(0..0)).line, 1);
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for text in [
            "secret = 'hunter2'",
            "client_secret = \"hunter2\"",
            "secert = \"hunter2\"",
            "secret = { value = \"hunter2\" }",
            "secret = [\"hunter2\"]",
            "secret = \"hunter2",
            "secret = hunter2",
            "secret \"hunter2\"",
            "secret = 'a'\nsecret = 'hunter2'",
            "password = \"hunter2\\q\"",
            "headers = \"A: hunter2\"",
            "header = \"A: hunter2\"",
            "otlp = \"https://u:hunter2@a.example/x\"",
            "to = [\"http://hunter2@a.example\"]",
        ] {
            let at = text.find("hunter2").unwrap();
            let shown = source(text).excerpt(&(at..at + 1)).text;
            assert!(!shown.contains("hunter2"), "{text} shown as {shown}");
        }
        for text in [
            "secret = { env = \"NAME\" }",
            "secret = { file = \"path\" }",
            "secret_grace = \"24h\"",
            "password_threads = \"24h\"",
            "response_headers = 1",
            "max_headers = 1",
            "from = \"a@b.example\"",
            "otlp = \"https://a.example/x@y\"",
        ] {
            assert_eq!(source(text).excerpt(&(0..1)).text, text);
        }
    }
}

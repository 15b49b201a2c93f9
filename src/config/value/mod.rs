//! Texts into values: each parser takes what stands in the file and says in plain words what is wrong with it.
//!
//! Invariant: nothing in here knows where the text came from; a refusal is a predicate ("is not a duration"), to which
//! the reader adds the key and the place.

mod address;
mod duration;
mod path;
mod rate;
mod size;
mod url;

pub(super) use address::{host, network, server_name, socket, target};
pub(super) use duration::{duration, show as show_duration};
pub(super) use path::{path, pattern, within};
pub(super) use rate::rate;
pub(super) use size::{show as show_size, size};
pub(super) use url::{RedirectUri, redirect_uri, web_url};

use crate::model::naming;

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// A predicate: "is not a duration".
    pub(super) what: String,
    /// A few words for the marker below the value.
    pub(super) label: String,
    /// What would be right.
    pub(super) help: Option<String>,
}

/// Begins a refusal.
pub(super) fn wrong(what: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), label: String::new(), help: None }
}

impl Wrong {
    /// Adds words for the marker.
    pub(super) fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Adds what would be right.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Splits `"15m"` into number and unit.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

/// Why there was none.
fn no_number(text: &str) -> &'static str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        "more than can be counted"
    } else {
        "no whole number in front"
    }
}

/// A free text of 1 to `longest` characters without control characters, as names are kept.
pub(super) fn words(text: &str, longest: usize) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        return Err(wrong("is empty").label("no text"));
    }
    if text != text.trim() {
        return Err(wrong("begins or ends with white space").help(format!("write {:?}", text.trim())));
    }
    let count = text.chars().count();
    if count > longest {
        return Err(wrong("is too long").label(format!("{count} characters, at most {longest}")));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(wrong("contains a control character").label(format!("{c:?} is not printable"))),
        None => Ok(naming::normal(text)),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &str, options: &[(&str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = options.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<String> = options.iter().map(|(name, _)| format!("{name:?}")).collect();
    let list = match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    };
    let help = match super::suggest::nearest(text, options.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean {near:?}? Allowed: {list}"),
        None => format!("write {list}"),
    };
    Err(wrong("has an unknown value").label("not one of the allowed values").help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_printable_and_short() {
        assert_eq!(words("YouTrack (test)", 20).unwrap(), "YouTrack (test)");
        for (bad, what) in [
            ("", "is empty"),
            ("  ", "is empty"),
            (" a", "begins or ends with white space"),
            ("a\u{7}b", "contains a control character"),
            ("abcdef", "is too long"),
        ] {
            assert_eq!(words(bad, 5).unwrap_err().what, what, "{bad:?}");
        }
        assert!(words("äöüßé", 5).is_ok(), "characters are counted, not bytes");
    }

    #[test]
    fn choices_are_listed() {
        let options = [("text", 1), ("json", 2)];
        assert_eq!(choice("json", &options), Ok(2));
        assert_eq!(
            choice("jsn", &options).unwrap_err().help.unwrap(),
            r#"did you mean "json"? Allowed: "text" or "json""#
        );
        assert_eq!(choice("xml", &options).unwrap_err().help.unwrap(), r#"write "text" or "json""#);
    }
}

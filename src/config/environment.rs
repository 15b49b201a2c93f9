//! The process's environment, read once and handed around as a value.
//!
//! Invariant: its `Debug` names variables and never shows what they hold.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

/// The variables that configuration may look at.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

/// Why a variable cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is not set.
    Missing,
    /// It is set to something that is no UTF-8.
    NotText,
}

impl Environment {
    /// The variables of this process, as they are now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that the ban points to")]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// No variables at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// What a variable holds.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The text of a variable.
    pub(super) fn text(&self, name: &str) -> Result<&str, Unusable> {
        let value = self.0.get(OsStr::new(name)).ok_or(Unusable::Missing)?;
        value.to_str().ok_or(Unusable::NotText)
    }

    /// The names that begin with `prefix`; what is no UTF-8 in them is replaced.
    pub(super) fn names_with(&self, prefix: &'static str) -> impl Iterator<Item = String> {
        self.0.keys().map(|name| name.to_string_lossy().into_owned()).filter(move |n| n.starts_with(prefix))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_never_shown() {
        let env = Environment::from_iter([("HUBGATE_A", "topsecret"), ("B", "2")]);
        assert_eq!(env.text("B"), Ok("2"));
        assert_eq!(env.text("C"), Err(Unusable::Missing));
        assert_eq!(env.names_with("HUBGATE_").collect::<Vec<_>>(), ["HUBGATE_A"]);
        assert_eq!(format!("{env:?}"), r#"{"B", "HUBGATE_A"}"#);
        assert!(Environment::of_process().text("PATH").is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_told_from_what_is_missing() {
        use std::os::unix::ffi::OsStringExt as _;
        let env = Environment::from_iter([(OsString::from("X"), OsString::from_vec(vec![0xff]))]);
        assert_eq!(env.text("X"), Err(Unusable::NotText));
    }
}

//! What a form has brought, and what is wrong with it.
//!
//! Invariant: a value is text of bounded length without control characters but line ends; a password is read as a secret.

use std::borrow::Cow;

use crate::base::secret::Secret;

/// The longest value of one field, in bytes. The whole body is bounded by the gate.
const LONGEST: usize = 16 * 1024;

/// The fields of a posted form, or of a query.
#[derive(Debug, Default)]
pub(in crate::web) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. What is not UTF-8 in it is replaced, as browsers send none.
    pub(in crate::web) fn read(body: &[u8]) -> Self {
        let fits = |(_, value): &(Cow<'_, str>, Cow<'_, str>)| value.len() <= LONGEST;
        let pairs = form_urlencoded::parse(body).filter(fits);
        Self(pairs.map(|(name, value)| (name.into_owned(), clean(&value))).collect())
    }

    /// The first value of this name, without blanks around it; empty when there is none.
    pub(in crate::web) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value if there is one that is not blank.
    pub(in crate::web) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The value as it was typed.
    pub(in crate::web) fn secret(&self, name: &str) -> Secret {
        Secret::new(self.raw(name).to_owned())
    }

    /// Every value of this name, blank ones apart: a group of checkboxes.
    pub(in crate::web) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .filter(|v| !v.is_empty())
    }

    /// Whether a checkbox is ticked or a button was pressed: whether there is such a field.
    pub(in crate::web) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// A number, where it is one.
    pub(in crate::web) fn number(&self, name: &str) -> Option<usize> {
        self.text(name).parse().ok()
    }

    /// Names and values.
    pub(in crate::web) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

fn clean(value: &str) -> String {
    value.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// What is wrong with the fields of a form, each by the field's name.
#[derive(Debug, Default)]
pub(in crate::web) struct Mistakes(Vec<(&'static str, String)>);

impl Mistakes {
    /// One more.
    pub(in crate::web) fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    /// Whether there is none.
    pub(in crate::web) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of a field.
    pub(in crate::web) fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == field).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let fields = Fields::read(b"a=+x+&b=1&b=&b=2&c=one%0D%0A%0D%0A+two&d=%00%1b[31mred&e=%FF&f=");
        assert_eq!((fields.text("a"), fields.given("f"), fields.given("none")), ("x", None, None));
        assert_eq!(fields.all("b").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.text("c"), "one\n\n two");
        assert_eq!(fields.text("d"), "[31mred");
        assert_eq!(fields.text("e"), "\u{fffd}");
        assert!(fields.has("f") && !fields.has("g"));
        assert_eq!((fields.number("b"), fields.number("a")), (Some(1), None));
        let long = format!("a={}", "x".repeat(LONGEST + 1));
        assert!(!Fields::read(long.as_bytes()).has("a"));
    }

    #[test]
    fn a_password_keeps_its_blanks() {
        assert_eq!(Fields::read(b"p=+a+").secret("p").expose(), " a ");
    }
}

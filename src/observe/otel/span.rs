//! A span that is over, as a worker writes it down.
//!
//! Invariant: a text has at most [`LONGEST`] bytes, whatever a client sent.

use std::borrow::Cow;

/// Bytes of a text that are kept.
pub const LONGEST: usize = 1024;

/// Whose part of the way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The gateway's, towards its client.
    Server,
    /// The gateway's, towards an upstream.
    Client,
}

/// What it is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// It is where the trace begins.
    None,
    /// A span of another process.
    Remote([u8; 8]),
    /// A span of ours.
    Own([u8; 8]),
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// One span.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace.
    pub trace: [u8; 16],
    /// Its id.
    pub id: [u8; 8],
    /// What it is below.
    pub parent: Parent,
    /// `tracestate` as it came.
    pub state: String,
    /// Its name.
    pub name: String,
    /// Whose part it is.
    pub kind: Kind,
    /// When it began, nanoseconds since 1970.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What there is to tell.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether its status is an error.
    pub failed: bool,
}

impl Span {
    /// Adds a text, unless it is empty; cut where it is too long.
    pub fn text(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.attributes.push((key, Value::Text(Cow::Owned(cut(text, LONGEST).to_owned()))));
        }
    }

    /// The same of a text of the program's own.
    pub fn word(&mut self, key: &'static str, word: &'static str) {
        if !word.is_empty() {
            self.attributes.push((key, Value::Text(Cow::Borrowed(word))));
        }
    }

    /// Adds a number.
    pub fn number(&mut self, key: &'static str, number: impl TryInto<i64>) {
        self.attributes.push((key, Value::Number(number.try_into().unwrap_or(i64::MAX))));
    }

    /// Adds that something is so.
    pub fn flag(&mut self, key: &'static str) {
        self.attributes.push((key, Value::Flag(true)));
    }
}

/// As much of a text as fits into so many bytes, in whole characters.
#[must_use]
pub fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default()
}

/// The bytes that hexadecimal digits stand for; `None` when there are others among them, or too few.
#[must_use]
pub fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut pairs = digits.as_chunks::<2>().0.iter();
    let mut bytes = [0; N];
    for byte in &mut bytes {
        let [high, low] = pairs.next()?;
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character() {
        for (text, longest, expected) in [
            ("abc", 5, "abc"),
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("aä", 2, "a"),
            ("ä", 1, ""),
            ("", 4, ""),
        ] {
            assert_eq!(cut(text, longest), expected);
        }
    }

    #[test]
    fn ids_are_read_from_their_digits() {
        assert_eq!(bytes::<8>(b"00f067aa0ba902b7"), Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        for bad in [&b"00f067aa0ba902b"[..], b"00f067aa0ba902bx", b""] {
            assert_eq!(bytes::<8>(bad), None);
        }
    }
}

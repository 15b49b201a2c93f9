//! One log line, as text for people or as a JSON object, built without allocation.
//!
//! Invariant: a value cannot end the line or forge a field, whatever bytes it has.

use std::{cell::Cell, io::Write as _};

use crate::base::time::Timestamp;

/// Characters of a value that are shown at most.
const LONGEST: usize = 2048;

/// Whether all bytes are of a kind. Looks at each of them, so that the compiler can look at many at once.
fn all(value: &str, kind: impl Fn(u8) -> bool) -> bool {
    value.bytes().fold(true, |all, byte| all & kind(byte))
}

/// A byte that needs no care in either form.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'\\' | b'=')
}

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time kind key=value …`
    Text,
    /// `{"time":…,"kind":…,…}`
    Json,
}

/// The name of a field, as each form begins it: a plain word.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// ` name=`
    pub text: &'static str,
    /// `,"name":`
    pub json: &'static str,
}

/// The [`Key`] of a name.
macro_rules! key {
    ($name:literal) => {
        const { $crate::observe::line::Key { text: concat!(" ", $name, "="), json: concat!(",\"", $name, "\":") } }
    };
}
pub(super) use key;

/// Writes moments. Many lines fall into one second, and within it only three digits change.
#[derive(Debug)]
pub struct Stamp(Cell<(i64, [u8; 24])>);

impl Default for Stamp {
    fn default() -> Self {
        Self(Cell::new((0, Timestamp::from_seconds(0).rfc3339_bytes())))
    }
}

impl Stamp {
    /// RFC 3339 in UTC with milliseconds.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> [u8; 24] {
        let (second, mut text) = self.0.get();
        if second != now.seconds() {
            let text = now.rfc3339_bytes();
            self.0.set((now.seconds(), text));
            return text;
        }
        let millis = u16::try_from(now.millis().rem_euclid(1000)).unwrap_or(0);
        let digit = |place: u16| b'0' + u8::try_from(millis / place % 10).unwrap_or(0);
        let [.., hundreds, tens, ones, _] = &mut text;
        (*hundreds, *tens, *ones) = (digit(100), digit(10), digit(1));
        text
    }
}

/// A line under construction at the end of a buffer.
pub struct Line<'a> {
    buffer: &'a mut Vec<u8>,
    format: Format,
}

impl<'a> Line<'a> {
    /// Begins a line. `time`: from a [`Stamp`].
    pub fn begin(buffer: &'a mut Vec<u8>, format: Format, time: &[u8; 24], kind: &'static str) -> Self {
        match format {
            Format::Text => {
                buffer.extend_from_slice(time);
                buffer.push(b' ');
                buffer.extend_from_slice(kind.as_bytes());
            }
            Format::Json => {
                buffer.extend_from_slice(b"{\"time\":\"");
                buffer.extend_from_slice(time);
                buffer.extend_from_slice(b"\",\"kind\":\"");
                buffer.extend_from_slice(kind.as_bytes());
                buffer.push(b'"');
            }
        }
        Self { buffer, format }
    }

    fn key(&mut self, key: Key) {
        let text = if self.format == Format::Text { key.text } else { key.json };
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// A word of the program's own that needs no care in either form; left out when empty.
    #[must_use]
    pub fn word(mut self, key: Key, value: &'static str) -> Self {
        debug_assert!(all(value, is_plain), "{value:?} is no word");
        if !value.is_empty() {
            self.plain(key, value.as_bytes());
        }
        self
    }

    /// What is known to be plain.
    fn plain(&mut self, key: Key, value: &[u8]) {
        self.key(key);
        if self.format == Format::Text {
            self.buffer.extend_from_slice(value);
        } else {
            self.buffer.push(b'"');
            self.buffer.extend_from_slice(value);
            self.buffer.push(b'"');
        }
    }

    /// A text; left out when empty.
    #[must_use]
    pub fn text(mut self, key: Key, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        if value.len() <= LONGEST && all(value, is_plain) {
            self.plain(key, value.as_bytes());
        } else {
            self.key(key);
            self.quoted(value);
        }
        self
    }

    /// A text as bytes; left out when empty.
    #[must_use]
    pub fn bytes(mut self, key: Key, value: &[u8]) -> Self {
        if value.len() <= LONGEST && value.iter().fold(true, |all, byte| all & is_plain(*byte)) {
            if !value.is_empty() {
                self.plain(key, value);
            }
            return self;
        }
        self.text(key, &String::from_utf8_lossy(value))
    }

    fn quoted(&mut self, value: &str) {
        self.buffer.push(b'"');
        // Most values need no care and are copied in one go.
        if value.len() <= LONGEST && all(value, |b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')) {
            self.buffer.extend_from_slice(value.as_bytes());
            self.buffer.push(b'"');
            return;
        }
        for c in value.chars().take(LONGEST) {
            match c {
                '"' | '\\' => self.buffer.extend_from_slice(&[b'\\', c as u8]),
                ' '..='~' => self.buffer.push(c as u8),
                // Controls, and everything that a terminal or a viewer might obey.
                _ => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(self.buffer, "\\u{unit:04x}");
                    }
                }
            }
        }
        self.buffer.push(b'"');
    }

    /// That something is so; left out where it is not.
    #[must_use]
    pub fn flag(mut self, key: Key, value: bool) -> Self {
        if value {
            self.key(key);
            self.buffer.extend_from_slice(b"true");
        }
        self
    }

    /// A whole number.
    #[must_use]
    pub fn number(mut self, key: Key, value: u64) -> Self {
        self.key(key);
        self.digits(value);
        self
    }

    /// Microseconds, shown as milliseconds with three decimals.
    #[must_use]
    pub fn millis(mut self, key: Key, micros: u64) -> Self {
        self.key(key);
        self.digits(micros / 1000);
        let rest = micros % 1000;
        let digit = |place: u64| b'0' + u8::try_from(rest / place % 10).unwrap_or(0);
        self.buffer.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
        self
    }

    fn digits(&mut self, mut value: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
            at -= 1;
            if value == 0 {
                break;
            }
        }
        self.buffer.extend_from_slice(digits.get(at..).unwrap_or_default());
    }

    /// Ends the line.
    pub fn end(self) {
        self.buffer.extend_from_slice(if self.format == Format::Json { b"}\n" } else { b"\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, value: &str) -> String {
        let mut buffer = Vec::new();
        let time = Stamp::default().at(Timestamp::from_millis(1));
        Line::begin(&mut buffer, format, &time, "access")
            .text(key!("path"), value)
            .text(key!("none"), "")
            .word(key!("empty"), "")
            .word(key!("method"), "GET")
            .number(key!("status"), 200)
            .flag(key!("late"), true)
            .flag(key!("lost"), false)
            .millis(key!("ms"), 12_034)
            .end();
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn lines_read_well_in_both_forms() {
        assert_eq!(
            line(Format::Text, "/a"),
            "1970-01-01T00:00:00.001Z access path=/a method=GET status=200 late=true ms=12.034\n"
        );
        assert_eq!(
            line(Format::Json, "/a"),
            "{\"time\":\"1970-01-01T00:00:00.001Z\",\"kind\":\"access\",\"path\":\"/a\",\"method\":\"GET\",\"status\":200,\"late\":true,\"ms\":12.034}\n"
        );
    }

    #[test]
    fn a_stamp_is_the_moment_whatever_came_before() {
        let stamp = Stamp::default();
        for millis in [0, 7, 1007, 1999, 1000, -1, -1000, 999, 951_782_400_123, 951_782_400_999] {
            let now = Timestamp::from_millis(millis);
            assert_eq!(stamp.at(now), now.rfc3339_bytes(), "{millis}");
        }
    }

    #[test]
    fn a_value_cannot_break_out() {
        for value in ["a\nb", "a\r\nb", "\u{1b}[31m", "a b=c", "a\"b", "a\\", "\u{85}\u{2028}ä😀", "x\0"] {
            for format in [Format::Text, Format::Json] {
                let line = line(format, value);
                assert_eq!(line.matches('\n').count(), 1, "{line}");
                assert!(line.trim_end().bytes().all(|b| (0x20..0x7f).contains(&b)), "{line}");
                let [mut text, mut bytes] = [Vec::new(), Vec::new()];
                Line::begin(&mut text, format, &[b'0'; 24], "x").text(key!("a"), value).end();
                Line::begin(&mut bytes, format, &[b'0'; 24], "x").bytes(key!("a"), value.as_bytes()).end();
                assert_eq!(bytes, text);
            }
            let json: serde_json::Value = serde_json::from_str(&line(Format::Json, value)).unwrap();
            assert_eq!(json["path"], value);
        }
    }
}

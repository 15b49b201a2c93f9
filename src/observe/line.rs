//! One log line, as text for people or as a JSON object, built without allocation.
//!
//! Invariant: a value cannot end the line or forge a field, whatever bytes it has.

use std::io::Write as _;

use crate::base::time::Timestamp;

/// Characters of a value that are shown at most.
const LONGEST: usize = 2048;

/// Whether all bytes are of a kind. Looks at each of them, so that the compiler can look at many at once.
fn all(value: &str, kind: impl Fn(u8) -> bool) -> bool {
    value.bytes().fold(true, |all, byte| all & kind(byte))
}

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time kind key=value …`
    Text,
    /// `{"time":…,"kind":…,…}`
    Json,
}

/// A line under construction at the end of a buffer.
pub struct Line<'a> {
    buffer: &'a mut Vec<u8>,
    format: Format,
}

impl<'a> Line<'a> {
    /// Begins a line.
    pub fn begin(buffer: &'a mut Vec<u8>, format: Format, now: Timestamp, kind: &'static str) -> Self {
        let time = now.rfc3339_bytes();
        match format {
            Format::Text => {
                buffer.extend_from_slice(&time);
                buffer.push(b' ');
                buffer.extend_from_slice(kind.as_bytes());
            }
            Format::Json => {
                buffer.extend_from_slice(b"{\"time\":\"");
                buffer.extend_from_slice(&time);
                buffer.extend_from_slice(b"\",\"kind\":\"");
                buffer.extend_from_slice(kind.as_bytes());
                buffer.push(b'"');
            }
        }
        Self { buffer, format }
    }

    fn key(&mut self, key: &'static str) {
        match self.format {
            Format::Text => {
                self.buffer.push(b' ');
                self.buffer.extend_from_slice(key.as_bytes());
                self.buffer.push(b'=');
            }
            Format::Json => {
                self.buffer.extend_from_slice(b",\"");
                self.buffer.extend_from_slice(key.as_bytes());
                self.buffer.extend_from_slice(b"\":");
            }
        }
    }

    /// A text; left out when empty.
    #[must_use]
    pub fn text(mut self, key: &'static str, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        self.key(key);
        if self.format == Format::Text
            && value.len() <= LONGEST
            && all(value, |b| matches!(b, b'!'..=b'~') && !matches!(b, b'"' | b'\\' | b'='))
        {
            self.buffer.extend_from_slice(value.as_bytes());
        } else {
            self.quoted(value);
        }
        self
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

    /// A whole number.
    #[must_use]
    pub fn number(mut self, key: &'static str, value: u64) -> Self {
        self.key(key);
        self.digits(value);
        self
    }

    /// Microseconds, shown as milliseconds with three decimals.
    #[must_use]
    pub fn millis(mut self, key: &'static str, micros: u64) -> Self {
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
        Line::begin(&mut buffer, format, Timestamp::from_millis(1), "access")
            .text("path", value)
            .text("none", "")
            .number("status", 200)
            .millis("ms", 12_034)
            .end();
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn lines_read_well_in_both_forms() {
        assert_eq!(
            line(Format::Text, "/a"),
            "1970-01-01T00:00:00.001Z access path=/a status=200 ms=12.034\n"
        );
        assert_eq!(
            line(Format::Json, "/a"),
            "{\"time\":\"1970-01-01T00:00:00.001Z\",\"kind\":\"access\",\"path\":\"/a\",\"status\":200,\"ms\":12.034}\n"
        );
    }

    #[test]
    fn a_value_cannot_break_out() {
        for value in ["a\nb", "a\r\nb", "\u{1b}[31m", "a b=c", "a\"b", "a\\", "\u{85}\u{2028}ä😀", "x\0"] {
            for format in [Format::Text, Format::Json] {
                let line = line(format, value);
                assert_eq!(line.matches('\n').count(), 1, "{line}");
                assert!(line.trim_end().bytes().all(|b| (0x20..0x7f).contains(&b)), "{line}");
            }
            let json: serde_json::Value = serde_json::from_str(&line(Format::Json, value)).unwrap();
            assert_eq!(json["path"], value);
        }
    }
}

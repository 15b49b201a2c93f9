//! Where a body in chunks ends, read as narrowly as the grammar is written.
//!
//! Invariant: what is read here one way is read so by every server; hyper's reader alone also takes a blank behind a size, which
//! others take for a part of it, or for an error.
//!
//! RFC 9112 section 7.1.

/// Reads chunks in whatever pieces they arrive. What they hold is of no interest.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    /// Of the chunk, as far as it was read; then what is left of it.
    size: u64,
}

/// What comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    #[default]
    Size,
    /// Another one, or what ends it.
    Digits,
    /// More blanks, and then an extension.
    Blank,
    /// The rest of the extensions.
    Extension,
    /// The end of a size's line.
    SizeLf,
    /// Data.
    Data,
    /// The two bytes behind it.
    DataCr,
    DataLf,
    /// A trailer field, or the last line.
    Line,
    /// The rest of the field.
    Field,
    FieldLf,
    /// The end of the last line.
    LastLf,
    /// Nothing: that was all.
    Over,
    /// Whatever it is, it was no chunk before.
    Broken,
}

impl Chunks {
    /// Reads on, and returns how many of these bytes belong to the body.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if matches!(self.state, State::Over | State::Broken) {
                break;
            }
            at += self.step(rest);
        }
        at
    }

    /// The body has ended.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// It is malformed.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Reads at least one byte of some.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let byte = bytes.first().copied().unwrap_or_default();
        match self.state {
            State::Data => return self.skip(bytes),
            State::Extension | State::Field => {
                if let Some(skipped @ 1..) = memchr::memchr2(b'\r', b'\n', bytes) {
                    return skipped;
                }
                if !matches!(byte, b'\r' | b'\n') {
                    return bytes.len();
                }
            }
            _ => {}
        }
        self.state = match (self.state, byte) {
            (State::Size | State::Digits, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (State::Digits | State::Blank, b';') => State::Extension,
            (State::Digits | State::Blank, b' ' | b'\t') => State::Blank,
            (State::Digits | State::Extension, b'\r') => State::SizeLf,
            (State::SizeLf, b'\n') if self.size == 0 => State::Line,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Line, b'\r') => State::LastLf,
            (State::Line, _) if byte != b'\n' => State::Field,
            (State::Field, b'\r') => State::FieldLf,
            (State::FieldLf, b'\n') => State::Line,
            (State::LastLf, b'\n') => State::Over,
            _ => State::Broken,
        };
        1
    }

    fn digit(&mut self, byte: u8) -> State {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        let size = self.size.checked_mul(16).zip(digit).and_then(|(size, digit)| size.checked_add(digit));
        self.size = size.unwrap_or_default();
        if size.is_some() { State::Digits } else { State::Broken }
    }

    fn skip(&mut self, bytes: &[u8]) -> usize {
        let skipped = usize::try_from(self.size).map_or(bytes.len(), |size| size.min(bytes.len()));
        self.size -= skipped as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, step: usize) -> (Chunks, usize) {
        let mut chunks = Chunks::default();
        let read = text.as_bytes().chunks(step).map(|piece| chunks.read(piece)).sum();
        (chunks, read)
    }

    #[test]
    fn bodies_end_where_they_say() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A\r\n0123456789\r\n00\r\n\r\n",
            "5;a=b\r\n\r\n0\r\n\r\n0;c;d=\"e\"\r\n\r\n",
            "5 \t;a\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n3\r\nyou\r\n0\r\nX-Sum: 1\r\nX: \r\n\r\n",
        ] {
            for step in [1, 2, 3, 5, body.len() + 99] {
                let (chunks, read) = read(&format!("{body}GET / HTTP/1.1\r\n\r\n"), step);
                assert_eq!(
                    (chunks.is_over(), chunks.is_broken(), read),
                    (true, false, body.len()),
                    "{body:?}"
                );
            }
            for end in 0..body.len() {
                let (chunks, read) = read(&body[..end], 7);
                assert_eq!((chunks.is_over(), chunks.is_broken(), read), (false, false, end), "{body:?}");
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_seen() {
        for body in [
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\t\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            ";a\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
            "5\r\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\r\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\n",
            "5\r\nhello\r\n0\r\nX: y\n\r\n",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ] {
            for step in [1, 2, 99] {
                assert!(read(body, step).0.is_broken(), "{body:?} by {step}");
            }
        }
    }
}

//! The body of an answer, piece by piece, out of the bytes that have arrived.
//!
//! Invariants: a body ends only where its framing says so; pieces are parts of what arrived, in order, whatever the
//! pieces that it arrived in (RFC 9112 sections 6.2, 6.3, 7.1).

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::{
    Malformed,
    answer::{Length, Scanner, trailers},
};

/// A line with a chunk's size.
const MAX_SIZE_LINE: usize = 4 * 1024;

/// Chunk extensions of a whole body; nobody uses them but to waste the other side's time.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// A trailer section.
const MAX_TRAILERS: usize = 16 * 1024;

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of it.
    Data(Bytes),
    /// Its trailer fields; nothing comes after them.
    Trailers(HeaderMap),
    /// Nothing, until more has arrived.
    More,
    /// Nothing: it has ended.
    End,
}

/// Reads one body.
#[derive(Debug)]
pub struct Decoder(State);

#[derive(Debug)]
enum State {
    /// So many bytes are left, not none.
    Counted(u64),
    UntilClose,
    Chunked {
        step: Step,
        extensions: usize,
    },
    Ended,
}

#[derive(Debug)]
enum Step {
    Size,
    Data(u64),
    DataEnd,
    Trailers(Scanner),
}

impl Decoder {
    /// For a body of this length.
    #[must_use]
    pub const fn new(length: Length) -> Self {
        Self(match length {
            Length::Known(0) => State::Ended,
            Length::Known(left) => State::Counted(left),
            Length::Chunked => State::Chunked { step: Step::Size, extensions: 0 },
            Length::UntilClose => State::UntilClose,
        })
    }

    /// Looks at how the body begins, as far as that has arrived: an answer that is seen to be broken need not be begun.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn begins(&self, arrived: &[u8]) -> Result<(), Malformed> {
        let State::Chunked { step: Step::Size, .. } = &self.0 else { return Ok(()) };
        let line = memchr::memchr(b'\n', arrived).and_then(|end| arrived.get(..=end));
        line.map_or(Ok(()), |line| chunk_size(line).map(drop))
    }

    /// Whether the body has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    /// How many bytes are left, where that is known.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        match self.0 {
            State::Counted(left) => Some(left),
            State::Ended => Some(0),
            State::UntilClose | State::Chunked { .. } => None,
        }
    }

    /// The connection has ended. Whether the body may end with it.
    pub fn close(&mut self) -> bool {
        if matches!(self.0, State::UntilClose) {
            self.0 = State::Ended;
        }
        self.has_ended()
    }

    /// Takes the next piece off the front of what has arrived.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn next(&mut self, arrived: &mut BytesMut) -> Result<Piece, Malformed> {
        match &mut self.0 {
            State::Ended => Ok(Piece::End),
            _ if arrived.is_empty() => Ok(Piece::More),
            State::UntilClose => Ok(Piece::Data(arrived.split().freeze())),
            State::Counted(left) => {
                let data = take(arrived, left);
                if *left == 0 {
                    self.0 = State::Ended;
                }
                Ok(Piece::Data(data))
            }
            State::Chunked { step, extensions } => {
                let piece = step.next(arrived, extensions);
                if matches!(piece, Ok(Piece::Trailers(_) | Piece::End)) {
                    self.0 = State::Ended;
                }
                piece
            }
        }
    }
}

impl Step {
    fn next(&mut self, arrived: &mut BytesMut, extensions: &mut usize) -> Result<Piece, Malformed> {
        loop {
            match self {
                Self::Size => {
                    let Some(end) = memchr::memchr(b'\n', arrived) else {
                        if arrived.len() > MAX_SIZE_LINE {
                            return Err(Malformed("a chunk's size does not end"));
                        }
                        return Ok(Piece::More);
                    };
                    let line = arrived.split_to(end + 1);
                    let (size, extension) = chunk_size(&line)?;
                    *extensions += extension;
                    if *extensions > MAX_EXTENSIONS {
                        return Err(Malformed("the body has too many chunk extensions"));
                    }
                    *self = if size == 0 { Self::Trailers(Scanner::default()) } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    if arrived.is_empty() {
                        return Ok(Piece::More);
                    }
                    let data = take(arrived, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Piece::Data(data));
                }
                Self::DataEnd => match arrived.get(..2) {
                    Some(b"\r\n") => {
                        let _ = arrived.split_to(2);
                        *self = Self::Size;
                    }
                    None if matches!(**arrived, [] | [b'\r']) => return Ok(Piece::More),
                    _ => return Err(Malformed("a chunk does not end where its size says")),
                },
                Self::Trailers(scanner) => {
                    let Some(end) = scanner.find_end(arrived)? else {
                        if arrived.len() > MAX_TRAILERS {
                            return Err(Malformed("the trailer section does not end"));
                        }
                        return Ok(Piece::More);
                    };
                    let section = arrived.split_to(end).freeze();
                    if section.len() == 2 {
                        return Ok(Piece::End);
                    }
                    return trailers(&section).map(Piece::Trailers);
                }
            }
        }
    }
}

/// As much as there is of what is left.
fn take(arrived: &mut BytesMut, left: &mut u64) -> Bytes {
    let count = usize::try_from(*left).map_or(arrived.len(), |left| left.min(arrived.len()));
    *left -= count as u64;
    arrived.split_to(count).freeze()
}

/// Size and length of the extensions in `SIZE [;extensions] CRLF`. Blanks after the size are of no consequence, and
/// some servers pad with them.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), Malformed> {
    const WRONG: Malformed = Malformed("a chunk's size is malformed");
    let line = line.strip_suffix(b"\r\n").ok_or(WRONG)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at_checked(digits).ok_or(WRONG)?;
    // 16 digits always fit.
    if !(1..=16).contains(&digits.len()) {
        return Err(WRONG);
    }
    let text = std::str::from_utf8(digits).map_err(|_| WRONG)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| WRONG)?;
    let extension = rest.trim_ascii_start();
    let plain = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if !rest.iter().all(plain) || !(extension.is_empty() || extension.starts_with(b";")) {
        return Err(WRONG);
    }
    Ok((size, rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body that arrives in these pieces is: its bytes, its trailers, and what is left over; `None` when more is
    /// needed.
    type Whole = Option<(Vec<u8>, usize, Vec<u8>)>;

    fn read<'a>(length: Length, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Whole, Malformed> {
        let mut decoder = Decoder::new(length);
        let (mut body, mut fields) = (Vec::new(), 0);
        let mut arrived = BytesMut::new();
        let mut ended = false;
        for piece in pieces {
            arrived.extend_from_slice(piece);
            while !ended {
                match decoder.next(&mut arrived)? {
                    Piece::Data(data) => {
                        assert!(!data.is_empty());
                        body.extend_from_slice(&data);
                    }
                    Piece::Trailers(trailers) => fields += trailers.len(),
                    Piece::More => break,
                    Piece::End => ended = true,
                }
            }
        }
        assert_eq!(decoder.has_ended(), ended);
        Ok(ended.then(|| (body, fields, arrived.to_vec())))
    }

    #[test]
    fn a_body_is_the_same_in_whatever_pieces_it_arrives() {
        for (text, body, fields, rest) in [
            ("0\r\n\r\n", "", 0, ""),
            ("2\r\nok\r\n0\r\n\r\n", "ok", 0, ""),
            ("2\r\nok\r\n0\r\n\r\nextra", "ok", 0, "extra"),
            ("0002\r\nok\r\n00\r\n\r\n", "ok", 0, ""),
            ("A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij", 0, ""),
            ("2;a=b;c=\"d\"\r\nok\r\n0;x\r\n\r\n", "ok", 0, ""),
            ("2 \t;a\r\nok\r\n0  \r\n\r\n", "ok", 0, ""),
            ("4\r\n\r\n0\r\r\n0\r\nA: b\r\nC: d\r\n\r\nX", "\r\n0\r", 2, "X"),
        ] {
            let whole = Some((body.as_bytes().to_vec(), fields, rest.as_bytes().to_vec()));
            assert_eq!(read(Length::Chunked, [text.as_bytes()]), Ok(whole.clone()), "{text:?}");
            assert_eq!(read(Length::Chunked, text.as_bytes().chunks(1)), Ok(whole.clone()), "{text:?}");
            for at in 0..text.len() {
                let (first, second) = text.as_bytes().split_at(at);
                assert_eq!(read(Length::Chunked, [first, second]), Ok(whole.clone()), "{text:?} at {at}");
                // What ends earlier is not whole.
                if at < text.len() - rest.len() {
                    assert_eq!(read(Length::Chunked, [first]), Ok(None), "{text:?} cut at {at}");
                }
            }
        }
    }

    #[test]
    fn chunks_keep_to_the_grammar() {
        for text in [
            "\r\n",
            "zz\r\nok\r\n",
            "-2\r\nok\r\n",
            "+2\r\nok\r\n",
            "0x2\r\nok\r\n",
            " 2\r\nok\r\n",
            "2 2\r\nok\r\n",
            ";a\r\nok\r\n",
            "2a=b\r\n",
            "2\nok\r\n",
            "2\r\r\nok\r\n",
            "2;a\rb\r\nok\r\n",
            "2;a\0b\r\nok\r\n",
            "FFFFFFFFFFFFFFFFF\r\nok\r\n",
            "00000000000000002\r\nok\r\n",
            "2\r\nokx",
            "2\r\nok\n0\r\n\r\n",
            "2\r\nok\rx",
            "2\r\nokay\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n\n",
            "0\r\nnonsense\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
        ] {
            assert!(read(Length::Chunked, [text.as_bytes()]).is_err(), "{text:?}");
            assert!(read(Length::Chunked, text.as_bytes().chunks(1)).is_err(), "{text:?} byte by byte");
        }
        let long = format!("2;{}", "x".repeat(MAX_SIZE_LINE));
        assert!(read(Length::Chunked, [long.as_bytes()]).is_err(), "an extension without end");
        let many = format!("1;{}\r\nx\r\n", "x".repeat(1000)).repeat(20);
        assert!(read(Length::Chunked, [many.as_bytes()]).is_err(), "extensions without end");
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(MAX_TRAILERS / 6 + 1));
        assert!(read(Length::Chunked, [trailers.as_bytes()]).is_err(), "trailers without end");
        let largest = read(Length::Chunked, [&b"FFFFFFFFFFFFFFFF\r\nok"[..]]);
        assert_eq!(largest, Ok(None), "the largest size is a size");
    }

    #[test]
    fn counted_bodies_end_with_the_last_byte() {
        let whole =
            |body: &str, rest: &str| Ok(Some((body.as_bytes().to_vec(), 0, rest.as_bytes().to_vec())));
        assert_eq!(read(Length::Known(2), [&b"okHTTP/1.1"[..]]), whole("ok", "HTTP/1.1"));
        assert_eq!(read(Length::Known(4), b"okay".chunks(1)), whole("okay", ""));
        assert_eq!(read(Length::Known(0), [&b"x"[..]]), whole("", "x"));
        assert_eq!(read(Length::Known(u64::MAX), [&b"okay"[..]]), Ok(None));
        let mut decoder = Decoder::new(Length::Known(3));
        assert_eq!(decoder.left(), Some(3));
        assert!(!decoder.close(), "cut");
    }

    #[test]
    fn only_a_body_without_framing_ends_with_the_connection() {
        for (length, may_end) in
            [(Length::UntilClose, true), (Length::Known(5), false), (Length::Chunked, false)]
        {
            let mut decoder = Decoder::new(length);
            assert_eq!(decoder.next(&mut BytesMut::new()), Ok(Piece::More));
            assert_eq!(decoder.close(), may_end, "{length:?}");
        }
        assert_eq!(read(Length::UntilClose, [&b"ok"[..], b"ay"]), Ok(None));
    }
}

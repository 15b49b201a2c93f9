//! The head of an answer: from bytes to status, fields and where the body ends.
//!
//! Invariant: a head has one reading. Lines end in CRLF, no line is folded, and length and coding of the body are named
//! at most once, by one field; all else is an error (RFC 9112 sections 2.2, 4, 5, 6.3).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ALT_SVC, CONNECTION, CONTENT_LENGTH, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};
use httparse::{Header, ParserConfig, Status};

use super::Malformed;

/// Bytes of a head.
pub const MAX_HEAD: usize = 64 * 1024;

/// Fields of a head, or of a trailer section.
pub const MAX_FIELDS: usize = 256;

/// Where the body of an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After so many bytes.
    Known(u64),
    /// Where the chunked coding says so.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The head of an answer, without what is for this hop only.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// What may go on.
    pub headers: HeaderMap,
    /// Where the body ends.
    pub length: Length,
    /// Whether the upstream keeps the connection.
    pub keep_alive: bool,
    /// Whether it says that it goes on as WebSocket.
    pub websocket: bool,
}

impl Head {
    /// Whether the answer is still to come.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Looks for the empty line that ends a block of lines, across several arrivals.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Where the line that has not ended yet begins.
    line: usize,
    /// How far it was looked at.
    seen: usize,
}

impl Scanner {
    /// The length of the block with its empty line, once it is whole. `block` begins as it did at the call before.
    ///
    /// # Errors
    /// When a line ends in a bare LF: servers differ in whether that ends a line.
    pub fn find_end(&mut self, block: &[u8]) -> Result<Option<usize>, Malformed> {
        while let Some(at) = memchr::memchr(b'\n', block.get(self.seen..).unwrap_or_default()) {
            let end = self.seen + at;
            let line = block.get(self.line..end).unwrap_or_default();
            if line.last() != Some(&b'\r') {
                return Err(Malformed("a line of the answer's head ends in a bare LF"));
            }
            (self.line, self.seen) = (end + 1, end + 1);
            if line.len() == 1 {
                return Ok(Some(end + 1));
            }
        }
        self.seen = block.len();
        Ok(None)
    }
}

/// Whether these bytes can be the beginning of an answer at all.
#[must_use]
pub fn can_begin(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let common = bytes.len().min(START.len());
    bytes.get(..common) == START.get(..common)
}

/// Reads a whole head, as [`Scanner`] delimits it. `to_head`: it answers a HEAD request.
///
/// # Errors
/// [`Malformed`]
pub fn parse(bytes: &Bytes, to_head: bool) -> Result<Head, Malformed> {
    if !can_begin(bytes) {
        return Err(Malformed("the answer does not begin with a status line"));
    }
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let read = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields);
    match read {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Malformed("the answer's head does not end where its empty line is")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("the answer has too many fields")),
        Err(_) => return Err(Malformed("the answer's head is malformed")),
    }
    let old = parsed.version == Some(0);
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("the answer's status is no status"))?;
    let mut framing = Framing::default();
    let mut options = Options::default();
    let mut websocket = None;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + 4);
    for field in parsed.headers.iter() {
        let (name, value) = field_of(bytes, field)?;
        match name {
            CONNECTION => options.note(&value),
            TRANSFER_ENCODING => framing.coding(&value)?,
            CONTENT_LENGTH => {
                framing.length(&value)?;
                headers.append(name, value);
            }
            UPGRADE => {
                // Named twice it is no answer to a wish for one protocol.
                websocket = Some(websocket.is_none() && value.as_bytes().eq_ignore_ascii_case(b"websocket"));
            }
            _ if is_for_this_hop(&name) => {}
            _ => {
                headers.append(name, value);
            }
        }
    }
    let websocket = websocket == Some(true) && options.named.contains(&UPGRADE);
    // RFC 9110 section 7.6.1. What frames the message cannot be made to disappear.
    for name in options.named.into_iter().filter(|name| *name != CONTENT_LENGTH) {
        headers.remove(name);
    }
    // RFC 9110 section 8.6.
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        headers.remove(CONTENT_LENGTH);
    }
    let length = framing.decide(old)?;
    // RFC 9112 section 6.3, rule 1.
    let bodiless = to_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = if bodiless { Length::Known(0) } else { length };
    let keep_alive = !options.close && (!old || options.keep_alive);
    Ok(Head { status, headers, length, keep_alive, websocket })
}

/// Reads a trailer section, as [`Scanner`] delimits it. What frames a message, is for this hop, or acts on the client
/// beside the message has no place there (RFC 9110 section 6.5.1) and is left out.
///
/// # Errors
/// [`Malformed`]
pub fn trailers(bytes: &Bytes) -> Result<HeaderMap, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let fields = match httparse::parse_headers(bytes, &mut fields) {
        Ok(Status::Complete((length, fields))) if length == bytes.len() => fields,
        _ => return Err(Malformed("the trailer section is malformed")),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let (name, value) = field_of(bytes, field)?;
        let framing = matches!(name, CONNECTION | TRANSFER_ENCODING | CONTENT_LENGTH | TRAILER);
        if !framing && !matches!(name, SET_COOKIE | ALT_SVC) && !is_for_this_hop(&name) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}

/// A field whose value is a part of `bytes`, not a copy.
fn field_of(bytes: &Bytes, field: &Header<'_>) -> Result<(HeaderName, HeaderValue), Malformed> {
    let name = HeaderName::from_bytes(field.name.as_bytes())
        .map_err(|_| Malformed("a field's name is malformed"))?;
    let value = if field.value.is_empty() { Bytes::new() } else { bytes.slice_ref(field.value) };
    let value =
        HeaderValue::from_maybe_shared(value).map_err(|_| Malformed("a field's value is malformed"))?;
    Ok((name, value))
}

/// RFC 9110 section 7.6.1, beside those that are read themselves.
pub(in crate::proxy) fn is_for_this_hop(name: &HeaderName) -> bool {
    matches!(*name, TE | UPGRADE) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// What `Connection` says.
#[derive(Default)]
struct Options {
    close: bool,
    keep_alive: bool,
    named: Vec<HeaderName>,
}

impl Options {
    fn note(&mut self, value: &HeaderValue) {
        for option in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if let Ok(name) = HeaderName::from_bytes(option) {
                self.named.push(name);
            }
        }
    }
}

/// What the fields say about the body.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn coding(&mut self, value: &HeaderValue) -> Result<(), Malformed> {
        if self.chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed("the answer's Transfer-Encoding is not chunked alone"));
        }
        self.chunked = true;
        Ok(())
    }

    fn length(&mut self, value: &HeaderValue) -> Result<(), Malformed> {
        let digits = Some(value.as_bytes()).filter(|text| text.iter().all(u8::is_ascii_digit));
        let number = digits.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let number = number.ok_or(Malformed("the answer's Content-Length is malformed"))?;
        if self.length.replace(number).is_some() {
            return Err(Malformed("the answer's Content-Length is repeated"));
        }
        Ok(())
    }

    /// RFC 9112 section 6.3, from rule 3 on; section 6.1 for HTTP/1.0.
    fn decide(&self, old: bool) -> Result<Length, Malformed> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Malformed("the answer has both Content-Length and Transfer-Encoding")),
            (true, None) if old => Err(Malformed("an answer of HTTP/1.0 has a Transfer-Encoding")),
            (true, None) => Ok(Length::Chunked),
            (false, Some(length)) => Ok(Length::Known(length)),
            (false, None) => Ok(Length::UntilClose),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, to_head: bool) -> Result<Head, Malformed> {
        let end = Scanner::default().find_end(text.as_bytes())?.ok_or(Malformed("it does not end"))?;
        assert_eq!(end, text.len(), "{text:?}");
        parse(&Bytes::copy_from_slice(text.as_bytes()), to_head)
    }

    /// A 200 with these lines.
    fn with(lines: &str) -> Result<Head, Malformed> {
        read(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), false)
    }

    #[test]
    fn the_end_of_a_body_has_one_reading() {
        use Length::{Chunked, Known, UntilClose};
        for (lines, length) in [
            ("", UntilClose),
            ("Content-Length: 0\r\n", Known(0)),
            ("content-length:7\r\n", Known(7)),
            ("Content-Length: 18446744073709551615\r\n", Known(u64::MAX)),
            ("Content-Length: 007\r\n", Known(7)),
            ("Transfer-Encoding: chunked\r\n", Chunked),
            ("TRANSFER-ENCODING:  Chunked \r\n", Chunked),
        ] {
            assert_eq!(with(lines).unwrap().length, length, "{lines:?}");
        }
        for lines in [
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
            "Content-Length: 2\r\nContent-Length: 3\r\n",
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "Content-Length: 2, 2\r\n",
            "Content-Length: +2\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x2\r\n",
            "Content-Length: 2 3\r\n",
            "Content-Length: \r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: \r\n",
        ] {
            assert!(with(lines).is_err(), "{lines:?}");
            let to_head = read(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), true);
            assert!(to_head.is_err(), "to HEAD: {lines:?}");
        }
        for (status, to_head) in
            [("204", false), ("304", false), ("200", true), ("404", true), ("103", false)]
        {
            for lines in ["", "Content-Length: 8\r\n", "Transfer-Encoding: chunked\r\n"] {
                let head = read(&format!("HTTP/1.1 {status} X\r\n{lines}\r\n"), to_head).unwrap();
                assert_eq!(head.length, Known(0), "{status} {lines:?}");
            }
        }
        assert!(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false).is_err());
    }

    #[test]
    fn heads_keep_to_the_grammar() {
        for text in [
            "\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            " HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "HTTP/1.10 200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 O\rK\r\n\r\n",
            "HTTP/1.1 200 O\0K\r\n\r\n",
            "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        ] {
            let end = Scanner::default().find_end(text.as_bytes()).unwrap().unwrap();
            assert!(parse(&Bytes::copy_from_slice(&text.as_bytes()[..end]), false).is_err(), "{text:?}");
        }
        for lines in [
            "X-A: a\r\n b\r\n",
            "X-A:\r\n\tb\r\n",
            " X-A: a\r\n",
            "X-A : a\r\n",
            "X(A: a\r\n",
            ": a\r\n",
            "nonsense\r\n",
            "X-A: a\rb\r\n",
            "X-A: a\0b\r\n",
            "X-A: a\x7fb\r\n",
            "X-\u{e4}: a\r\n",
        ] {
            assert!(with(lines).is_err(), "{lines:?}");
        }
        for text in ["HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nX-A: a\n\r\n", "HTTP/1.1 200 OK\r\n\n", "\n"]
        {
            assert!(Scanner::default().find_end(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(
            with(&"A: b\r\n".repeat(MAX_FIELDS)).is_ok() && with(&"A: b\r\n".repeat(MAX_FIELDS + 1)).is_err()
        );
        assert_eq!(read("HTTP/1.1 200\r\n\r\n", false).unwrap().status, 200);
        let odd = with("X-A: \u{e4} \t\"x\"  \r\nX-A:\r\n").unwrap();
        let values: Vec<_> = odd.headers.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, ["\u{e4} \t\"x\"".as_bytes(), b""]);
    }

    #[test]
    fn what_is_for_this_hop_stays_here() {
        let head = with(
            "Connection: X-Hop, close\r\nConnection: content-length\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
             Proxy-Connection: x\r\nTE: x\r\nUpgrade: x\r\nContent-Length: 3\r\nServer: s\r\n",
        )
        .unwrap();
        let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "server"]);
        let no_content = read("HTTP/1.1 204 X\r\nContent-Length: 0\r\nServer: s\r\n\r\n", false).unwrap();
        assert!(!no_content.headers.contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn the_connection_is_kept_where_both_sides_keep_it() {
        for (version, connection, kept) in [
            ("1.1", "", true),
            ("1.1", "Connection: keep-alive\r\n", true),
            ("1.1", "Connection: Close\r\n", false),
            ("1.1", "Connection: keep-alive, close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let text = format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 0\r\n\r\n");
            assert_eq!(read(&text, false).unwrap().keep_alive, kept, "{version} {connection}");
        }
    }

    #[test]
    fn a_head_that_arrives_byte_by_byte_ends_where_it_ends() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let mut scanner = Scanner::default();
        let ends: Vec<_> = (0..text.len())
            .map(|count| scanner.find_end(&text[..count]).unwrap())
            .take_while(Option::is_none)
            .collect();
        assert_eq!(ends.len(), 25);
        assert!(can_begin(b"") && can_begin(b"HTT") && can_begin(b"HTTP/1.1 2") && !can_begin(b"\r\n"));
    }

    #[test]
    fn trailers_have_no_say_in_framing() {
        let read = |text: &'static str| trailers(&Bytes::from_static(text.as_bytes()));
        let kept = read(
            "X-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nTrailer: y\r\n\
             Set-Cookie: a=b\r\nAlt-Svc: h3\r\nKeep-Alive: 1\r\nX-Sum: 2\r\n\r\n",
        );
        let kept = kept.unwrap();
        assert_eq!((kept.len(), kept.get_all("x-sum").iter().count()), (2, 2));
        for bad in
            ["X-A : b\r\n\r\n", "nonsense\r\n\r\n", "X-A: a\r\n b\r\n\r\n", "X-A: a\0\r\n\r\n", "X-A: b\r\n"]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}

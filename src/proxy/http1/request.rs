//! The head of a request, written straight into the bytes that are sent.
//!
//! Invariant: what is written comes from types that hold no line break, so a value cannot begin a field of its own.
//!
//! RFC 9112 sections 3, 5.

use http::{
    HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING},
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::Malformed;

/// Room for most heads with a token.
const ROOM: usize = 2048;

/// A head under construction.
pub struct RequestHead {
    bytes: Vec<u8>,
    to_head: bool,
    safe: bool,
    trailers: bool,
    switches: bool,
}

impl RequestHead {
    /// Begins with the request line.
    #[must_use]
    pub fn new(method: &Method, target: &PathAndQuery) -> Self {
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.extend_from_slice(method.as_str().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(target.as_str().as_bytes());
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        // RFC 9110 section 9.2.1; TRACE is not forwarded.
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        Self { bytes, to_head: *method == Method::HEAD, safe, trailers: false, switches: false }
    }

    /// The client takes trailers. Said where they can be told from what was there before, in HTTP/2.
    pub const fn takes_trailers(&mut self) {
        self.trailers = true;
    }

    /// Whether the client takes trailers.
    pub(super) const fn is_for_trailers(&self) -> bool {
        self.trailers
    }

    /// Whether the method asks for nothing to be changed, so that asking twice does no harm.
    pub(super) const fn is_safe(&self) -> bool {
        self.safe
    }

    /// Adds a field.
    pub fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name.as_str(), value.as_bytes());
    }

    /// Adds a field with a name of the program's own.
    pub fn set(&mut self, name: &'static str, value: &HeaderValue) {
        debug_assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name:?} is no name");
        self.line(name, value.as_bytes());
    }

    /// Adds a field whose value is put together from these words. Nothing, when one of them is no word.
    #[must_use]
    pub fn set_words(&mut self, name: &'static str, words: &[&[u8]]) -> Option<()> {
        debug_assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name:?} is no name");
        let before = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        let value = self.bytes.len();
        for word in words {
            self.bytes.extend_from_slice(word);
        }
        let value = self.bytes.get(value..).unwrap_or_default();
        // Looks at each byte, so that the compiler can look at many at once.
        if !value.iter().fold(true, |all, byte| all & byte.is_ascii_graphic()) {
            self.bytes.truncate(before);
            return None;
        }
        self.bytes.extend_from_slice(b"\r\n");
        Some(())
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        self.bytes.reserve(name.len() + value.len() + 4);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Asks for a WebSocket on the connection (RFC 6455 section 4.1).
    pub fn websocket(&mut self, key: &HeaderValue) {
        self.switches = true;
        self.line("connection", b"Upgrade");
        self.line("upgrade", b"websocket");
        self.line("sec-websocket-version", b"13");
        self.line("sec-websocket-key", key.as_bytes());
    }

    /// Whether it asks for another protocol on the connection.
    pub(super) const fn switches(&self) -> bool {
        self.switches
    }

    /// The length of the body.
    pub(super) fn length(&mut self, length: u64) {
        self.line("content-length", length.to_string().as_bytes());
    }

    /// The body comes in chunks.
    pub(super) fn chunked(&mut self) {
        self.line("transfer-encoding", b"chunked");
    }

    /// The whole head, its empty line included, and whether it is of a HEAD request.
    pub(super) fn end(mut self) -> (Vec<u8>, bool) {
        self.bytes.extend_from_slice(b"\r\n");
        (self.bytes, self.to_head)
    }
}

/// A head that was written here, as parts, for a connection that sends it otherwise.
pub(super) fn parts(head: &[u8], scheme: &Scheme) -> Result<Parts, Malformed> {
    const WRONG: Malformed = Malformed("the request's head cannot be read back");
    let mut fields = vec![httparse::EMPTY_HEADER; memchr::memchr_iter(b'\n', head).count()];
    let mut parsed = httparse::Request::new(&mut fields);
    let (Ok(httparse::Status::Complete(_)), Some(method), Some(path)) =
        (parsed.parse(head), parsed.method, parsed.path)
    else {
        return Err(WRONG);
    };
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| WRONG)?;
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(scheme.clone());
    uri.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| WRONG)?);
    parts.headers.reserve(parsed.headers.len() + 1);
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| WRONG)?;
        match name {
            HOST => uri.authority = Some(Authority::try_from(field.value).map_err(|_| WRONG)?),
            // RFC 9113 section 8.2.2.
            CONNECTION | TRANSFER_ENCODING => {}
            name => {
                parts.headers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| WRONG)?);
            }
        }
    }
    parts.uri = Uri::from_parts(uri).map_err(|_| WRONG)?;
    parts.version = Version::HTTP_2;
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_what_was_set() {
        let mut head = RequestHead::new(&Method::HEAD, &PathAndQuery::from_static("/a/b?c=d"));
        head.set("host", &HeaderValue::from_static("a.example:8443"));
        head.field(&HeaderName::from_static("x-a"), &HeaderValue::from_static("b c"));
        assert_eq!(head.set_words("x-id", &[b"00-", b"", b"1"]), Some(()));
        for word in [&b"a\r\nb"[..], b"a b", b"\0", b"\xe4"] {
            assert_eq!(head.set_words("x-bad", &[b"a", word]), None);
        }
        head.length(12);
        let (bytes, to_head) = head.end();
        let expected = "HEAD /a/b?c=d HTTP/1.1\r\nhost: a.example:8443\r\nx-a: b c\r\nx-id: 00-1\r\ncontent-length: 12\r\n\r\n";
        assert_eq!((std::str::from_utf8(&bytes).unwrap(), to_head), (expected, true));
    }

    #[test]
    fn what_was_written_reads_back_the_same() {
        let mut head = RequestHead::new(&Method::POST, &PathAndQuery::from_static("/a.B/C?c=d"));
        head.set("host", &HeaderValue::from_static("a.example:8443"));
        head.field(&HeaderName::from_static("x-a"), &HeaderValue::from_bytes(b"b \xe4").unwrap());
        head.field(&HeaderName::from_static("x-a"), &HeaderValue::from_static(""));
        head.chunked();
        let (bytes, _) = head.end();
        let parts = parts(&bytes, &Scheme::HTTPS).unwrap();
        assert_eq!(
            (parts.method, parts.uri.to_string().as_str()),
            (Method::POST, "https://a.example:8443/a.B/C?c=d")
        );
        let values: Vec<_> = parts.headers.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!((values.as_slice(), parts.headers.len()), (&[&b"b \xe4"[..], b""][..], 2));
        assert!(super::parts(b"nonsense", &Scheme::HTTP).is_err());
    }
}

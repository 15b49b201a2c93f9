//! Where HTTP/1.1 requests begin and end, looked at as they were sent.
//!
//! Invariant: where that is not certain it stays so, and whoever asks is told (RFC 9112 section 6.3).

use super::chunks::Chunks;
use crate::base::body::Spoiled;

/// What follows the head of an HTTP/1.1 request.
#[derive(Debug, Clone, Default)]
pub enum Follows {
    /// Nothing.
    #[default]
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// Chunks; the mark is set where they are malformed.
    Chunks(Spoiled),
}

/// What is known of the bytes of one connection.
pub(super) struct Framing {
    /// The raw head of the next request, as far as it has come, with what has come behind it.
    head: Vec<u8>,
    /// Bytes that a head may have.
    max_head: usize,
    /// What is left of the request that came before.
    body: Body,
    /// Shared with whoever reads that, where it comes in chunks.
    reader: Option<Spoiled>,
    /// Where the next request begins is not known for certain.
    doubtful: bool,
}

/// What is left to arrive of a request.
enum Body {
    /// Nothing.
    None,
    /// So many bytes.
    Bytes(u64),
    /// Chunks.
    Chunks(Chunks),
}

/// Bytes of requests that are kept beyond a head. hyper reads no more than its own before it hands out a request, or gives up.
const MOST_AHEAD: usize = 128 * 1024;

impl Framing {
    pub(super) const fn new(max_head: usize) -> Self {
        Self { head: Vec::new(), max_head, body: Body::None, reader: None, doubtful: false }
    }

    /// Whether all that arrived belongs to requests that have begun to be answered, and nothing more of them is to come. Chunks
    /// that have arrived may be in hyper's hands still, one by one, as long as somebody reads them.
    pub(super) fn is_at_rest(&self) -> bool {
        let read = self.reader.as_ref().is_none_or(Spoiled::is_alone);
        !self.doubtful && self.head.is_empty() && matches!(self.body, Body::None) && read
    }

    /// Whether something of the next request has arrived.
    pub(super) const fn has_begun(&self) -> bool {
        !self.head.is_empty()
    }

    /// The room for heads is given back.
    pub(super) fn forget(&mut self) {
        self.head = Vec::new();
    }

    /// What arrives from now on is no HTTP.
    pub(super) fn stop(&mut self) {
        self.doubtful = true;
        self.forget();
    }

    /// Bytes came. Whether any of them are behind what came before, as far as is known.
    pub(super) fn arrived(&mut self, bytes: &[u8]) -> bool {
        // Chunks are watched to their end whatever is known.
        let taken = self.body.take(bytes, self.reader.as_ref());
        let mut rest = bytes.get(taken..).unwrap_or_default();
        let behind = !rest.is_empty();
        if self.doubtful {
            return behind;
        }
        // RFC 9112 section 2.2: empty lines before a request line are skipped, so they end no head.
        while self.head.is_empty()
            && let [b'\r' | b'\n', after @ ..] = rest
        {
            rest = after;
        }
        self.head.extend_from_slice(rest);
        if self.head.len() > self.max_head.saturating_add(MOST_AHEAD) {
            self.stop();
        }
        behind
    }

    /// A request begins to be answered.
    pub(super) fn begin(&mut self, follows: Follows) {
        // Its answer may begin before all of the request before has come only where that ends the connection.
        self.doubtful |= !matches!(self.body, Body::None);
        self.reader = None;
        self.body = match follows {
            Follows::Nothing | Follows::Bytes(0) => Body::None,
            Follows::Bytes(length) => Body::Bytes(length),
            Follows::Chunks(spoiled) => {
                self.reader = Some(spoiled);
                Body::Chunks(Chunks::default())
            }
        };
        match self.certain_end() {
            Some(end) => {
                let behind = self.head.split_off(end);
                self.head.clear();
                self.arrived(&behind);
            }
            None => self.stop(),
        }
    }

    /// A request has been answered.
    pub(super) fn end(&mut self) {
        self.head.shrink_to(2048);
    }

    /// Whether the raw head of the request that is beginning names a header. `None` when the head was not seen whole; then it
    /// stays so.
    pub(super) fn head_names(&self, name: &str) -> Option<bool> {
        if self.doubtful {
            return None;
        }
        let lines = self.head.get(..self.certain_end()?)?.split(|b| *b == b'\n').skip(1);
        let wanted = name.as_bytes();
        Some(lines.into_iter().any(|line| {
            line.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
                && matches!(line.get(wanted.len()), Some(b':' | b' ' | b'\t'))
        }))
    }

    /// Whether the head of the request that is beginning has more bytes than it may have; when it was not seen whole, hyper's
    /// own bound holds, which is no less than that.
    pub(super) fn head_is_larger(&self) -> bool {
        self.head.len() > self.max_head
            && !self.doubtful
            && self.end_of_head().is_none_or(|end| end > self.max_head)
    }

    /// The same, where nobody can take the head to end before: RFC 9112 section 2.2 lets a recipient take a line feed alone for the end
    /// of a line, and hyper does.
    fn certain_end(&self) -> Option<usize> {
        let end = self.end_of_head()?;
        let before = self.head.get(..end - 1)?;
        let empty_line = |line| memchr::memmem::find(before, line).is_some();
        if empty_line(b"\n\n") || empty_line(b"\n\r\n") { None } else { Some(end) }
    }

    /// The length of the head with its empty line, once it is whole.
    fn end_of_head(&self) -> Option<usize> {
        memchr::memmem::find(&self.head, b"\r\n\r\n").map(|end| end + 4)
    }
}

impl Body {
    /// Bytes came. How many of them belong to it.
    fn take(&mut self, bytes: &[u8], reader: Option<&Spoiled>) -> usize {
        let taken = match self {
            Self::None => 0,
            Self::Bytes(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                taken
            }
            Self::Chunks(chunks) => {
                let taken = chunks.read(bytes);
                if chunks.is_broken() {
                    // Nobody knows where it ends.
                    reader.into_iter().for_each(Spoiled::mark);
                    return bytes.len();
                }
                taken
            }
        };
        let over = match self {
            Self::None => false,
            Self::Bytes(left) => *left == 0,
            Self::Chunks(chunks) => chunks.is_over(),
        };
        if over {
            *self = Self::None;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Head, body, and what follows the head.
    type Request = (&'static str, &'static str, fn() -> Follows);

    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// What becomes of a request that arrives so, and is answered before the last piece.
    fn after(head: &str, follows: Follows, pieces: &[&str]) -> Framing {
        let mut framing = Framing::new(1000);
        framing.arrived(head.as_bytes());
        framing.begin(follows);
        for piece in pieces {
            framing.arrived(piece.as_bytes());
        }
        framing.end();
        framing
    }

    #[test]
    fn a_body_that_came_with_its_head_counts_whole() {
        let large = "x".repeat(5000);
        let head = format!("POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{large}");
        let mut framing = after(&head, Follows::Bytes(5000), &[]);
        assert!(framing.is_at_rest());
        framing.arrived(CHUNKED.as_bytes());
        assert_eq!(framing.head_names("content-length"), Some(false));
        assert!(!framing.head_is_larger());
    }

    #[test]
    fn heads_are_measured_to_the_byte() {
        for (length, body, larger) in
            [(1000, 0, false), (1001, 0, true), (1000, 5000, false), (1001, 5000, true)]
        {
            let fill = "x".repeat(length - "GET / HTTP/1.1\r\nX: \r\n\r\n".len());
            let mut framing = Framing::new(1000);
            framing.arrived(format!("GET / HTTP/1.1\r\nX: {fill}\r\n\r\n{}", "y".repeat(body)).as_bytes());
            assert_eq!(framing.head_is_larger(), larger, "{length} with {body}");
        }
    }

    /// However requests arrive, each head is seen as it was sent.
    #[test]
    fn where_the_next_request_begins_is_known() {
        let chunks = || Follows::Chunks(Spoiled::default());
        let requests: [Request; 6] = [
            ("GET /0 HTTP/1.1\r\nA: 0\r\n\r\n", "", || Follows::Nothing),
            ("PUT /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "\r\n\r", || Follows::Bytes(3)),
            ("PUT /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n\r\n", || {
                Follows::Chunks(Spoiled::default())
            }),
            ("PUT /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nX: y\r\n\r\n", || {
                Follows::Chunks(Spoiled::default())
            }),
            ("PUT /4 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "x", || Follows::Bytes(1)),
            ("GET /5 HTTP/1.1\r\n\r\n", "", || Follows::Bytes(0)),
        ];
        let all = requests.map(|(head, body, _)| [head, body].concat()).concat();
        for step in 1..=all.len() {
            let mut framing = Framing::new(1000);
            let mut pieces = all.as_bytes().chunks(step);
            for (at, (head, _, follows)) in requests.iter().enumerate() {
                while framing.end_of_head().is_none() {
                    framing.arrived(pieces.next().unwrap());
                }
                assert!(framing.head.starts_with(head.as_bytes()), "{at} by {step}");
                assert_eq!(framing.head_names("content-length"), Some(head.contains("Content-Length")));
                assert!(!framing.head_is_larger());
                framing.begin(follows());
                // Some are answered before they are there.
                if at % 2 == 0 {
                    framing.end();
                }
            }
            for piece in pieces {
                framing.arrived(piece);
            }
            assert!(framing.is_at_rest(), "{step}");
        }
        for (head, follows, pieces, begun) in [
            ("GET / HTTP/1.1\r\n\r\n", Follows::Nothing, vec!["GET"], true),
            (CHUNKED, chunks(), vec!["0\r\n\r\nG"], true),
            (CHUNKED, chunks(), vec!["5\r\nhello\r\n"], false),
            (CHUNKED, Follows::Bytes(3), vec!["ab"], false),
        ] {
            let framing = after(head, follows, &pieces);
            assert!(!framing.is_at_rest());
            assert_eq!(framing.has_begun(), begun, "{pieces:?}");
        }
    }

    /// Where it is not known it stays so, and nothing is kept.
    #[test]
    fn what_is_doubtful_stays_so() {
        let never_ending = "x".repeat(MOST_AHEAD + 1001);
        let broken =
            after(&format!("{CHUNKED}5 \r\nhello\r\n"), Follows::Chunks(Spoiled::default()), &[CHUNKED]);
        for mut framing in [
            after("GET / HTTP/1.1\r\n", Follows::Nothing, &[CHUNKED]),
            after("GET / HTTP/1.1\r\n\r\n", Follows::Nothing, &[&never_ending]),
            broken,
        ] {
            framing.arrived(CHUNKED.as_bytes());
            assert_eq!((framing.head_names("content-length"), framing.head.len()), (None, 0));
            framing.begin(Follows::Nothing);
            framing.arrived(CHUNKED.as_bytes());
            assert_eq!((framing.head_names("content-length"), framing.head.len()), (None, 0));
            assert!(!framing.is_at_rest());
        }
    }

    /// hyper hands chunks out one by one: those that have arrived need not have been.
    #[test]
    fn nothing_is_at_rest_while_chunks_are_read() {
        let read = Spoiled::default();
        let framing = after(CHUNKED, Follows::Chunks(read.clone()), &["5\r\nhello\r\n0\r\n\r\n"]);
        assert!(!framing.is_at_rest());
        drop(read);
        assert!(framing.is_at_rest());
    }

    /// RFC 9112 section 2.2: hyper takes line feeds alone for the ends of lines, and a head to end where that may be.
    #[test]
    fn a_head_that_may_end_earlier_is_doubtful() {
        for first in ["GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\r\n\n", "GET / HTTP/1.1\n\r\n"] {
            let mut framing = after(&format!("{first}{CHUNKED}"), Follows::Nothing, &[]);
            assert_eq!(framing.head_names("content-length"), None, "{first:?}");
            framing.arrived(CHUNKED.as_bytes());
            assert_eq!(framing.head_names("content-length"), None, "{first:?}");
        }
        let mut framing = Framing::new(1000);
        framing.arrived(b"GET / HTTP/1.1\nHost: a\r\n\r\n");
        assert_eq!(framing.head_names("host"), Some(true), "that has one end");
    }

    #[test]
    fn chunks_that_are_malformed_are_marked() {
        for (body, malformed) in
            [("5\r\nhello\r\n", false), ("5 \r\nhello\r\n", true), ("5\r\nhello \r\n", true)]
        {
            let (early, late) = (Spoiled::default(), Spoiled::default());
            let framing = after(&format!("{CHUNKED}{body}"), Follows::Chunks(early.clone()), &[]);
            assert!(!framing.is_at_rest());
            let _ = after(CHUNKED, Follows::Chunks(late.clone()), &[body]);
            assert_eq!((early.is_marked(), late.is_marked()), (malformed, malformed), "{body:?}");
        }
    }

    #[test]
    fn empty_lines_before_a_head_do_not_end_it() {
        let mut framing = Framing::new(1000);
        framing.arrived(b"\r\n");
        framing.arrived(b"\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(framing.head_names("content-length"), Some(true));
    }

    #[test]
    fn a_head_is_looked_at_as_it_was_sent() {
        let mut framing = Framing::new(1000);
        assert_eq!(framing.head_names("content-length"), None);
        framing.arrived(b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 1\r\nX: y\r\n");
        assert_eq!(framing.head_names("content-length"), None);
        framing.arrived(b"\r\nContent-Type: in the body");
        assert_eq!(framing.head_names("content-length"), Some(true));
        assert_eq!(framing.head_names("content-type"), Some(false));
        assert_eq!(framing.head_names("content"), Some(false));
        framing.begin(Follows::Nothing);
        framing.end();
        assert_eq!(framing.head_names("content-length"), None);
    }
}

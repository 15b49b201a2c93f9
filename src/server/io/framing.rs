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
    /// The raw head of the next request, as far as it has come, with what has come behind it. No bound is needed: hyper
    /// reads no more than its own before it hands out the request, or gives up.
    head: Vec<u8>,
    /// Bytes that a head may have.
    max_head: usize,
    /// The last four bytes that arrived.
    tail: [u8; 4],
    /// What follows the head of the request that is being answered.
    body: Body,
    /// Where the next request begins is not known for certain.
    doubtful: bool,
}

/// What is left to arrive of a request.
enum Body {
    /// Nothing was to follow.
    None,
    /// So many bytes; fewer than none where the next request has begun.
    Bytes(i128),
    /// Chunks.
    Chunks(Chunks, Spoiled),
}

impl Framing {
    pub(super) const fn new(max_head: usize) -> Self {
        Self { head: Vec::new(), max_head, tail: [0; 4], body: Body::None, doubtful: false }
    }

    /// Whether where the next request begins is not known.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// The room for heads is given back.
    pub(super) fn forget(&mut self) {
        self.head = Vec::new();
    }

    /// Bytes of a head came.
    pub(super) fn head_arrived(&mut self, bytes: &[u8]) {
        self.note_tail(bytes);
        if self.doubtful {
            return;
        }
        // RFC 9112 section 2.2: empty lines before a request line are skipped, so they end no head.
        let blank = if self.head.is_empty() {
            bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
        } else {
            0
        };
        self.head.extend_from_slice(bytes.get(blank..).unwrap_or_default());
    }

    /// Bytes came while a request is being answered.
    pub(super) fn body_arrived(&mut self, bytes: &[u8]) {
        self.note_tail(bytes);
        self.body.arrived(bytes);
    }

    /// A request begins to be answered.
    pub(super) fn begin(&mut self, follows: Follows) {
        let mut body = match follows {
            Follows::Nothing => Body::None,
            Follows::Bytes(length) => Body::Bytes(length.into()),
            Follows::Chunks(spoiled) => Body::Chunks(Chunks::default(), spoiled),
        };
        // Without a body the head is the end of what has arrived, or the next request has already begun.
        if !matches!(body, Body::None)
            && let Some(surplus) = self.end_of_head().and_then(|end| self.head.get(end..))
        {
            body.arrived(surplus);
        }
        self.body = body;
    }

    /// A request has been answered.
    pub(super) fn end(&mut self) {
        self.doubtful |= !self.ended_at_a_boundary();
        self.head.clear();
        self.head.shrink_to(2048);
    }

    /// Whether exactly the request that was answered has arrived and nothing of the next, so that the next head will be
    /// seen whole. A head that has begun never ends in an empty line; one that came whole was not kept, and then
    /// nothing is known of it.
    fn ended_at_a_boundary(&self) -> bool {
        match &self.body {
            Body::None => self.tail == *b"\r\n\r\n",
            Body::Bytes(left) => *left == 0,
            Body::Chunks(chunks, _) => chunks.is_over(),
        }
    }

    /// Whether the raw head of the request that is beginning names a header. `None` when the head was not seen whole,
    /// which pipelining and early answers can bring about; then it stays so.
    pub(super) fn head_names(&self, name: &str) -> Option<bool> {
        if self.doubtful {
            return None;
        }
        let lines = self.head.get(..self.end_of_head()?)?.split(|b| *b == b'\n').skip(1);
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

    /// The length of the head with its empty line, once it is whole.
    fn end_of_head(&self) -> Option<usize> {
        memchr::memmem::find(&self.head, b"\r\n\r\n").map(|end| end + 4)
    }

    fn note_tail(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().skip(bytes.len().saturating_sub(self.tail.len())) {
            self.tail.rotate_left(1);
            self.tail[3] = *byte;
        }
    }
}

impl Body {
    fn arrived(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Bytes(left) => *left -= bytes.len() as i128,
            Self::Chunks(chunks, spoiled) => {
                let read = chunks.read(bytes);
                if chunks.is_broken() {
                    spoiled.mark();
                } else if chunks.is_over() && read < bytes.len() {
                    // The next request has begun.
                    *self = Self::Bytes(-1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// What becomes of a request that arrives so, and is answered before the last piece.
    fn after(head: &str, follows: Follows, pieces: &[&str]) -> Framing {
        let mut framing = Framing::new(1000);
        framing.head_arrived(head.as_bytes());
        framing.begin(follows);
        for piece in pieces {
            framing.body_arrived(piece.as_bytes());
        }
        framing.end();
        framing
    }

    #[test]
    fn a_body_that_came_with_its_head_counts_whole() {
        let large = "x".repeat(5000);
        let head = format!("POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{large}");
        let mut framing = after(&head, Follows::Bytes(5000), &[]);
        assert!(!framing.is_doubtful());
        framing.head_arrived(CHUNKED.as_bytes());
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
            framing
                .head_arrived(format!("GET / HTTP/1.1\r\nX: {fill}\r\n\r\n{}", "y".repeat(body)).as_bytes());
            assert_eq!(framing.head_is_larger(), larger, "{length} with {body}");
        }
    }

    #[test]
    fn where_the_next_request_begins_is_known_or_doubted() {
        let get = "GET / HTTP/1.1\r\n\r\n";
        let chunks = || Follows::Chunks(Spoiled::default());
        let all = format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n");
        for (head, follows, pieces, doubtful) in [
            (get, Follows::Nothing, vec![], false),
            (get, Follows::Nothing, vec![get], false),
            (get, Follows::Nothing, vec!["GET"], true),
            (get, Follows::Bytes(3), vec!["ab"], true),
            (get, Follows::Bytes(3), vec!["ab", "c"], false),
            (get, Follows::Bytes(3), vec!["abc", "d"], true),
            (&all, chunks(), vec![], false),
            (&all, chunks(), vec!["G"], true),
            (&all, chunks(), vec!["G", "ET"], true),
            (CHUNKED, chunks(), vec!["0\r\n", "\r\n"], false),
            (CHUNKED, chunks(), vec!["0\r\n", "\r\nG"], true),
            (CHUNKED, chunks(), vec!["5\r\nhello\r\n"], true),
            (CHUNKED, chunks(), vec!["5\r\n0\r\n\r\n"], true),
        ] {
            let framing = after(head, follows.clone(), &pieces);
            assert_eq!(framing.is_doubtful(), doubtful, "{head:?} {pieces:?}");
        }
    }

    #[test]
    fn chunks_that_are_malformed_are_marked() {
        for (body, malformed) in
            [("5\r\nhello\r\n", false), ("5 \r\nhello\r\n", true), ("5\r\nhello \r\n", true)]
        {
            let (early, late) = (Spoiled::default(), Spoiled::default());
            let framing = after(&format!("{CHUNKED}{body}"), Follows::Chunks(early.clone()), &[]);
            assert!(framing.is_doubtful());
            let _ = after(CHUNKED, Follows::Chunks(late.clone()), &[body]);
            assert_eq!((early.is_marked(), late.is_marked()), (malformed, malformed), "{body:?}");
        }
    }

    #[test]
    fn empty_lines_before_a_head_do_not_end_it() {
        let mut framing = Framing::new(1000);
        framing.head_arrived(b"\r\n");
        framing.head_arrived(b"\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(framing.head_names("content-length"), Some(true));
    }

    #[test]
    fn a_head_is_looked_at_as_it_was_sent() {
        let mut framing = Framing::new(1000);
        assert_eq!(framing.head_names("content-length"), None);
        framing.head_arrived(b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 1\r\nX: y\r\n");
        assert_eq!(framing.head_names("content-length"), None);
        framing.head_arrived(b"\r\nContent-Type: in the body");
        assert_eq!(framing.head_names("content-length"), Some(true));
        assert_eq!(framing.head_names("content-type"), Some(false));
        assert_eq!(framing.head_names("content"), Some(false));
        framing.begin(Follows::Nothing);
        framing.end();
        assert_eq!(framing.head_names("content-length"), None);
    }
}

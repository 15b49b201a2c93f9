//! A connection to an upstream: one exchange at a time.
//!
//! Invariant: it is free for another exchange only when the answer has ended, the upstream keeps it, and nothing is left
//! over of what arrived (RFC 9112 sections 6.3, 9.3).

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::{
    Fault, Malformed, Outgoing, Paced,
    answer::{self, Head, Length, MAX_HEAD, Scanner},
    body::{Decoder, Piece},
};

/// How much is read at once: little at first, more when much arrives.
const LEAST_ROOM: usize = 16 * 1024;
const MOST_ROOM: usize = 64 * 1024;

/// Interim answers before the answer.
pub const MAX_INTERIM: usize = 100;

/// One connection.
pub struct Connection<T> {
    io: T,
    /// What has arrived and was not read yet.
    arrived: BytesMut,
    room: usize,
    scanner: Scanner,
    interim: usize,
    body: Decoder,
    keep_alive: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// On a socket that stands.
    #[must_use]
    pub fn new(io: T) -> Self {
        Self {
            io,
            arrived: BytesMut::new(),
            room: LEAST_ROOM,
            scanner: Scanner::default(),
            interim: 0,
            body: Decoder::new(Length::Known(0)),
            keep_alive: true,
        }
    }

    /// The socket, for sending.
    pub const fn io(&mut self) -> &mut T {
        &mut self.io
    }

    /// Sends a request and reads the head of its answer, which can come before all of the request was sent. Interim answers come
    /// first (RFC 9110 section 15.2); this is to be called again after each of them.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn poll_answer<B: Paced>(
        &mut self,
        request: &mut Outgoing<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Fault>> {
        if !request.has_ended() {
            match request.poll(&mut self.io, cx) {
                // RFC 9112 section 9.6: an upstream that stops reading may have answered before.
                Poll::Ready(Err(Fault::Io(_))) if !request.is_untouched() => {
                    request.give_up();
                    self.spoil();
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                // What has come before anything was asked is no answer to it.
                Poll::Pending if request.is_untouched() => return Poll::Pending,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        loop {
            if let Some(head) = self.head(request.to_head(), request.switches())? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_arrival(cx))? == 0 {
                return Poll::Ready(Err(Fault::Ended));
            }
        }
    }

    /// The head of the answer, or of an interim one, if it has arrived.
    fn head(&mut self, to_head: bool, switches: bool) -> Result<Option<Head>, Malformed> {
        loop {
            if !answer::can_begin(&self.arrived) {
                return Err(Malformed("what came is no answer of HTTP/1"));
            }
            let Some(end) = self.scanner.find_end(&self.arrived)? else {
                if self.arrived.len() > MAX_HEAD {
                    return Err(Malformed("the answer's head is too large"));
                }
                return Ok(None);
            };
            if end > MAX_HEAD {
                return Err(Malformed("the answer's head is too large"));
            }
            self.scanner = Scanner::default();
            let head = answer::parse(&self.arrived.split_to(end).freeze(), to_head)?;
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                // RFC 9110 section 15.2.2: nobody asked for an upgrade.
                if !switches {
                    return Err(Malformed("the protocol was changed unasked"));
                }
                self.spoil();
                return Ok(Some(head));
            }
            if !head.status.is_informational() {
                self.body = Decoder::new(head.length);
                self.body.begins(&self.arrived)?;
                self.keep_alive &= head.keep_alive && head.length != Length::UntilClose;
                return Ok(Some(head));
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Malformed("there are too many interim answers"));
            }
            // Whether the request is to go on was for its sender to decide, and is decided.
            if head.status != StatusCode::CONTINUE {
                return Ok(Some(head));
            }
        }
    }

    /// The socket, with what has arrived on it and was not read yet.
    pub fn into_socket(self) -> (T, Bytes) {
        (self.io, self.arrived.freeze())
    }

    /// The next piece of the answer's body.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            match self.body.next(&mut self.arrived) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(malformed) => return Poll::Ready(Some(Err(self.fail(malformed.into())))),
            }
            match ready!(self.poll_arrival(cx)) {
                Ok(0) if self.body.close() => return Poll::Ready(None),
                Ok(0) => return Poll::Ready(Some(Err(self.fail(Fault::Ended)))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.fail(error.into())))),
            }
        }
    }

    /// Whether the body of the answer has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.body.has_ended()
    }

    /// How many bytes of the body are left, where that is known.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        self.body.left()
    }

    /// Whether all of the body is known to have arrived.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        self.left().is_some_and(|left| left <= self.arrived.len() as u64)
    }

    /// Carries no other exchange.
    pub const fn spoil(&mut self) {
        self.keep_alive = false;
    }

    /// Whether nothing of an answer has come, not even an interim one.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.arrived.is_empty() && self.interim == 0
    }

    /// Whether it can carry another exchange, as far as this side knows. The request must have been sent.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.keep_alive && self.body.has_ended() && self.arrived.is_empty()
    }

    /// Makes ready for another exchange.
    pub fn rest(&mut self) {
        self.interim = 0;
        if self.room > LEAST_ROOM {
            self.room = LEAST_ROOM;
            self.arrived = BytesMut::new();
        } else if self.arrived.capacity() < LEAST_ROOM / 4 * 3 {
            // Mostly what it gave away is free again by now, and this only takes that back.
            self.arrived.reserve(LEAST_ROOM);
        }
    }

    /// Whether nothing has come while nobody asked: neither bytes, which belong to no request, nor the end.
    pub fn is_quiet(&mut self) -> bool {
        let mut space = [0];
        let mut buffer = ReadBuf::new(&mut space);
        // Looks at what the runtime knows; no system call where nothing has happened.
        let read = poll_fn(|cx| Pin::new(&mut self.io).poll_read(cx, &mut buffer));
        let read = pin!(tokio::task::unconstrained(read));
        read.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        self.spoil();
        fault
    }

    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.arrived.capacity() - self.arrived.len() < self.room / 4 {
            self.arrived.reserve(self.room);
        }
        let spare = self.arrived.capacity() - self.arrived.len();
        let count = ready!(pin!(self.io.read_buf(&mut self.arrived)).poll(cx))?;
        if count == spare {
            self.room = (self.room * 2).min(MOST_ROOM);
        }
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible, rc::Rc};

    use http::{HeaderMap, Method, uri::PathAndQuery};
    use http_body::Body;
    use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::{super::RequestHead, *};

    type Sent = UnsyncBoxBody<Bytes, Infallible>;

    impl Paced for Sent {}

    fn request(method: &Method, declared: Option<u64>, pieces: Vec<&'static [u8]>) -> Outgoing<Sent> {
        let head = RequestHead::new(method, &PathAndQuery::from_static("/a?b"));
        let body = if pieces.is_empty() {
            Full::new(Bytes::new()).boxed_unsync()
        } else {
            let frames = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece))));
            StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
        };
        Outgoing::new(head, declared, body)
    }

    #[derive(Debug, PartialEq)]
    struct Answered {
        status: u16,
        body: Vec<u8>,
        trailers: usize,
        free: bool,
    }

    async fn ask(
        connection: &mut Connection<DuplexStream>,
        mut request: Outgoing<Sent>,
    ) -> Result<Answered, Fault> {
        let head = loop {
            let head = poll_fn(|cx| connection.poll_answer(&mut request, cx)).await?;
            if !head.is_interim() {
                break head;
            }
        };
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = poll_fn(|cx| connection.poll_body(cx)).await {
            match frame?.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap(),
            }
        }
        // An answer can come before all of the request was sent.
        poll_fn(|cx| request.poll(connection.io(), cx)).await?;
        assert!(request.has_ended());
        Ok(Answered {
            status: head.status.as_u16(),
            body,
            trailers: trailers.len(),
            free: connection.is_free(),
        })
    }

    /// Asks over a connection that lets so many bytes pass at a time. Returns the answer and what was sent.
    async fn exchange(
        step: usize,
        request: Outgoing<Sent>,
        answer: &[u8],
        closes: bool,
    ) -> (Result<Answered, Fault>, Vec<u8>) {
        let (near, far) = duplex(step);
        let (mut reader, mut writer) = tokio::io::split(far);
        let mut connection = Connection::new(near);
        let mut sent = Vec::new();
        let answering = async {
            let mut writing = Box::pin(async {
                let _ = writer.write_all(answer).await;
                if closes {
                    let _ = writer.shutdown().await;
                }
            });
            let mut reading = Box::pin(reader.read_to_end(&mut sent));
            tokio::join!(&mut writing, async { drop((&mut reading).await) })
        };
        let answered = tokio::select! {
            biased;
            answered = ask(&mut connection, request) => answered,
            _ = answering => unreachable!("the connection was closed"),
        };
        drop(connection);
        let _ = reader.read_to_end(&mut sent).await;
        (answered, sent)
    }

    fn get() -> Outgoing<Sent> {
        request(&Method::GET, None, vec![])
    }

    #[tokio::test]
    async fn answers_are_read_in_whatever_pieces_they_arrive() {
        let ok = |body: &str, trailers, free| Answered { status: 200, body: body.into(), trailers, free };
        for (text, closes, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ok("ok", 0, true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, ok("", 0, true)),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                false,
                ok("ok", 0, false),
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ok("ok", 0, false)),
            ("HTTP/1.1 200 OK\r\n\r\nok", true, ok("ok", 0, false)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nA: b\r\n\r\n",
                false,
                ok("ok", 1, true),
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                false,
                ok("ok", 0, true),
            ),
        ] {
            for step in [1, 2, 3, 7, 64 * 1024] {
                let (answered, sent) = exchange(step, get(), text.as_bytes(), closes).await;
                assert_eq!(answered.unwrap(), expected, "{text:?} by {step}");
                assert_eq!(sent, b"GET /a?b HTTP/1.1\r\n\r\n");
            }
        }
    }

    #[tokio::test]
    async fn what_is_left_over_belongs_to_nobody() {
        for (method, text) in [
            (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX"),
            (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n"),
            (Method::GET, "HTTP/1.1 304 X\r\nContent-Length: 1\r\n\r\nX"),
            (Method::HEAD, "HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\nX"),
        ] {
            let (answered, _) = exchange(1024, request(&method, None, vec![]), text.as_bytes(), false).await;
            assert!(!answered.unwrap().free, "{text:?}");
        }
        let (near, mut far) = duplex(64);
        let mut connection = Connection::new(near);
        assert!(connection.is_free() && connection.is_quiet() && connection.is_quiet());
        far.write_all(b"\r").await.unwrap();
        assert!(!connection.is_quiet(), "bytes");
        let (near, far) = duplex(64);
        drop(far);
        assert!(!Connection::new(near).is_quiet(), "the end");
    }

    #[tokio::test]
    async fn answers_that_break_off_are_faults() {
        let head = "HTTP/1.1 200 OK\r\n";
        for text in [
            String::new(),
            head.to_owned(),
            format!("{head}Content-Length: 3\r\n\r\nok"),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        ] {
            let (answered, _) = exchange(1024, get(), text.as_bytes(), true).await;
            assert!(matches!(answered, Err(Fault::Ended)), "{text:?}: {answered:?}");
        }
        for text in [
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned(),
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MAX_INTERIM + 1),
            format!("{head}A: {}", "b".repeat(MAX_HEAD + 1)),
            format!("{head}A: {}\r\n\r\n", "b".repeat(MAX_HEAD)),
            "HTTQ".to_owned(),
        ] {
            let (answered, _) = exchange(256 * 1024, get(), text.as_bytes(), false).await;
            assert!(matches!(answered, Err(Fault::Malformed(_))), "{answered:?}");
        }
    }

    #[tokio::test]
    async fn requests_are_framed_as_declared() {
        let long: &'static [u8] = &[b'x'; 3000];
        let post = |declared, pieces| request(&Method::POST, declared, pieces);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let chunked = [b"bb8\r\n", long, b"\r\n2\r\nok\r\nbb8\r\n", long, b"\r\n0\r\n\r\n"].concat();
        for (declared, pieces, framing, body) in [
            (Some(5), vec![&b"he"[..], b"", b"llo"], "content-length: 5", b"hello".to_vec()),
            (Some(0), vec![], "content-length: 0", vec![]),
            (Some(3002), vec![long, b"ok"], "content-length: 3002", [long, b"ok"].concat()),
            (None, vec![&b"hello"[..]], "transfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n".to_vec()),
            (None, vec![long, b"ok", long], "transfer-encoding: chunked", chunked),
        ] {
            for step in [1, 10, 64 * 1024] {
                // The answer comes when all was read.
                let (near, far) = duplex(step);
                let (mut reader, mut writer) = tokio::io::split(far);
                let mut connection = Connection::new(near);
                let expected =
                    [format!("POST /a?b HTTP/1.1\r\n{framing}\r\n\r\n").as_bytes(), &body].concat();
                let mut sent = vec![0; expected.len()];
                let (answered, ()) =
                    tokio::join!(ask(&mut connection, post(declared, pieces.clone())), async {
                        reader.read_exact(&mut sent).await.unwrap();
                        writer.write_all(answer).await.unwrap();
                    });
                assert!(answered.unwrap().free && sent == expected, "{framing} by {step}");
            }
        }
        for (declared, pieces) in [(4, vec![&b"hello"[..]]), (6, vec![&b"hello"[..]]), (0, vec![&b"x"[..]])] {
            let (answered, sent) = exchange(1024, post(Some(declared), pieces), answer, false).await;
            assert!(matches!(answered, Err(Fault::RequestBody)), "{declared}: {answered:?}");
            assert!(sent.is_empty());
        }
    }

    #[tokio::test]
    async fn what_comes_before_the_request_is_no_answer() {
        let (mut near, mut far) = duplex(64);
        near.write_all(&[b'x'; 64]).await.unwrap();
        far.write_all(b"HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let mut connection = Connection::new(near);
        let mut request = get();
        let early = poll_fn(|cx| Poll::Ready(connection.poll_answer(&mut request, cx).is_pending()));
        assert!(early.await && request.is_untouched());
        assert!(!connection.is_quiet());
    }

    #[tokio::test]
    async fn an_upstream_that_stops_reading_may_have_answered() {
        let (near, mut far) = duplex(64);
        far.write_all(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        let mut connection = Connection::new(near);
        let mut request = request(&Method::POST, Some(3000), vec![&[b'x'; 3000]]);
        // The first bytes are taken, then the upstream is gone.
        let head = poll_fn(|cx| {
            let polled = connection.poll_answer(&mut request, cx);
            Poll::Ready(polled)
        });
        let Poll::Ready(Ok(head)) = head.await else { panic!("the answer is there") };
        assert_eq!(head.status, 413);
        assert!(!request.has_ended() && !request.is_untouched());
        drop(far);
        let sent = poll_fn(|cx| request.poll(connection.io(), cx)).await;
        assert!(matches!(sent, Err(Fault::Io(_))), "{sent:?}");
    }

    /// A body that comes in small pieces and has no end, and whose sender is told when it is not the one that is waited for.
    struct Endless {
        pieces: usize,
        paused: Rc<Cell<usize>>,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(left) = self.pieces.checked_sub(1) else { return Poll::Pending };
            self.pieces = left;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a small piece")))))
        }
    }

    impl Paced for Endless {
        fn pause(&mut self) {
            self.paused.set(self.paused.get() + 1);
        }
    }

    #[tokio::test]
    async fn a_client_is_not_waited_for_while_the_upstream_does_not_read() {
        let (near, mut far) = duplex(16);
        let mut connection = Connection::new(near);
        let paused = Rc::<Cell<usize>>::default();
        let head = RequestHead::new(&Method::POST, &PathAndQuery::from_static("/"));
        let mut request = Outgoing::new(head, None, Endless { pieces: 3, paused: Rc::clone(&paused) });
        let mut poll =
            async || poll_fn(|cx| Poll::Ready(connection.poll_answer(&mut request, cx).is_pending())).await;
        assert!(poll().await);
        assert!(paused.get() > 0, "what came in is not taken");
        let mut taken = Vec::new();
        while !taken.ends_with(b"\r\na small piece\r\n")
            || taken.windows(7).filter(|w| w == b"a small").count() < 3
        {
            assert!(poll().await);
            far.read_buf(&mut taken).await.unwrap();
        }
        let before = paused.get();
        assert!(poll().await);
        assert_eq!(paused.get(), before, "all of it was taken: now it is the client");
    }
}

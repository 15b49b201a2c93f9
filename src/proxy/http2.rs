//! HTTP/2 towards upstreams: many exchanges at a time on one connection.
//!
//! Invariants: what an answer says about the connection does not go on; an answer ends with END_STREAM, or with an error; a request is
//! handed over once, and comes back only when not a byte of it was sent, or the upstream says that it has done nothing with it.
//!
//! RFC 9113.

mod connection;
mod line;
mod upload;

use std::{
    future::Future as _,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{Builder, ResponseFuture},
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) use self::connection::Multiplexed;
use self::{connection::Stream, upload::Sent};
use super::{
    http1::{
        Fault, Malformed, Outgoing,
        answer::{Head, Length, is_for_this_hop},
        connection::MAX_INTERIM,
    },
    relay::{RequestBody, UploadBounds},
};

/// One request and its answer.
pub(super) struct Exchange {
    connection: Rc<Multiplexed>,
    stream: Option<Stream>,
    state: State,
    /// So many interim answers have come.
    interim: usize,
    sent: Sent,
}

enum State {
    Idle,
    Asked(ResponseFuture),
    /// And how many bytes are left, where the upstream has said.
    Answered(RecvStream, Option<u64>),
    /// Its end is not the answer's.
    Broken,
    Ended,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !matches!(self.state, State::Ended) {
            self.sent.give_up();
        }
        // What is still being sent has the stream for as long.
        self.sent.leave(self.stream.take());
    }
}

impl Exchange {
    fn new(connection: Rc<Multiplexed>, stream: Stream) -> Self {
        Self { connection, stream: Some(stream), state: State::Idle, interim: 0, sent: Sent::default() }
    }

    /// Sends the request and waits for the head of its answer, which can come before all of the request was sent, or for that of an
    /// interim one.
    pub(super) fn poll_answer(
        &mut self,
        request: &mut Outgoing<RequestBody>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Fault>> {
        if matches!(self.state, State::Idle) {
            self.state = State::Asked(self.ask(request)?);
        }
        let State::Asked(asked) = &mut self.state else { return Poll::Ready(Err(Fault::Ended)) };
        let answered = match ready!(asked.poll_informational(cx)) {
            Some(Ok(interim)) => {
                self.connection.line.hear();
                return Poll::Ready(self.interim(interim).map_err(Fault::from));
            }
            Some(Err(error)) => Err(error),
            None => ready!(Pin::new(asked).poll(cx)),
        };
        self.connection.line.hear();
        self.state = State::Broken;
        Poll::Ready(match answered {
            Ok(response) => Ok(self.head(response)),
            Err(error) => Err(self.failed(error, request)),
        })
    }

    /// Hands the request over.
    fn ask(&mut self, request: &mut Outgoing<RequestBody>) -> Result<ResponseFuture, Fault> {
        let (parts, body) = request.take(&self.connection.scheme)?;
        let mut sender = self.connection.sender.borrow().clone();
        match sender.send_request(Request::from_parts(parts, ()), body.is_none()) {
            Ok((asked, stream)) => {
                if let Some(body) = body {
                    self.sent = Sent::begin(body, stream);
                }
                Ok(asked)
            }
            Err(error) => {
                request.put_back(body);
                Err(Fault::Io(io::Error::other(error)))
            }
        }
    }

    /// There is no answer. Takes the request back where it may be sent again whatever it is.
    fn failed(&mut self, error: h2::Error, request: &mut Outgoing<RequestBody>) -> Fault {
        if is_refused(&error) && self.sent.put_back(request) {
            return Fault::Refused;
        }
        // Not the connection's end, as which it would be sent again.
        let reset = error.is_reset();
        let error = io::Error::other(error);
        if reset { Fault::Reset(error) } else { Fault::Io(error) }
    }

    fn interim(&mut self, response: Response<()>) -> Result<Head, Malformed> {
        let (parts, ()) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9113 section 8.6.
            return Err(Malformed("the protocol was changed unasked"));
        }
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            return Err(Malformed("there are too many interim answers"));
        }
        let mut head = head_of(parts.status, parts.headers);
        head.headers.remove(CONTENT_LENGTH);
        Ok(head)
    }

    fn head(&mut self, response: Response<RecvStream>) -> Head {
        let (parts, body) = response.into_parts();
        self.sent.is_answered();
        let mut head = head_of(parts.status, parts.headers);
        if head.status == StatusCode::NO_CONTENT {
            head.headers.remove(CONTENT_LENGTH);
        }
        // That there is so much of it is for `h2` to see.
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let over = body.is_end_stream();
        self.state = State::Answered(body, length);
        if over {
            self.end();
        }
        head
    }

    /// What is left of the request is sent within these bounds, if anything is.
    pub(super) fn bound(&self, bounds: impl FnOnce() -> UploadBounds) {
        self.sent.bound(bounds);
    }

    /// The next piece of the answer's body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let State::Answered(body, left) = &mut self.state else { return Poll::Ready(None) };
        let frame = match ready!(body.poll_data(cx)) {
            Some(Ok(data)) => {
                // It goes on at once, or is not asked for. Of a stream that has ended there is nothing to give back.
                let _ = body.flow_control().release_capacity(data.len());
                *left = left.map(|left| left.saturating_sub(data.len() as u64));
                Ok(Some(Frame::data(data)))
            }
            Some(Err(error)) => Err(error),
            None => ready!(body.poll_trailers(cx)).map(|trailers| {
                trailers.map(|mut trailers| {
                    without_hops(&mut trailers);
                    trailers.remove(CONTENT_LENGTH);
                    trailers.remove(http::header::SET_COOKIE);
                    trailers.remove(http::header::ALT_SVC);
                    Frame::trailers(trailers)
                })
            }),
        };
        let over = body.is_end_stream();
        self.connection.line.hear();
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                self.state = State::Broken;
                return Poll::Ready(Some(Err(Fault::Io(io::Error::other(error)))));
            }
        };
        if over || frame.is_none() {
            self.end();
        }
        Poll::Ready(frame.map(Ok))
    }

    /// The answer has come to its end.
    fn end(&mut self) {
        self.state = State::Ended;
        self.sent.is_over();
    }

    /// How many bytes are left, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.state {
            State::Answered(body, _) if body.is_end_stream() => Some(0),
            // Where nothing is left, trailers may still come.
            State::Answered(_, left) => left.filter(|left| *left > 0),
            State::Ended => Some(0),
            State::Idle | State::Asked(_) | State::Broken => None,
        }
    }

    /// Whether nothing of an answer has come, not even an interim one.
    pub(super) const fn is_unanswered(&self) -> bool {
        self.interim == 0 && !matches!(self.state, State::Answered(..))
    }
}

fn head_of(status: StatusCode, mut headers: HeaderMap) -> Head {
    without_hops(&mut headers);
    Head { status, headers, length: Length::UntilClose, keep_alive: true, websocket: false }
}

/// Fields that are for one hop have no place in HTTP/2 (RFC 9113 section 8.2.2), and do not go on from there either.
fn without_hops(headers: &mut HeaderMap) {
    let hops: Vec<_> = headers
        .keys()
        .filter(|name| {
            is_for_this_hop(name)
                || matches!(
                    **name,
                    http::header::CONNECTION | http::header::TRANSFER_ENCODING | http::header::TRAILER
                )
        })
        .cloned()
        .collect();
    for name in hops {
        headers.remove(name);
    }
}

/// Whether `TE` says that the client takes trailers (RFC 9110 section 10.1.4).
pub(super) fn takes_trailers(te: &HeaderValue) -> bool {
    let mut words = te.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    words.any(|word| word.eq_ignore_ascii_case(b"trailers"))
}

/// Whether the upstream says that it has done nothing with a request, which may then be sent again whatever it is (RFC 9113
/// sections 6.8 and 8.7).
fn is_refused(error: &h2::Error) -> bool {
    // Without an error of its own an upstream's GOAWAY reaches those streams alone that it names as not begun.
    let told_to_go = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    let reset = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (told_to_go || reset)
}

/// Asks once and returns the status: for the control plane, on whatever thread it is.
pub(super) async fn ask<T>(io: T, request: Request<()>) -> Result<u16, h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = Builder::new().enable_push(false).handshake::<T, Bytes>(io).await?;
    let answered = async {
        let (answer, _) = sender.ready().await?.send_request(request, true)?;
        Ok(answer.await?.status().as_u16())
    };
    tokio::select! {
        biased;
        answered = answered => answered,
        ended = connection => Err(ended.err().unwrap_or_else(|| h2::Reason::NO_ERROR.into())),
    }
}

//! HTTP/2 towards upstreams, by hyper's client: many exchanges at a time on one connection.
//!
//! Invariants: what an answer says about the connection does not go on; a request is handed over once, and comes back only
//! when not a byte of it was sent, or the upstream says that it has done nothing with it.
//!
//! RFC 9113.

mod upload;
mod whole;

use std::{
    cell::Cell,
    error::Error as _,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, uri::Scheme};
use http_body::{Body as _, Frame};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http2},
    rt::{Executor, Read, Write},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, oneshot};

use self::{
    upload::{Sent, Upload},
    whole::Whole,
};
use super::{
    http1::{
        Fault, Malformed, Outgoing,
        answer::{Head, Length, MAX_HEAD, is_for_this_hop},
    },
    relay::RequestBody,
    transport::Transport,
};

/// Exchanges at a time on one connection, if the upstream allows as many; beyond them another is opened.
const MOST_STREAMS: usize = 100;

/// What an upstream may send unread, for one exchange and for all of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What is held of a request that an upstream does not take.
const SEND_BUFFER: usize = 64 * 1024;

/// A connection in use on which nothing comes for so long is asked for a sign of life …
const PING_AFTER: Duration = Duration::from_secs(20);
/// … and closed when there is none.
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Runs what hyper starts on the thread that it is on, and tells when something of it has moved, until both sides have begun.
#[derive(Clone, Default)]
struct Here(Rc<Beginning>);

#[derive(Default)]
struct Beginning {
    over: Cell<bool>,
    moved: Notify,
}

impl<F: Future + 'static> Executor<F> for Here
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        let beginning = Rc::clone(&self.0);
        tokio::task::spawn_local(async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                if !beginning.over.get() {
                    beginning.moved.notify_one();
                }
                polled
            })
            .await
        });
    }
}

fn configured<E: Clone>(executor: E) -> http2::Builder<E> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        // None before the other side has said how many it takes.
        .initial_max_send_streams(0)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}

/// A connection of one worker.
pub(super) struct Multiplexed {
    sender: http2::SendRequest<Upload>,
    scheme: Scheme,
    streams: Cell<usize>,
    /// As many as the upstream allows, within our own limit.
    allowed: Rc<Cell<usize>>,
    since: Cell<Instant>,
    /// It takes no more exchanges, and is closed after those that it has.
    retired: Cell<bool>,
    /// Called when an exchange has ended.
    freed: Box<dyn Fn()>,
    /// The other side's, where it has one.
    pub(super) address: Option<SocketAddr>,
}

impl Multiplexed {
    /// Begins to speak on a socket, and waits until the other side does. `held` is given back when the connection ends, `freed` called
    /// whenever an exchange has.
    pub(super) async fn begin(
        io: Transport,
        address: Option<SocketAddr>,
        held: impl Sized + 'static,
        freed: impl Fn() + 'static,
    ) -> io::Result<Rc<Self>> {
        let scheme = if io.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
        let here = Here::default();
        let beginning = Rc::clone(&here.0);
        let begun = configured(here).handshake(TokioIo::new(Whole::new(io))).await;
        let (sender, mut connection) = begun.map_err(io::Error::other)?;
        let allowed = Rc::new(Cell::new(0));
        let told = Rc::clone(&allowed);
        let (begun, begins) = oneshot::channel();
        let mut begun = Some(begun);
        tokio::task::spawn_local(async move {
            let _held = held;
            let mut moved = pin!(beginning.moved.notified());
            // Whoever has an exchange on it hears of the end.
            let _ = poll_fn(|cx| {
                let driven = Pin::new(&mut connection).poll(cx);
                told.set(connection.current_max_send_streams().min(MOST_STREAMS));
                while told.get() == 0 && driven.is_pending() && moved.as_mut().poll(cx).is_ready() {
                    moved.set(beginning.moved.notified());
                    told.set(connection.current_max_send_streams().min(MOST_STREAMS));
                }
                if told.get() > 0
                    && let Some(begun) = begun.take()
                {
                    beginning.over.set(true);
                    // Whoever opened it may have given up.
                    let _ = begun.send(());
                }
                driven
            })
            .await;
        });
        let ended = |_| io::Error::other("the target does not speak HTTP/2");
        begins.await.map_err(ended)?;
        let (streams, since, retired) = (Cell::new(0), Cell::new(Instant::now()), Cell::new(false));
        let freed = Box::new(freed);
        Ok(Rc::new(Self { sender, scheme, streams, allowed, since, retired, freed, address }))
    }

    /// Whether it can carry one more exchange.
    pub(super) fn has_room(&self) -> bool {
        !self.retired.get() && self.sender.is_ready() && self.streams.get() < self.allowed.get()
    }

    /// Takes no more exchanges.
    pub(super) fn retire(&self) {
        self.retired.set(true);
    }

    /// Whether it may be kept: it stands, and was used after `then`.
    pub(super) fn is_kept(&self, then: Instant) -> bool {
        let in_use = !self.retired.get() && self.since.get() > then;
        !self.sender.is_closed() && (self.streams.get() > 0 || in_use)
    }

    /// Whether it carries an exchange.
    pub(super) const fn is_busy(&self) -> bool {
        self.streams.get() > 0
    }

    /// One exchange on it.
    pub(super) fn exchange(self: &Rc<Self>) -> Exchange {
        self.streams.set(self.streams.get() + 1);
        self.since.set(Instant::now());
        Exchange { connection: Rc::clone(self), state: State::Idle, sent: Sent::default() }
    }
}

/// One request and its answer.
pub(super) struct Exchange {
    connection: Rc<Multiplexed>,
    state: State,
    sent: Sent,
}

type Asked = Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>>>>;

enum State {
    Idle,
    Asked(Asked),
    Answered(Incoming),
    /// Its end is not the answer's.
    Broken,
    Ended,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get().saturating_sub(1));
        (self.connection.freed)();
    }
}

impl Exchange {
    /// Sends the request and waits for the head of its answer, which can come before all of the request was sent.
    pub(super) fn poll_answer(
        &mut self,
        request: &mut Outgoing<RequestBody>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Fault>> {
        loop {
            match &mut self.state {
                State::Idle => {
                    let request = self.request(request)?;
                    let mut sender = self.connection.sender.clone();
                    self.state = State::Asked(Box::pin(sender.try_send_request(request)));
                }
                State::Asked(asked) => {
                    let answered = ready!(asked.as_mut().poll(cx));
                    self.state = State::Broken;
                    return Poll::Ready(match answered {
                        Ok(response) => self.head(response).map_err(Fault::from),
                        Err(mut error) => {
                            Err(self.failed(error.take_message().is_some(), error.into_error(), request))
                        }
                    });
                }
                State::Answered(_) | State::Broken | State::Ended => return Poll::Ready(Err(Fault::Ended)),
            }
        }
    }

    fn request(&mut self, request: &mut Outgoing<RequestBody>) -> Result<Request<Upload>, Fault> {
        let (parts, body) = request.take(&self.connection.scheme)?;
        self.sent = Sent::new(body);
        Ok(Request::from_parts(parts, self.sent.upload()))
    }

    /// There is no answer. Takes the request back where it may be sent again whatever it is.
    fn failed(&mut self, unsent: bool, error: hyper::Error, request: &mut Outgoing<RequestBody>) -> Fault {
        let refused = is_refused(&error);
        let back = (unsent || refused) && self.sent.put_back(request);
        if back && refused {
            return Fault::Refused;
        }
        Fault::Io(io::Error::other(error))
    }

    fn head(&mut self, response: Response<Incoming>) -> Result<Head, Malformed> {
        let (parts, body) = response.into_parts();
        if parts.status.is_informational() {
            return Err(Malformed("the protocol was changed unasked"));
        }
        self.sent.is_answered();
        let mut headers = parts.headers;
        without_hops(&mut headers);
        if parts.status == StatusCode::NO_CONTENT {
            headers.remove(http::header::CONTENT_LENGTH);
        }
        self.state = State::Answered(body);
        if matches!(&self.state, State::Answered(body) if body.is_end_stream()) {
            self.end();
        }
        Ok(Head {
            status: parts.status,
            headers,
            length: Length::UntilClose,
            keep_alive: true,
            websocket: false,
        })
    }

    /// The next piece of the answer's body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let State::Answered(body) = &mut self.state else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let over = body.is_end_stream();
        let frame = match frame {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(mut trailers) => {
                    without_hops(&mut trailers);
                    trailers.remove(http::header::CONTENT_LENGTH);
                    trailers.remove(http::header::SET_COOKIE);
                    trailers.remove(http::header::ALT_SVC);
                    Some(Ok(Frame::trailers(trailers)))
                }
                Err(frame) => Some(Ok(frame)),
            },
            Some(Err(error)) => {
                self.state = State::Broken;
                return Poll::Ready(Some(Err(Fault::Io(io::Error::other(error)))));
            }
            None => None,
        };
        if over || frame.is_none() {
            self.end();
        }
        Poll::Ready(frame)
    }

    /// The answer has come to its end.
    fn end(&mut self) {
        self.state = State::Ended;
        self.sent.is_over();
    }

    /// How many bytes are left, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.state {
            State::Answered(body) if body.is_end_stream() => Some(0),
            // Where nothing is left, trailers may still come.
            State::Answered(body) => body.size_hint().exact().filter(|left| *left > 0),
            State::Ended => Some(0),
            State::Idle | State::Asked(_) | State::Broken => None,
        }
    }

    /// Whether nothing of an answer has come.
    pub(super) const fn is_unanswered(&self) -> bool {
        !matches!(self.state, State::Answered(_))
    }
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
fn is_refused(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else {
        return false;
    };
    // Without an error of its own an upstream's GOAWAY reaches those streams alone that it names as not begun.
    let told_to_go = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    let reset = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (told_to_go || reset)
}

/// Asks once and returns the status: for the control plane, on whatever thread it is.
pub(super) async fn ask<T>(io: T, request: Request<http_body_util::Empty<Bytes>>) -> Result<u16, hyper::Error>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = configured(hyper_util::rt::TokioExecutor::new()).handshake(io).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    driving.abort();
    Ok(answer?.status().as_u16())
}

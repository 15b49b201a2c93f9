//! One client connection, from its TLS handshake to its end.
//!
//! Invariants: a connection whose next request could begin in two places is closed (RFC 9112 section 6.3); a panic in
//! the handler ends its connection and nothing else.

use std::{
    cell::Cell,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use http::{
    HeaderValue, Method, Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{error::Elapsed, timeout_at},
};
use tokio_rustls::TlsAcceptor;

use super::{
    drive::{End, drive},
    early::Early,
    io::{Follows, Order, Watch, Watched},
};
use crate::base::{
    body::{Oversized, Spoiled},
    interim::{Interim, NO_REQUEST},
};

/// What an HTTP/2 client may send unread, for one request and for all of a connection. Uploads that nobody takes hold up those
/// beside them only where there are dozens.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;

/// What answers requests. One for each worker.
pub trait Handler: 'static {
    /// What the handler knows of a connection.
    type Peer: 'static;
    /// The body of answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static;

    /// What follows an answer that switches to another protocol.
    type Tunnel: Tunnel;

    /// An answer on its way.
    type Answering: Future<Output = Response<Self::Body>> + 'static;

    /// Whether this is a proxy that may say whose connection it carries.
    fn trusts(&self, peer: IpAddr) -> bool;

    /// A connection begins.
    fn connected(&self, client: Client) -> Rc<Self::Peer>;

    /// Answers a request; `interim` leads to its client until then.
    fn handle(&self, peer: &Rc<Self::Peer>, request: Request<Incoming>, interim: Interim) -> Self::Answering;

    /// What follows the head of an answer in place of this body, if anything does.
    fn tunnel(body: &mut Self::Body) -> Option<Self::Tunnel>;

    /// The worker is stopping. Said again while it does.
    fn leave(&self);

    /// The worker has stopped: what is not answered by now will not be.
    fn cut_off(&self) {}
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the bytes are known to be of whoever has this address. Not so behind a proxy that named nobody.
    pub known: bool,
}

/// What goes on where HTTP ends.
pub trait Tunnel: 'static {
    /// Carries it to its end, with the client at `io`.
    fn run(self, io: impl AsyncRead + AsyncWrite + Unpin) -> impl Future<Output = ()>;
}

/// Limits of a connection's protocol.
#[derive(Debug, Clone)]
pub struct ProtocolLimits {
    /// From the connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// Whether a header of the PROXY protocol comes first.
    pub proxy_protocol: bool,
    /// Bytes of a request's head.
    pub max_header_size: usize,
    /// Number of header fields.
    pub max_headers: usize,
    /// Concurrent HTTP/2 streams.
    pub max_streams: u32,
}

/// The number of header fields that hyper takes when it is not told otherwise.
const HYPERS_MAX_HEADERS: usize = 100;

/// Runs tasks of HTTP/2 streams on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Serves one connection to its end. The TLS handshake has until `deadline`.
///
/// # Errors
/// [`Elapsed`] when that was not enough.
pub async fn serve<H: Handler>(
    handler: Rc<H>,
    (tcp, client): (TcpStream, Client),
    (tls, deadline): (Arc<ServerConfig>, tokio::time::Instant),
    limits: Rc<ProtocolLimits>,
    watch: Rc<Watch>,
) -> Result<(), Elapsed> {
    let _ = tcp.set_nodelay(true);
    // Each stage is on the heap by itself, so that a connection has room for the stage it is in and for no other.
    let accepting = Box::pin(timeout_at(deadline, TlsAcceptor::from(tls).accept(tcp)));
    let Ok(stream) = accepting.await? else { return Ok(()) };
    watch.established();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if http2 {
        watch.weigh();
    }
    let peer = handler.connected(client);
    let io = Watched::new(stream, Rc::clone(&watch));
    let switched: Switched<H> = Rc::default();
    let service = {
        let (watch, switched) = (Rc::clone(&watch), Rc::clone(&switched));
        let (max_headers, max_head) = (limits.max_headers, limits.max_header_size);
        service_fn(move |mut request: Request<Incoming>| {
            let follows = watch.restore_framing(&mut request);
            let larger = watch.head_is_larger();
            if larger || request.headers().len() > max_headers {
                let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
                let most = larger && target > max_head / 2;
                request.extensions_mut().insert(if most { Oversized::Target } else { Oversized::Fields });
            }
            // From here on the request counts as being answered, until its answer's body is dropped.
            watch.begin(follows);
            let interim = watch.interim(request.version());
            let ending = Ending::new(&watch, interim.request());
            let head_only = http2 && request.method() == Method::HEAD;
            let stream = (request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
            let answering = handler.handle(&peer, request, interim);
            let switched = Rc::clone(&switched);
            async move {
                let mut response = answering.await;
                ending.watch.say_first(ending.request).await;
                if let Some(tunnel) = H::tunnel(response.body_mut()) {
                    ending.settled.set(true);
                    switch::<H>(tunnel, Ending::again(&ending.watch), stream, &switched);
                } else if ending.watch.answers_for_the_last_time() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                if head_only {
                    keep_length(&mut response);
                }
                Ok::<_, std::convert::Infallible>(response.map(|body| Counted {
                    body,
                    head_only,
                    ending: ending.answered(),
                }))
            }
        })
    };
    if http2 {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder
            .max_concurrent_streams(limits.max_streams)
            .max_header_list_size(u32::try_from(limits.max_header_size.min(16 * 1024)).unwrap_or(16 * 1024))
            .max_send_buf_size(64 * 1024)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // RFC 8441.
            .enable_connect_protocol();
        let mut connection = Box::pin(builder.serve_connection(TokioIo::new(io), service));
        drive(connection.as_mut(), &watch, http2::Connection::graceful_shutdown).await;
    } else {
        let mut builder = http1::Builder::new();
        // More than a head may have, so that mostly we see what is too large of one.
        builder.max_buf_size(limits.max_header_size.saturating_add(8192)).half_close(false);
        // hyper's own limit costs nothing; any that is set, even the same, makes it fill a table for each request.
        if limits.max_headers != HYPERS_MAX_HEADERS {
            builder.max_headers(limits.max_headers);
        }
        if let Some((io, early)) = serve_http1(&builder, io, service, &watch).await {
            after(io, early, switched.take(), &watch).await;
        }
    }
    Ok(())
}

/// Speaks HTTP/1.1 to its end. Returns the connection and what was read too early when it is open still.
async fn serve_http1<S>(
    builder: &http1::Builder,
    mut io: Watched,
    mut service: S,
    watch: &Watch,
) -> Option<(Watched, Bytes)>
where
    S: HttpService<Incoming, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    S::ResBody: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let mut early = Bytes::new();
    loop {
        let mut connection = Box::new(builder.serve_connection(TokioIo::new(Early::new(early, io)), service));
        let end = drive(Pin::new(&mut *connection), watch, http1::Connection::graceful_shutdown).await;
        if end == End::Closed {
            return None;
        }
        let parts = connection.into_parts();
        (early, io) = parts.io.into_inner().after(parts.read_buf);
        if end == End::Over {
            return Some((io, early));
        }
        service = parts.service;
        watch.rest(&io).await;
    }
}

/// The tunnel that an HTTP/1.1 connection becomes, and the mark that it is busy.
type Switched<H> = Rc<Cell<Option<(<H as Handler>::Tunnel, Ending)>>>;

/// An answer switches to another protocol: an HTTP/1.1 connection as a whole, once the head was sent; of HTTP/2 one stream.
fn switch<H: Handler>(tunnel: H::Tunnel, busy: Ending, stream: Option<OnUpgrade>, switched: &Switched<H>) {
    let Some(stream) = stream else { return switched.set(Some((tunnel, busy))) };
    tokio::task::spawn_local(async move {
        // Where the stream was reset before, there is nobody to speak with.
        if let Ok(stream) = stream.await {
            tunnel.run(TokioIo::new(stream)).await;
        }
        drop(busy);
    });
}

/// HTTP/1.1 has ended on this connection.
async fn after<T: Tunnel>(mut io: Watched, early: Bytes, switched: Option<(T, Ending)>, watch: &Watch) {
    let Some((tunnel, _busy)) = switched else {
        // hyper leaves a connection open on which somebody has once asked for another protocol.
        let _ = io.shutdown().await;
        return;
    };
    watch.switched();
    watch.forget_answers();
    let mut tunnel = Box::pin(tunnel.run(Early::new(early, io)));
    std::future::poll_fn(|cx| match watch.order(cx) {
        Order::Close => Poll::Ready(()),
        Order::None | Order::Rest | Order::Drain => tunnel.as_mut().poll(cx),
    })
    .await;
}

impl Watch {
    /// hyper takes a Content-Length away when there is a Transfer-Encoding, and the handler could not refuse the pair.
    /// Whether there was one is seen in the raw head; when that was not seen whole, it counts as if there had been.
    /// Returns what follows the head.
    fn restore_framing(&self, request: &mut Request<Incoming>) -> Follows {
        let headers = request.headers();
        if let Some(length) = headers.get(CONTENT_LENGTH) {
            let length = length.to_str().ok().and_then(|length| length.parse().ok());
            return length.filter(|length| *length > 0).map_or(Follows::Nothing, Follows::Bytes);
        }
        if !headers.contains_key(TRANSFER_ENCODING) || request.version() != http::Version::HTTP_11 {
            return Follows::Nothing;
        }
        if self.head_names("content-length") != Some(false) {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let spoiled = Spoiled::default();
        request.extensions_mut().insert(spoiled.clone());
        Follows::Chunks(spoiled)
    }
}

/// Notes the end of a request when its answer is dropped.
struct Ending {
    watch: Rc<Watch>,
    /// By which interim answers know it.
    request: u32,
    offer: usize,
    /// By the ticks.
    began: Instant,
    /// Whether it came to the end of its answer, or is not given up by the client.
    settled: Cell<bool>,
}

impl Ending {
    fn new(watch: &Rc<Watch>, request: u32) -> Self {
        let began = watch.tick();
        Self { watch: Rc::clone(watch), request, offer: usize::MAX, began, settled: Cell::new(false) }
    }

    /// For what goes on after the answer.
    fn again(watch: &Rc<Watch>) -> Self {
        watch.hold();
        let ending = Self::new(watch, NO_REQUEST);
        ending.settled.set(true);
        ending
    }

    /// The head of the answer is there; from now on the client has to make room for its body.
    fn answered(mut self) -> Self {
        self.offer = self.watch.offer();
        self
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.watch.withdraw(self.offer);
        self.watch.forget_interim(self.request);
        self.watch.settled(self.settled.get(), self.began);
        self.watch.end();
    }
}

/// Says in the head how long the body is that is not sent (RFC 9110 section 9.3.2).
fn keep_length<B: Body>(response: &mut Response<B>) {
    let length = response.body().size_hint().exact();
    if let Some(length) = length.filter(|_| !response.body().is_end_stream()) {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

/// An answer's body that notes how it is taken, and the end of its request.
struct Counted<B> {
    body: B,
    /// It is not sent: hyper leaves it out over HTTP/1.1 alone.
    head_only: bool,
    ending: Ending,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ending.watch.polled(self.ending.offer, &polled);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.ending.settled.set(true);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let ended = self.head_only || self.body.is_end_stream();
        if ended {
            self.ending.settled.set(true);
        }
        ended
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

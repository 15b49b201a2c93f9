//! An upstream that speaks HTTP/2, by hyper's server, and records what it receives.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{net::TcpListener, sync::Notify};
use tokio_rustls::TlsAcceptor;

use super::tls::Identity;

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Parts>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    /// Requests that hang now.
    hanging: AtomicUsize,
    hang_up: Notify,
}

/// The server.
pub(crate) struct Upstream2 {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

/// Counted as long as it lives.
struct Counted(Arc<Shared>, fn(&Shared) -> &AtomicUsize);

impl Counted {
    fn new(shared: &Arc<Shared>, which: fn(&Shared) -> &AtomicUsize) -> Self {
        which(shared).fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared), which)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::SeqCst);
    }
}

impl Upstream2 {
    /// Without TLS, where HTTP/2 is spoken at once.
    pub(crate) fn start() -> Self {
        Self::listen(None, 200)
    }

    /// Without TLS, for so many streams at a time.
    pub(crate) fn start_with(streams: u32) -> Self {
        Self::listen(None, streams)
    }

    /// With TLS, where these protocols can be agreed on.
    pub(crate) fn start_tls(identity: &Identity, protocols: &[&str]) -> Self {
        let mut config = (*identity.server()).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))), 200)
    }

    fn listen(tls: Option<TlsAcceptor>, streams: u32) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_task = Arc::clone(&shared);
        let is_tls = tls.is_some();
        runtime.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (shared, tls) = (Arc::clone(&for_task), tls.clone());
                tokio::spawn(async move {
                    let _open = Counted::new(&shared, |shared| &shared.open);
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let for_service = Arc::clone(&shared);
                    let service = service_fn(move |request| answer(Arc::clone(&for_service), request));
                    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.max_concurrent_streams(streams);
                    let hang_up = shared.hang_up.notified();
                    let serving = async {
                        match tls {
                            None => builder.serve_connection(TokioIo::new(socket), service).await,
                            Some(tls) => match tls.accept(socket).await {
                                Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                                    builder.serve_connection(TokioIo::new(stream), service).await
                                }
                                Ok(stream) => {
                                    let one = hyper::server::conn::http1::Builder::new();
                                    one.serve_connection(TokioIo::new(stream), service).await
                                }
                                Err(_) => Ok(()),
                            },
                        }
                    };
                    tokio::select! {
                        _ = serving => {}
                        () = hang_up => {}
                    }
                });
            }
        });
        Self { address, tls: is_tls, shared, _runtime: runtime }
    }

    /// As `upstream.to` wants it, for who knows beforehand.
    pub(crate) fn h2c(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// As `upstream.to` wants it, otherwise.
    pub(crate) fn origin(&self) -> String {
        if self.tls {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    /// The heads of the requests since the last call.
    pub(crate) fn take(&self) -> Vec<Parts> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// How many connections were accepted, and how many are open.
    pub(crate) fn connections(&self) -> (usize, usize) {
        (self.shared.connections.load(Ordering::SeqCst), self.shared.open.load(Ordering::SeqCst))
    }

    /// How many requests hang now.
    pub(crate) fn hanging(&self) -> usize {
        self.shared.hanging.load(Ordering::SeqCst)
    }

    /// Closes all connections, as they are.
    pub(crate) fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }
}

type Answered = UnsyncBoxBody<Bytes, hyper::Error>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Answered>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    shared.requests.lock().unwrap().push(parts.clone());
    let never = |never: std::convert::Infallible| match never {};
    let sum = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("42"));
        trailers.insert("set-cookie", HeaderValue::from_static("__Host-hubgate-session=evil"));
        trailers
    };
    let response = Response::builder().header("x-upstream", "two");
    let whole = |bytes: Bytes| Full::new(bytes).map_err(never).boxed_unsync();
    let last = path.rsplit('/').next().unwrap_or_default();
    Ok(match last {
        "echo" => {
            let trailers = std::future::ready(Some(Ok(sum())));
            response.body(body.with_trailers(trailers).boxed_unsync()).unwrap()
        }
        "trailers-only" => {
            response.header("grpc-status", "5").body(Empty::new().map_err(never).boxed_unsync()).unwrap()
        }
        "hang" => {
            let _hanging = Counted::new(&shared, |shared| &shared.hanging);
            std::future::pending::<()>().await;
            unreachable!("it never ends")
        }
        "endless" => {
            let hanging = Counted::new(&shared, |shared| &shared.hanging);
            let frames = futures_util::stream::unfold(hanging, async |hanging| {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok(http_body::Frame::data(Bytes::from_static(b"tick "))), hanging))
            });
            response.body(http_body_util::StreamBody::new(frames).boxed_unsync()).unwrap()
        }
        "early" => {
            // The body is read later, and slowly.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                drop(body.collect().await);
            });
            response.body(whole(Bytes::from_static(b"early"))).unwrap()
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            response.body(whole(Bytes::from_static(b"slow"))).unwrap()
        }
        "empty" => response.status(204).body(Empty::new().map_err(never).boxed_unsync()).unwrap(),
        "evil" => response
            .header("set-cookie", "__Host-hubgate-session=evil")
            .header("set-cookie", "a=1")
            .header("alt-svc", "h3=\":443\"")
            .body(whole(Bytes::from_static(b"x")))
            .unwrap(),
        _ => {
            let head = parts.method == http::Method::HEAD;
            let length = body.collect().await?.to_bytes().len();
            let text =
                json!({ "length": length, "method": parts.method.as_str(), "uri": parts.uri.to_string() })
                    .to_string();
            if head {
                let empty = Empty::new().map_err(never).boxed_unsync();
                return Ok(response.header("content-length", "12345").body(empty).unwrap());
            }
            response.header("content-length", text.len()).body(whole(text.into())).unwrap()
        }
    })
}

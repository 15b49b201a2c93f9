//! One connection to the collector, and one batch on it.
//!
//! Invariant: what is said of a failure is its kind, never what the collector or its headers say: they may quote a secret. A
//! certificate is verified for the name that is asked for.
//!
//! OTLP over HTTP: only 429, 502, 503 and 504 are worth another attempt.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Request,
    header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Collector, encode};

/// Bytes of an answer that are read.
const ANSWER: usize = 64 * 1024;

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("the connection broke off: {0}")]
    Http(#[from] hyper::Error),
    #[error("no answer in time")]
    Late,
    #[error("the answer is not one of OTLP")]
    Answer,
    #[error("the collector answers {0}")]
    Status(u16, Option<Duration>),
    #[error("a request cannot be written: {0}")]
    Request(#[from] http::Error),
}

impl Failure {
    /// Whether the same may be taken later.
    pub(super) const fn is_for_now(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Http(_) | Self::Late => true,
            Self::Status(status, _) => matches!(status, 429 | 502 | 503 | 504),
            Self::Answer | Self::Request(_) => false,
        }
    }

    /// How long the collector wants to be left alone.
    pub(super) const fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status(_, pause) => *pause,
            _ => None,
        }
    }
}

/// See the module.
pub(super) struct Link {
    collector: Collector,
    authority: String,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Link {
    pub(super) fn new(collector: Collector) -> Self {
        Self { authority: collector.authority(), collector, open: None }
    }

    /// Host and port.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Has one batch taken. Returns how many spans of it were not.
    pub(super) async fn post(&mut self, batch: &Bytes) -> Result<usize, Failure> {
        let posted = timeout(self.collector.timeout, self.exchange(batch)).await;
        posted.unwrap_or(Err(Failure::Late)).inspect_err(|_| self.open = None)
    }

    async fn exchange(&mut self, batch: &Bytes) -> Result<usize, Failure> {
        let kept = self.open.take();
        let was_kept = kept.is_some();
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let ready = sender.ready().await;
        if was_kept && (ready.is_err() || sender.is_closed()) {
            // The collector has closed it meanwhile, as servers do.
            sender = self.connect().await?;
        }
        let answer = match sender.send_request(self.request(batch)?).await {
            Err(_) if was_kept => {
                // It has closed it at this moment. What it may have got twice has the same ids.
                sender = self.connect().await?;
                sender.send_request(self.request(batch)?).await?
            }
            answer => answer?,
        };
        let (parts, body) = answer.into_parts();
        let pause = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Limited::new(body, ANSWER).collect().await.map_err(|_| Failure::Answer);
        if !parts.status.is_success() {
            return Err(Failure::Status(parts.status.as_u16(), pause.map(Duration::from_secs)));
        }
        let rejected = encode::rejected(&body?.to_bytes());
        self.open = Some(sender);
        Ok(rejected)
    }

    fn request(&self, batch: &Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(&self.collector.path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("hubgate/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.collector.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(batch.clone()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let Collector { host, port, tls, .. } = &self.collector;
        let tcp = TcpStream::connect((host.as_str(), *port)).await?;
        tcp.set_nodelay(true)?;
        match tls {
            None => shake_hands(tcp).await,
            Some(config) => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                shake_hands(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?).await
            }
        }
    }
}

/// HTTP/1.1 on a socket, served by a task until one of the sides has enough.
async fn shake_hands(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    // Whoever sends on it hears of its errors.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

//! Connections of one worker to upstreams: kept alive, used by one request at a time, never shared between threads.
//!
//! Invariant: a connection goes back to the pool only after its answer was read to the end; whatever breaks off is
//! closed (RFC 9112 section 9.3).

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::relay::RequestBody;
use crate::model::upstream::Target;

/// An idle connection is closed after this; most servers keep theirs a little longer.
const IDLE_LIFE: Duration = Duration::from_secs(50);

/// Answers' heads larger than this are refused.
const MAX_ANSWER_HEAD: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Refused, unreachable, name unknown, or TLS failed.
    #[error("{0}")]
    Failed(#[from] io::Error),
    /// It took too long.
    #[error("connecting took too long")]
    TimedOut,
}

/// The connections to one target.
pub struct TargetPool {
    /// Where to.
    pub target: Target,
    /// Host and port, for the log.
    pub label: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    max_idle: usize,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection in use by one request.
pub struct Lease {
    pool: Rc<TargetPool>,
    sender: SendRequest<RequestBody>,
    /// Whether it has carried a request before.
    pub reused: bool,
}

impl Lease {
    /// The connection itself.
    pub const fn sender(&mut self) -> &mut SendRequest<RequestBody> {
        &mut self.sender
    }

    /// Gives the connection back after its answer was read to the end.
    pub fn give_back(self) {
        let Self { pool, sender, .. } = self;
        let mut idle = pool.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < pool.max_idle {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

impl TargetPool {
    /// A pool without connections. `tls` for `https` targets.
    ///
    /// # Errors
    /// When the target's host is no name that TLS can check.
    pub fn new(
        target: Target,
        tls: Option<&Arc<rustls::ClientConfig>>,
        connect_timeout: Duration,
        max_idle: usize,
    ) -> io::Result<Self> {
        let tls = match tls {
            Some(config) if target.tls => {
                let name = ServerName::try_from(target.host.to_string()).map_err(io::Error::other)?;
                Some((TlsConnector::from(Arc::clone(config)), name))
            }
            _ if target.tls => return Err(io::Error::other("no certificate authorities for this target")),
            _ => None,
        };
        let label = format!("{}:{}", target.host, target.port);
        Ok(Self { target, label, tls, connect_timeout, max_idle, idle: RefCell::new(Vec::new()) })
    }

    /// An idle connection that is ready, the most recently used first: it is the least likely to have been closed.
    pub fn idle(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while let Some(candidate) = at.checked_sub(1).and_then(|at| idle.get(at)) {
            at -= 1;
            if candidate.sender.is_ready() {
                let sender = idle.swap_remove(at).sender;
                return Some(Lease { pool: Rc::clone(self), sender, reused: true });
            }
            if candidate.sender.is_closed() {
                idle.swap_remove(at);
            }
        }
        None
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn connect(self: &Rc<Self>) -> Result<Lease, ConnectError> {
        let opened =
            timeout(self.connect_timeout, self.open()).await.map_err(|_| ConnectError::TimedOut)??;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_ANSWER_HEAD)
            .handshake(TokioIo::new(opened))
            .await
            .map_err(io::Error::other)?;
        // The task ends when the connection does; its error reaches the request that it carries.
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        Ok(Lease { pool: Rc::clone(self), sender, reused: false })
    }

    async fn open(&self) -> io::Result<Transport> {
        let tcp = TcpStream::connect((self.target.host.as_ref(), self.target.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Transport::Plain(tcp)),
            Some((connector, name)) => {
                Ok(Transport::Tls(Box::new(connector.connect(name.clone(), tcp).await?)))
            }
        }
    }

    /// Closes connections that have been idle for too long.
    pub fn tidy(&self, now: Instant) {
        self.idle
            .borrow_mut()
            .retain(|idle| !idle.sender.is_closed() && now.saturating_duration_since(idle.since) < IDLE_LIFE);
    }
}

/// The targets of a route, taken in turn.
pub struct RoutePools {
    pools: Vec<Rc<TargetPool>>,
    next: Cell<usize>,
}

impl RoutePools {
    /// Over these pools.
    #[must_use]
    pub const fn new(pools: Vec<Rc<TargetPool>>) -> Self {
        Self { pools, next: Cell::new(0) }
    }

    /// All pools, beginning with the one whose turn it is.
    pub fn in_turn(&self) -> impl Iterator<Item = &Rc<TargetPool>> {
        let count = self.pools.len();
        let first = self.next.get();
        self.next.set(if first + 1 < count { first + 1 } else { 0 });
        self.pools.iter().cycle().skip(first).take(count)
    }

    /// All pools.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<TargetPool>> {
        self.pools.iter()
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }
}

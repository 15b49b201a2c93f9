//! Connections of one worker to upstreams: kept alive, used by one request at a time, never shared between threads.
//!
//! Invariant: a connection goes back to the pool only after its request was sent and its answer read to the end, and is
//! lent again only when nothing has come on it since; whatever breaks off is closed (RFC 9112 section 9.3).

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{http1::Connection, transport::Transport};
use crate::model::upstream::Target;

/// An idle connection is closed after this; most servers keep theirs a little longer.
const IDLE_LIFE: Duration = Duration::from_secs(50);

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
    /// The time of the last tick, for what need not be exact.
    now: Cell<Instant>,
}

struct Idle {
    connection: Box<Connection<Transport>>,
    since: Instant,
}

/// A connection in use by one exchange. Dropped, it is closed.
///
/// What else an upstream may speak belongs behind this: whoever has a lease sends one request and reads one answer.
pub struct Lease {
    pool: Rc<TargetPool>,
    connection: Box<Connection<Transport>>,
    /// Whether it has carried an exchange before.
    pub reused: bool,
}

impl Lease {
    /// The connection itself.
    pub(super) fn connection(&mut self) -> &mut Connection<Transport> {
        &mut self.connection
    }

    /// How many bytes of the answer's body are left, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.connection.left()
    }

    /// Whether all of the answer is known to have arrived.
    pub(super) fn has_arrived(&self) -> bool {
        self.connection.has_arrived()
    }

    /// The bare socket with what has arrived on it; it never goes back to the pool.
    pub(super) fn into_socket(self) -> (Transport, Bytes) {
        self.connection.into_socket()
    }

    /// Gives the connection back after the request was sent and its answer read to the end; it is closed if it cannot be
    /// used again.
    pub fn give_back(self) {
        let Self { pool, mut connection, .. } = self;
        let mut idle = pool.idle.borrow_mut();
        if connection.is_free() && idle.len() < pool.max_idle {
            connection.rest();
            idle.push(Idle { connection, since: pool.now.get() });
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
        let idle = RefCell::new(Vec::new());
        let now = Cell::new(Instant::now());
        Ok(Self { target, label, tls, connect_timeout, max_idle, idle, now })
    }

    /// An idle connection on which nothing has come, the most recently used first: it is the least likely to have been
    /// closed.
    pub fn idle(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let Idle { mut connection, .. } = idle.pop()?;
            if connection.is_quiet() {
                return Some(Lease { pool: Rc::clone(self), connection, reused: true });
            }
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn connect(self: &Rc<Self>) -> Result<Lease, ConnectError> {
        let opened =
            timeout(self.connect_timeout, self.open()).await.map_err(|_| ConnectError::TimedOut)??;
        Ok(Lease { pool: Rc::clone(self), connection: Box::new(Connection::new(opened)), reused: false })
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

    /// Closes connections that have been idle for too long, and those that the other side has closed.
    pub fn tidy(&self, now: Instant) {
        self.now.set(now);
        self.idle.borrow_mut().retain_mut(|idle| {
            now.saturating_duration_since(idle.since) < IDLE_LIFE && idle.connection.is_quiet()
        });
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

//! Idle upstream connections of this worker, the last used on top.
//!
//! Invariant: a connection in the pool has no exchange in flight; [`exchange::Relayed`](crate::exchange::Relayed)
//! gives one back only when the answer's body has ended.

use std::{cell::RefCell, net::SocketAddr};

use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::spawn_local};

/// The connections to one upstream.
pub(crate) struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Pool {
    pub(crate) const fn new(upstream: SocketAddr) -> Self {
        Self { upstream, idle: RefCell::new(Vec::new()) }
    }

    /// An idle connection that still stands, or a new one.
    pub(crate) async fn take(&self) -> anyhow::Result<SendRequest<Incoming>> {
        loop {
            // A statement of its own: the borrow must end before the await.
            let idle = self.idle.borrow_mut().pop();
            let Some(mut sender) = idle else { return self.connect().await };
            if sender.is_ready() || sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
    }

    pub(crate) fn give_back(&self, sender: SendRequest<Incoming>) {
        if !sender.is_closed() {
            self.idle.borrow_mut().push(sender);
        }
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        sender.ready().await?;
        Ok(sender)
    }
}

//! Plain listeners: that of the management, and those that redirect to TLS.
//!
//! Invariant: a client of the latter counts as one of the others does, under the same limits.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{net::TcpStream, time::Instant};

use crate::{
    base::source::bucket,
    config::Config,
    proxy::gate::Gate,
    server::{
        admission::{Admission, Loss},
        proxy_protocol::introduced,
    },
    web::management::{self, Door},
};

/// Who may be redirected.
pub(super) struct Guests {
    pub(super) admission: Arc<Admission>,
    pub(super) gate: Arc<Gate>,
    /// How long the header of the PROXY protocol may take, where there has to be one.
    pub(super) proxy_protocol: Option<Duration>,
}

impl Guests {
    pub(super) fn new(config: &Config, admission: &Arc<Admission>, gate: &Arc<Gate>) -> Arc<Self> {
        Arc::new(Self {
            admission: Arc::clone(admission),
            gate: Arc::clone(gate),
            proxy_protocol: config.listen.proxy_protocol.then_some(config.limits.handshake_timeout),
        })
    }
}

#[async_trait]
impl Door for Guests {
    async fn admit(&self, tcp: &mut TcpStream, address: SocketAddr) -> Option<Box<dyn Send>> {
        let Some(patience) = self.proxy_protocol else {
            return Some(Box::new(self.admission.admit(bucket(address.ip()))?));
        };
        if !self.gate.snapshot().trusts(address.ip().to_canonical()) {
            self.admission.count(Loss::UntrustedProxy);
            return None;
        }
        let mut ticket = self.admission.admit_unknown()?;
        introduced(tcp, address, (&mut ticket, Instant::now() + patience)).await?;
        Some(Box::new(ticket))
    }
}

/// Serves a router on a plain socket.
pub(super) async fn serve(socket: std::net::TcpListener, router: axum::Router, door: Option<Arc<dyn Door>>) {
    if let Err(error) = management::serve(socket, router, door).await {
        tracing::error!(%error, "a plain listener has ended");
    }
}

//! Opens connections to one target.
//!
//! Invariant: a TLS connection stands only after the target's certificate was verified for the name that it is asked for.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::addresses::Addresses;
use crate::{model::upstream::Target, proxy::transport::Transport};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Refused, unreachable, name unknown, or TLS failed.
    #[error("{0}")]
    Failed(#[from] io::Error),
    /// It took too long.
    #[error("connecting took too long")]
    TimedOut,
    /// There are as many as there may be, and too many requests wait for one.
    #[error("all connections are in use, and too many requests wait for one")]
    Full,
    /// There are as many as there may be, and none became free in time.
    #[error("all connections are in use, and none became free in time")]
    Waited,
}

/// See the module.
pub struct Connector {
    addresses: Addresses,
    /// How TLS is spoken; `Err` says why it cannot be.
    tls: Option<Result<(TlsConnector, ServerName<'static>), &'static str>>,
    patience: Duration,
}

impl Connector {
    /// To this target. `tls` for `https`; a name is looked up so often.
    #[must_use]
    pub fn new(
        target: &Target,
        tls: Option<&Arc<rustls::ClientConfig>>,
        (patience, resolve): (Duration, Duration),
    ) -> Self {
        let tls = target.tls.then(|| {
            let config = tls.ok_or("no certificate authorities for this target")?;
            let name = ServerName::try_from(target.host.to_string());
            let name = name.map_err(|_| "the target's host is no name that a certificate can be for")?;
            Ok((TlsConnector::from(Arc::clone(config)), name))
        });
        Self { addresses: Addresses::new(&target.host, target.port, resolve), tls, patience }
    }

    /// Where the name leads.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Opens a connection, to the first address that accepts it.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn open(&self) -> Result<(Transport, SocketAddr), ConnectError> {
        timeout(self.patience, self.stand()).await.map_err(|_| ConnectError::TimedOut)?
    }

    async fn stand(&self) -> Result<(Transport, SocketAddr), ConnectError> {
        let addresses = self.addresses.list().await?;
        // One that swallows everything leaves time for the others.
        let each = self.patience / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut failure = ConnectError::TimedOut;
        for address in addresses {
            let tcp = match timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => tcp,
                Ok(Err(error)) => {
                    failure = error.into();
                    continue;
                }
                Err(_) => continue,
            };
            tcp.set_nodelay(true)?;
            return Ok((self.secured(tcp).await?, address));
        }
        Err(failure)
    }

    async fn secured(&self, tcp: TcpStream) -> io::Result<Transport> {
        match &self.tls {
            None => Ok(Transport::Plain(tcp)),
            Some(Err(why)) => Err(io::Error::other(*why)),
            Some(Ok((connector, name))) => {
                Ok(Transport::Tls(Box::new(connector.connect(name.clone(), tcp).await?)))
            }
        }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

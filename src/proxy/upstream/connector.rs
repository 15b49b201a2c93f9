//! Opens connections to one target.
//!
//! Invariant: a TLS connection stands only after the target's certificate was verified for the name that it is asked for.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::addresses::Addresses;
use crate::{
    model::{
        delivery::{Delivery, Http2},
        upstream::Target,
    },
    proxy::transport::Transport,
};

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

/// Where a target is.
#[derive(Debug)]
enum Place {
    Addresses(Addresses),
    Socket(Arc<Path>),
}

/// What a target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    One,
    /// HTTP/2, if it agrees to it.
    Either,
    /// HTTP/2.
    Two,
}

/// How TLS is spoken.
struct Secured {
    connector: TlsConnector,
    /// The same, offering HTTP/1.1 alone.
    old: TlsConnector,
    name: ServerName<'static>,
}

/// See the module.
pub struct Connector {
    place: Place,
    /// Which protocols it may come to.
    pub speaks: Speaks,
    /// How TLS is spoken; `Err` says why it cannot be.
    tls: Option<Result<Secured, &'static str>>,
    patience: Duration,
}

impl Connector {
    /// To this target. `tls` for `https`.
    #[must_use]
    pub fn new(target: &Target, tls: Option<&Arc<rustls::ClientConfig>>, delivery: &Delivery) -> Self {
        let speaks = match delivery.http2 {
            _ if target.h2c => Speaks::Two,
            Http2::PriorKnowledge => Speaks::Two,
            Http2::Auto if target.tls => Speaks::Either,
            Http2::Auto | Http2::Off => Speaks::One,
        };
        let tls = target.tls.then(|| {
            let config = tls.ok_or("no certificate authorities for this target")?;
            let name = delivery.server_name.clone().unwrap_or_else(|| target.host.to_string());
            let name = ServerName::try_from(name);
            let name = name.map_err(|_| "the target's host is no name that a certificate can be for")?;
            let connector = TlsConnector::from(Arc::clone(config));
            let old = if speaks == Speaks::Either {
                let mut old = rustls::ClientConfig::clone(config);
                old.alpn_protocols = vec![b"http/1.1".to_vec()];
                TlsConnector::from(Arc::new(old))
            } else {
                connector.clone()
            };
            Ok(Secured { connector, old, name })
        });
        let place = match &target.socket {
            Some(path) => Place::Socket(Arc::clone(path)),
            None => Place::Addresses(Addresses::new(&target.host, target.port, delivery.resolve)),
        };
        Self { place, speaks, tls, patience: delivery.connect_timeout }
    }

    /// Where the name leads, where there is a name or address.
    pub const fn addresses(&self) -> Option<&Addresses> {
        match &self.place {
            Place::Addresses(addresses) => Some(addresses),
            Place::Socket(_) => None,
        }
    }

    /// Whether HTTP/2 is spoken on a connection that stands.
    ///
    /// # Errors
    /// When it has to be, and the target has not agreed to it.
    pub fn is_http2(&self, transport: &Transport) -> io::Result<bool> {
        match self.speaks {
            Speaks::One => Ok(false),
            Speaks::Two if !transport.is_tls() => Ok(true),
            _ if transport.agreed_on_http2() => Ok(true),
            Speaks::Either => Ok(false),
            Speaks::Two => Err(io::Error::other("the target does not agree to HTTP/2")),
        }
    }

    /// Opens a connection, to the first address that accepts it. `old`: HTTP/1.1 is to be spoken on it.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn open(&self, old: bool) -> Result<(Transport, Option<SocketAddr>), ConnectError> {
        timeout(self.patience, self.stand(old)).await.map_err(|_| ConnectError::TimedOut)?
    }

    async fn stand(&self, old: bool) -> Result<(Transport, Option<SocketAddr>), ConnectError> {
        let addresses = match &self.place {
            Place::Socket(path) => return Ok((Transport::Unix(UnixStream::connect(path).await?), None)),
            Place::Addresses(addresses) => addresses.list().await?,
        };
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
            return Ok((self.secured(tcp, old).await?, Some(address)));
        }
        Err(failure)
    }

    async fn secured(&self, tcp: TcpStream, old: bool) -> io::Result<Transport> {
        match &self.tls {
            None => Ok(Transport::Plain(tcp)),
            Some(Err(why)) => Err(io::Error::other(*why)),
            Some(Ok(secured)) => {
                let connector = if old { &secured.old } else { &secured.connector };
                let name = &secured.name;
                Ok(Transport::Tls(Box::new(connector.connect(name.clone(), tcp).await?)))
            }
        }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("place", &self.place).finish_non_exhaustive()
    }
}

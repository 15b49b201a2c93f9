//! The gateway's sockets, opened before anything else, so that a port that is taken leaves nothing half done.

use std::net::{SocketAddr, TcpListener};

use crate::{config::Config, server::listener};

/// The sockets, open before anything else is done.
pub(super) struct Sockets {
    /// For each worker, one for each address.
    pub(super) https: Vec<Vec<TcpListener>>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) http: Vec<TcpListener>,
    pub(super) management: Option<TcpListener>,
}

impl Sockets {
    /// Opens them.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub(super) fn open(config: &Config, workers: usize) -> std::io::Result<Self> {
        let mut https: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for address in &config.listen.https {
            let sockets = listener::listen_shared(*address, workers)?;
            if let Some(first) = sockets.first() {
                addresses.push(first.local_addr()?);
            }
            for (worker, socket) in https.iter_mut().zip(sockets) {
                worker.push(socket);
            }
        }
        let http = config.listen.http.iter().map(|address| listener::listen(*address, false));
        let http = http.collect::<Result<_, _>>()?;
        let management =
            config.listen.management.map(|address| listener::listen(address, false)).transpose()?;
        Ok(Self { https, addresses, http, management })
    }
}

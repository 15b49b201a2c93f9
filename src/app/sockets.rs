//! The gateway's sockets, opened before anything else, so that a port that is taken leaves nothing half done; or taken from
//! the process before, or from a supervisor.
//!
//! Invariant: every socket that was handed over is accepted from or closed: each has connections of its own waiting.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use crate::{
    config::Config,
    server::{listener, supervisor::Given},
};

/// Sockets that are open already.
#[derive(Debug, Default)]
pub enum Handed {
    /// None.
    #[default]
    Nothing,
    /// A supervisor keeps them open, whatever becomes of this process.
    BySupervisor(Vec<Given>),
    /// The process before serves on them.
    ByPredecessor(Vec<TcpListener>),
}

impl Handed {
    /// Whether somebody else accepts connections from them when this process does not.
    pub(super) const fn outlive_us(&self) -> bool {
        matches!(self, Self::BySupervisor(_))
    }
}

/// The sockets, open before anything else is done.
pub(super) struct Sockets {
    /// For each worker, as many as there are addresses, or more.
    pub(super) https: Vec<Vec<TcpListener>>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) http: Vec<TcpListener>,
    pub(super) management: Option<TcpListener>,
}

impl Sockets {
    /// Opens them, as far as they are not open already.
    ///
    /// # Errors
    /// The first that cannot be opened; a socket of a supervisor that nothing here is to be served on.
    pub(super) fn open(config: &Config, workers: usize, handed: Handed) -> io::Result<Self> {
        let must_fit = handed.outlive_us();
        let mut open: Vec<Given> = match handed {
            Handed::Nothing => Vec::new(),
            Handed::BySupervisor(given) => given,
            Handed::ByPredecessor(listeners) => {
                listeners.into_iter().map(|listener| Given { listener, name: String::new() }).collect()
            }
        };
        let mut https: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for (address, sockets) in claim(&mut open, "https", &config.listen.https)? {
            let sockets =
                if sockets.is_empty() { listener::listen_shared(address, workers)? } else { sockets };
            if let Some(first) = sockets.first() {
                addresses.push(first.local_addr()?);
            }
            share(sockets, &mut https)?;
        }
        let mut http = Vec::new();
        for (address, sockets) in claim(&mut open, "http", &config.listen.http)? {
            http.extend(if sockets.is_empty() { vec![listener::listen(address, false)?] } else { sockets });
        }
        let management: Vec<SocketAddr> = config.listen.management.into_iter().collect();
        let mut management = claim(&mut open, "management", &management)?.into_iter();
        let management = match management.next() {
            Some((address, mut sockets)) => {
                Some(sockets.pop().map_or_else(|| listener::listen(address, false), Ok)?)
            }
            None => None,
        };
        if let (true, Some(odd)) = (must_fit, open.first()) {
            let (name, address) = (&odd.name, odd.listener.local_addr()?);
            return Err(io::Error::other(format!(
                "the supervisor hands over a socket {name:?} on {address}, which is neither named https, http or management nor \
                 on an address of `[listen]`"
            )));
        }
        Ok(Self { https, addresses, http, management })
    }

    /// The same sockets once more, to be handed to the next process.
    pub(super) fn again(&self) -> io::Result<Vec<TcpListener>> {
        let https = self.https.iter().flatten();
        https.chain(&self.http).chain(&self.management).map(TcpListener::try_clone).collect()
    }
}

/// The sockets for each address. Those that a supervisor calls by what they are for are in the place of the addresses of the
/// configuration; others are known by their address.
fn claim(
    open: &mut Vec<Given>,
    name: &str,
    addresses: &[SocketAddr],
) -> io::Result<Vec<(SocketAddr, Vec<TcpListener>)>> {
    let named = open.iter().any(|given| given.name == name);
    let mut claimed: Vec<(SocketAddr, Vec<TcpListener>)> = Vec::new();
    if !named {
        claimed.extend(addresses.iter().map(|address| (*address, Vec::new())));
    }
    let mut rest = Vec::new();
    for given in open.drain(..) {
        let address = given.listener.local_addr()?;
        let at = claimed.iter().position(|(known, _)| *known == address);
        let at = match at {
            None if named && given.name == name => {
                claimed.push((address, Vec::new()));
                claimed.len() - 1
            }
            Some(at) if !named || given.name == name => at,
            _ => {
                rest.push(given);
                continue;
            }
        };
        given.listener.set_nonblocking(true)?;
        if let Some((_, sockets)) = claimed.get_mut(at) {
            sockets.push(given.listener);
        }
    }
    *open = rest;
    Ok(claimed)
}

/// Each worker gets at least one of the sockets, and each socket at least one worker.
fn share(sockets: Vec<TcpListener>, workers: &mut [Vec<TcpListener>]) -> io::Result<()> {
    let count = sockets.len().max(1);
    for (number, worker) in workers.iter_mut().enumerate().skip(count) {
        if let Some(socket) = sockets.get(number % count) {
            worker.push(socket.try_clone()?);
        }
    }
    let many = workers.len().max(1);
    for (number, socket) in sockets.into_iter().enumerate() {
        if let Some(worker) = workers.get_mut(number % many) {
            worker.push(socket);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Environment};

    fn config(listen: &str) -> Config {
        let text = format!("public_url = \"https://a.example\"\n[listen]\n{listen}\n");
        config::parse(&text, Path::new("gateway.toml"), &Environment::empty()).unwrap()
    }

    fn any(count: usize) -> (SocketAddr, Vec<TcpListener>) {
        let sockets = listener::listen_shared("127.0.0.1:0".parse().unwrap(), count).unwrap();
        (sockets[0].local_addr().unwrap(), sockets)
    }

    fn named(name: &str, sockets: Vec<TcpListener>) -> Vec<Given> {
        sockets.into_iter().map(|listener| Given { listener, name: name.into() }).collect()
    }

    #[test]
    fn what_the_process_before_had_is_taken_and_the_rest_opened() {
        let ((a, first), (b, second), (_, gone)) = (any(3), any(1), any(1));
        let listen = format!("https = [\"{a}\", \"127.0.0.1:0\"]\nmanagement = \"{b}\"");
        let handed = Handed::ByPredecessor(first.into_iter().chain(second).chain(gone).collect());
        let sockets = Sockets::open(&config(&listen), 2, handed).unwrap();
        // Three for two workers, and one each of the new address.
        assert_eq!(sockets.https.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(sockets.addresses[0], a);
        assert_eq!(sockets.management.as_ref().unwrap().local_addr().unwrap(), b);
        assert_eq!(sockets.again().unwrap().len(), 6);
        // Fewer than there are workers: they share.
        let (a, one) = any(1);
        let listen = format!("https = [\"{a}\"]\nmanagement = \"127.0.0.1:0\"");
        let sockets = Sockets::open(&config(&listen), 3, Handed::ByPredecessor(one)).unwrap();
        assert_eq!(sockets.https.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn a_supervisors_sockets_are_known_by_name_or_address() {
        let ((a, https), (b, http), (c, management)) = (any(1), any(1), any(1));
        let given = [named("https", https), named("hubgate.socket", http), named("x", management)];
        let listen = format!("https = [\"127.0.0.1:1\"]\nhttp = [\"{b}\"]\nmanagement = \"{c}\"");
        let handed = Handed::BySupervisor(given.into_iter().flatten().collect());
        let sockets = Sockets::open(&config(&listen), 1, handed).unwrap();
        assert_eq!(sockets.addresses, [a], "in the place of the address of the file");
        assert_eq!(sockets.http[0].local_addr().unwrap(), b);
        assert_eq!(sockets.management.unwrap().local_addr().unwrap(), c);
    }

    #[test]
    fn a_socket_for_nothing_is_refused() {
        let (address, sockets) = any(1);
        let listen = "https = [\"127.0.0.1:0\"]\nmanagement = \"127.0.0.1:0\"";
        let handed = Handed::BySupervisor(named("web", sockets));
        let error = Sockets::open(&config(listen), 1, handed).err().unwrap().to_string();
        assert!(error.contains("\"web\"") && error.contains(&address.to_string()), "{error}");
    }
}

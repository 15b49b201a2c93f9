//! Listening sockets.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Opens a listening socket. With `shared`, several workers (and the next process) may listen on the same address and
/// the kernel spreads connections over them.
///
/// # Errors
/// When the address is taken or not ours; the message names it.
pub fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// Opens `count` sockets on one address. Port 0 is chosen once, for all of them.
///
/// # Errors
/// As [`listen`]. An address on which somebody else listens is refused even when that one would share it: two gateways
/// that take each other's connections at random are a mistake.
pub fn listen_shared(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // Without sharing this fails when anybody listens there.
    let probe = listen(address, false)?;
    let address = probe.local_addr()?;
    drop(probe);
    (0..count.max(1)).map(|_| listen(address, true)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_and_strangers_do_not_get_it() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let sockets = listen_shared(any, 3).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(sockets.iter().all(|s| s.local_addr().unwrap() == address));
        let error = listen_shared(address, 1).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}

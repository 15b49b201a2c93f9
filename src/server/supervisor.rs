//! What a supervisor such as systemd gives to the gateway and is told by it: sockets that it keeps open, and how far the
//! gateway is.
//!
//! Invariant: sockets are taken only when they were meant for this very process; a supervisor that does not listen changes
//! nothing.
//!
//! `sd_listen_fds(3)`, `sd_notify(3)`.

use std::{
    ffi::{OsStr, OsString},
    io,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use listenfd::ListenFd;
use rustix::{
    net::sockopt,
    time::{ClockId, clock_gettime},
};

/// A socket that a supervisor keeps open.
#[derive(Debug)]
pub struct Given {
    /// The socket.
    pub listener: TcpListener,
    /// What the supervisor calls it (`FileDescriptorName=`).
    pub name: String,
}

/// The sockets that were given to this process, by these variables: `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`. To be called
/// once, before there is another thread.
///
/// # Errors
/// When one of them is no listening TCP socket.
pub fn given(pid: Option<&str>, count: Option<&str>, names: Option<&str>) -> io::Result<Vec<Given>> {
    let ours = pid.and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    let count: usize = count.filter(|_| ours).and_then(|count| count.parse().ok()).unwrap_or(0);
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut names = names.unwrap_or_default().split(':');
    let mut sockets = ListenFd::from_env();
    let mut taken = Vec::with_capacity(count);
    for at in 0..count {
        let name = names.next().unwrap_or_default().to_owned();
        let wrong = |error| io::Error::other(format!("socket {at} of the supervisor ({name:?}): {error}"));
        let listener = sockets.take_tcp_listener(at).map_err(wrong)?;
        let listener = listener.ok_or_else(|| wrong(io::Error::other("it is not there")))?;
        if !sockopt::socket_acceptconn(&listener)? {
            return Err(wrong(io::Error::other("nothing listens on it")));
        }
        taken.push(Given { listener, name });
    }
    Ok(taken)
}

/// Where a supervisor wants to be told how far the gateway is.
#[derive(Debug, Default)]
pub struct Supervisor {
    /// `NOTIFY_SOCKET`
    address: Option<OsString>,
}

impl Supervisor {
    /// `address`: what `NOTIFY_SOCKET` says.
    #[must_use]
    pub fn new(address: Option<&OsStr>) -> Self {
        Self { address: address.filter(|address| !address.is_empty()).map(OsStr::to_owned) }
    }

    /// The gateway serves.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The gateway reads its configuration; it says [`Supervisor::ready`] again when it has.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration"));
    }

    /// The gateway finishes what is in flight.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is in flight");
    }

    fn tell(&self, text: &str) {
        let Some(address) = &self.address else { return };
        let send = || {
            let bytes = address.as_bytes();
            let to = match bytes.split_first() {
                // An abstract address is written with an @ where it has a zero.
                Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
                _ => SocketAddr::from_pathname(address)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.send_to_addr(text.as_bytes(), &to)
        };
        if let Err(error) = send() {
            tracing::warn!(%error, "the supervisor cannot be told how far the gateway is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_are_not_for_this_process_are_left_alone() {
        let other = (std::process::id() + 1).to_string();
        for (pid, count) in [(None, Some("1")), (Some(other.as_str()), Some("1")), (Some("x"), Some("1"))] {
            assert!(given(pid, count, Some("https")).unwrap().is_empty());
        }
        let own = std::process::id().to_string();
        for count in [None, Some("0"), Some(""), Some("-1"), Some("many")] {
            assert!(given(Some(&own), count, None).unwrap().is_empty());
        }
    }

    #[test]
    fn a_supervisor_is_told_at_either_kind_of_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("hubgate-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, address) in [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())] {
            let supervisor = Supervisor::new(Some(&address));
            supervisor.ready();
            supervisor.reloading();
            supervisor.stopping();
            let mut heard = Vec::new();
            for _ in 0..3 {
                let mut text = [0; 200];
                let length = socket.recv(&mut text).unwrap();
                heard.push(String::from_utf8(text[..length].to_vec()).unwrap());
            }
            assert!(heard[0].starts_with("READY=1\n"), "{heard:?}");
            assert!(heard[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard:?}");
            assert!(heard[2].starts_with("STOPPING=1\n"), "{heard:?}");
        }
        Supervisor::new(Some(OsStr::new("/nowhere/at/all"))).ready();
        Supervisor::new(Some(OsStr::new(""))).ready();
    }
}

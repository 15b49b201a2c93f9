//! Handing the listening sockets to the next process over a socket file, so that no connection is refused or lost in between.
//!
//! Invariants: the same sockets go on, with the queues of connections that nobody has accepted yet, so there is no moment
//! without one; whoever asks runs as the same user, or as root. This process stops only when the next one has said that it serves;
//! one that fails before changes nothing.
//!
//! `unix(7)`, `SCM_RIGHTS`.

use std::{
    fs,
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
    },
    process::geteuid,
};
use tokio::sync::watch;

/// Sockets in one message; the kernel takes 253.
const BATCH: usize = 64;
/// More sockets come.
const MORE: &[u8] = b"+";
/// These were the last.
const LAST: &[u8] = b".";
/// What the next process says when it serves.
const READY: &[u8] = b"ready";
/// How long the process before may take to hand its sockets over.
const PATIENCE: Duration = Duration::from_secs(10);

/// The offer of a process that serves.
#[derive(Debug)]
pub struct Offer {
    path: PathBuf,
    /// The socket file, to tell it from one that another process has put in its place.
    inode: u64,
    listeners: Arc<Mutex<Vec<TcpListener>>>,
    taken: watch::Receiver<bool>,
}

impl Offer {
    /// Offers these sockets at `path`, in the place of whoever offered there before.
    ///
    /// # Errors
    /// When the socket file cannot be made.
    pub fn open(path: &Path, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let beside = path.with_extension(format!("{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let socket = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&beside)?.ino();
        fs::rename(&beside, path)?;
        let listeners = Arc::new(Mutex::new(listeners));
        let (told, taken) = watch::channel(false);
        let offered = Arc::clone(&listeners);
        std::thread::Builder::new().name("handover".to_owned()).spawn(move || {
            for stream in socket.incoming() {
                match stream.and_then(|stream| hand_over(stream, &offered)) {
                    Ok(true) => {
                        let _ = told.send(true);
                        return;
                    }
                    Ok(false) => {
                        tracing::warn!("the process that was to take over has ended; this one goes on");
                    }
                    Err(error) => {
                        tracing::error!(%error, "the sockets cannot be handed over; this process goes on");
                    }
                }
            }
        })?;
        Ok(Self { path: path.to_owned(), inode, listeners, taken })
    }

    /// Waits until another process has taken over.
    pub async fn taken(&mut self) {
        if self.taken.wait_for(|taken| *taken).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes the offer back. What this process holds of the sockets for it is closed.
    pub fn withdraw(self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if fs::metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Hands the sockets to whoever has connected. Returns whether that process serves now.
fn hand_over(mut stream: UnixStream, listeners: &Mutex<Vec<TcpListener>>) -> io::Result<bool> {
    let user = sockopt::socket_peercred(&stream)?.uid;
    if user != geteuid() && !user.is_root() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user asks for them"));
    }
    stream.set_write_timeout(Some(PATIENCE))?;
    {
        let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let sockets: Vec<BorrowedFd<'_>> = listeners.iter().map(|socket| socket.as_fd()).collect();
        let batches = sockets.chunks(BATCH);
        let last = batches.len();
        for (number, batch) in batches.enumerate() {
            send(&stream, batch, if number + 1 == last { LAST } else { MORE })?;
        }
    }
    // It may take as long as it wants to begin; its end is noticed.
    let mut said = Vec::new();
    stream.read_to_end(&mut said)?;
    Ok(said == READY)
}

fn send(stream: &UnixStream, sockets: &[BorrowedFd<'_>], mark: &[u8]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other("too many sockets for one message"));
    }
    sendmsg(stream, &[IoSlice::new(mark)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What was taken from the process before, which serves on until it is told [`Taken::serving`].
#[derive(Debug)]
pub struct Taken {
    stream: UnixStream,
    /// Its listening sockets.
    pub listeners: Vec<TcpListener>,
}

impl Taken {
    /// Asks the process that offers at `path` for its sockets; `None` when there is none.
    ///
    /// # Errors
    /// When there is one and it does not hand them over.
    pub fn from(path: &Path) -> io::Result<Option<Self>> {
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut listeners = Vec::new();
        while receive(&stream, &mut listeners)? {}
        Ok(Some(Self { stream, listeners }))
    }

    /// Tells the process before that this one serves, so that it stops.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn serving(mut self) -> io::Result<()> {
        self.stream.write_all(READY)
    }
}

/// Receives one message. Returns whether more come.
fn receive(stream: &UnixStream, listeners: &mut Vec<TcpListener>) -> io::Result<bool> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    let message = recvmsg(stream, &mut [IoSliceMut::new(&mut mark)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = part {
            for socket in sockets {
                listeners.push(listening(socket)?);
            }
        }
    }
    if message.bytes != 1 || message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the process before has not handed all over",
        ));
    }
    Ok(mark == MORE)
}

fn listening(socket: OwnedFd) -> io::Result<TcpListener> {
    if sockopt::socket_acceptconn(&socket)? {
        Ok(TcpListener::from(socket))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "what the process before hands over does not listen"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::server::listener::listen_shared;

    fn pause() {
        std::thread::sleep(Duration::from_millis(100));
    }

    #[test]
    fn the_next_process_gets_every_socket_and_says_when_it_serves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handover.sock");
        assert!(Taken::from(&path).unwrap().is_none(), "nobody offers");
        // More than one message takes.
        let sockets = listen_shared("127.0.0.1:0".parse().unwrap(), BATCH + 3).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let mut offer = Offer::open(&path, sockets).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let taken = Taken::from(&path).unwrap().unwrap();
        assert_eq!(taken.listeners.len(), BATCH + 3);
        assert!(taken.listeners.iter().all(|socket| socket.local_addr().unwrap() == address));
        // One that ends before it serves changes nothing.
        drop(taken);
        pause();
        assert!(!*offer.taken.borrow());
        let taken = Taken::from(&path).unwrap().unwrap();
        let kept: Vec<_> = taken.listeners.iter().map(|s| s.try_clone().unwrap()).collect();
        let waiting = TcpStream::connect(address).unwrap();
        taken.serving().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(offer.taken());
        offer.withdraw();
        assert!(!path.exists());
        // What had connected to the sockets of the one before is still there to be accepted.
        let ours = waiting.local_addr().unwrap();
        assert!(kept.iter().any(|socket| socket.accept().is_ok_and(|(_, from)| from == ours)));
    }

    #[test]
    fn an_offer_takes_the_place_of_the_one_before_and_leaves_it_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handover.sock");
        let first = Offer::open(&path, listen_shared("127.0.0.1:0".parse().unwrap(), 1).unwrap()).unwrap();
        let second = Offer::open(&path, listen_shared("127.0.0.1:0".parse().unwrap(), 2).unwrap()).unwrap();
        first.withdraw();
        assert_eq!(Taken::from(&path).unwrap().unwrap().listeners.len(), 2);
        second.withdraw();
        assert!(!path.exists());
        // A file that a crash has left behind is no offer.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists() && Taken::from(&path).unwrap().is_none());
        Offer::open(&path, Vec::new()).unwrap().withdraw();
    }
}

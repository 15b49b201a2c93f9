//! Handing the listening sockets to the next process over a socket file, so that no connection is refused or lost in between.
//!
//! Invariants: the same sockets go on, with the queues of connections that nobody has accepted yet, so there is no moment
//! without one; whoever asks runs as the same user, or as root. This process stops only when the next one has said that it serves;
//! one that fails before changes nothing. Nobody takes the place of an offer that stands but the process that it was made to.
//!
//! `unix(7)`, `SCM_RIGHTS`.

use std::{
    fs,
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    net::{Shutdown, TcpListener},
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
/// What is said by who only wants to know whether somebody offers.
const LOOKING: &[u8] = b"looking";
/// How long that one waits to be let go.
const GLANCE: Duration = Duration::from_secs(1);
/// How often a process that could not offer tries again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the process before may take to hand its sockets over.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose offer may stand where one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nobody's.
    Nobody,
    /// That of the process whose sockets were taken over: the new offer takes its place.
    Predecessor,
}

/// The offer of a process that serves.
#[derive(Debug)]
pub struct Offer {
    path: PathBuf,
    listeners: Arc<Mutex<Vec<TcpListener>>>,
    made: Option<Made>,
}

/// An offer that stands.
#[derive(Debug)]
struct Made {
    /// The socket file, to tell it from one that another process has put in its place.
    inode: u64,
    taken: watch::Receiver<bool>,
}

impl Offer {
    /// What is to be offered at `path`; nothing is yet.
    #[must_use]
    pub fn of(path: &Path, listeners: Vec<TcpListener>) -> Self {
        Self { path: path.to_owned(), listeners: Arc::new(Mutex::new(listeners)), made: None }
    }

    /// Offers.
    ///
    /// # Errors
    /// `AddrInUse` when another process offers there, whose place is not ours to take; others when the socket file cannot be
    /// made.
    pub fn make(&mut self, before: Before) -> io::Result<()> {
        // One at a time looks and makes; the lock ends with the handle. Where a file system has none for folders, only two that
        // start in the same moment could miss one another.
        let folder = fs::File::open(self.path.parent().unwrap_or(Path::new(".")))?;
        let _ = folder.lock();
        if before == Before::Nobody && is_offered(&self.path)? {
            let text = "another process that runs with this data_dir offers its own there";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let beside = self.path.with_extension(format!("{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let socket = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&beside)?.ino();
        fs::rename(&beside, &self.path)?;
        let (told, taken) = watch::channel(false);
        let offered = Arc::clone(&self.listeners);
        std::thread::Builder::new().name("handover".to_owned()).spawn(move || {
            for stream in socket.incoming() {
                match stream.and_then(|stream| hand_over(stream, &offered)) {
                    Ok(Asked::Serves) => {
                        let _ = told.send(true);
                        return;
                    }
                    Ok(Asked::Looked) => {}
                    Ok(Asked::Ended) => {
                        tracing::warn!("the process that was to take over has ended; this one goes on");
                    }
                    Err(error) => {
                        tracing::error!(%error, "the sockets cannot be handed over; this process goes on");
                    }
                }
            }
        })?;
        self.made = Some(Made { inode, taken });
        Ok(())
    }

    /// Waits until another process has taken over. While no offer stands, makes one as soon as it can.
    pub async fn taken(&mut self) {
        loop {
            if let Some(made) = &mut self.made {
                if made.taken.wait_for(|taken| *taken).await.is_err() {
                    std::future::pending::<()>().await;
                }
                return;
            }
            tokio::time::sleep(AGAIN).await;
            if self.make(Before::Nobody).is_ok() {
                tracing::info!(path = %self.path.display(), "the sockets are offered to a next process now");
            }
        }
    }

    /// Takes the offer back. What this process holds of the sockets for it is closed.
    pub fn withdraw(self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let ours = |made: Made| fs::metadata(&self.path).is_ok_and(|file| file.ino() == made.inode);
        if self.made.is_some_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a process that lives offers at `path`. The file of one that was killed is no offer.
fn is_offered(path: &Path) -> io::Result<bool> {
    let Some(mut stream) = connect(path)? else { return Ok(false) };
    // It is told that nobody is to take over. Whatever becomes of that, it is there.
    let told = stream
        .write_all(LOOKING)
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| stream.set_read_timeout(Some(GLANCE)));
    if told.is_ok() {
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    Ok(true)
}

/// A connection to whoever offers at `path`; `None` when nobody does.
fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What has come of somebody who has connected.
enum Asked {
    /// It serves now.
    Serves,
    /// It was to take over and has ended.
    Ended,
    /// It only looked.
    Looked,
}

/// Hands the sockets to whoever has connected.
fn hand_over(mut stream: UnixStream, listeners: &Mutex<Vec<TcpListener>>) -> io::Result<Asked> {
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
    Ok(match said.as_slice() {
        READY => Asked::Serves,
        LOOKING => Asked::Looked,
        _ => Asked::Ended,
    })
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
        let Some(stream) = connect(path)? else { return Ok(None) };
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
        let mut offer = Offer::of(&path, sockets);
        offer.make(Before::Nobody).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let taken = Taken::from(&path).unwrap().unwrap();
        assert_eq!(taken.listeners.len(), BATCH + 3);
        assert!(taken.listeners.iter().all(|socket| socket.local_addr().unwrap() == address));
        // One that ends before it serves changes nothing.
        drop(taken);
        pause();
        assert!(!*offer.made.as_ref().unwrap().taken.borrow());
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

    fn some(path: &Path, count: usize) -> Offer {
        Offer::of(path, listen_shared("127.0.0.1:0".parse().unwrap(), count).unwrap())
    }

    #[test]
    fn an_offer_takes_the_place_of_its_predecessors_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handover.sock");
        let offered = || Taken::from(&path).unwrap().map(|taken| taken.listeners.len());
        let (mut first, mut stranger, mut second) = (some(&path, 1), some(&path, 3), some(&path, 2));
        first.make(Before::Nobody).unwrap();
        for _ in 0..3 {
            let error = stranger.make(Before::Nobody).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
        assert!(!*first.made.as_ref().unwrap().taken.borrow());
        assert_eq!(offered(), Some(1));
        second.make(Before::Predecessor).unwrap();
        first.withdraw();
        assert_eq!(offered(), Some(2));
        stranger.withdraw();
        assert_eq!(offered(), Some(2), "who does not offer takes nothing back");
        second.withdraw();
        assert!(!path.exists());
        // A file that a crash has left behind is no offer.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists() && Taken::from(&path).unwrap().is_none());
        let mut third = some(&path, 1);
        third.make(Before::Nobody).unwrap();
        third.withdraw();
    }

    #[tokio::test]
    async fn who_could_not_offer_does_when_the_other_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handover.sock");
        let (mut first, mut second) = (some(&path, 1), some(&path, 2));
        first.make(Before::Nobody).unwrap();
        assert!(second.make(Before::Nobody).is_err());
        let waiting = tokio::spawn(async move {
            second.taken().await;
            second
        });
        first.withdraw();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while !path.exists() {
            assert!(tokio::time::Instant::now() < deadline, "no offer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let taken = Taken::from(&path).unwrap().unwrap();
        assert_eq!(taken.listeners.len(), 2);
        taken.serving().unwrap();
        waiting.await.unwrap().withdraw();
        assert!(!path.exists());
    }
}

//! A connection of one worker to an HTTP/2 upstream, and its streams.
//!
//! Invariant: a stream counts until both sides have ended it.
//!
//! RFC 9113 sections 5.1.2, 5.2.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::uri::Scheme;
use tokio::sync::oneshot;

use super::{
    Exchange,
    line::{self, Line, MOST_STREAMS, SILENCE},
};
use crate::proxy::{http1::answer::MAX_HEAD, transport::Transport};

/// What an upstream may send unread, for one exchange and for all of a connection: clients that do not read hold up their own
/// exchanges, and none beside them.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS;

/// What pieces may cost beyond their bytes while they are unread, all together: an upstream that sends many small ones costs memory,
/// and the end of its connection costs everybody on it their answers.
const UNREAD_PIECES: usize = 64 * 1024 * 1024;

/// What is held of a request that an upstream does not take.
const SEND_BUFFER: usize = 64 * 1024;

/// Exchanges that clients have given up, of which frames may still be on their way: those of others go on, however many there are.
const REMEMBERED_RESETS: usize = 4096;
/// So many frames may come too late for that in all, before the connection is given up: `h2` answers each with a reset.
const MOST_LATE_FRAMES: usize = 1 << 20;

fn configured() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        // None before the other side has said how many it takes.
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .max_local_error_reset_streams(Some(MOST_LATE_FRAMES))
        .data_frame_budget(UNREAD_PIECES);
    builder
}

/// A connection of one worker.
pub(in crate::proxy) struct Multiplexed {
    pub(super) sender: RefCell<SendRequest<Bytes>>,
    pub(super) scheme: Scheme,
    pub(super) line: Rc<Line>,
    since: Cell<Instant>,
    /// It takes no more exchanges, and is closed after those that it has.
    retired: Cell<bool>,
    /// Called when an exchange has ended.
    freed: Box<dyn Fn()>,
    /// The other side's, where it has one.
    pub(in crate::proxy) address: Option<SocketAddr>,
}

impl Multiplexed {
    /// Begins to speak on a socket, and waits until the other side does. `held` is given back when the connection ends, `freed` called
    /// whenever an exchange has.
    pub(in crate::proxy) async fn begin(
        io: Transport,
        address: Option<SocketAddr>,
        held: impl Sized + 'static,
        freed: impl Fn() + 'static,
    ) -> io::Result<Rc<Self>> {
        let scheme = if io.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
        let (sender, connection) = configured().handshake(io).await.map_err(io::Error::other)?;
        let line = Rc::new(Line::new());
        let (begins, begun) = oneshot::channel();
        let driving = line::drive(connection, Rc::clone(&line), begins, SILENCE);
        tokio::task::spawn_local(async move {
            let _held = held;
            driving.await;
        });
        begun.await.map_err(|_| io::Error::other("the target does not speak HTTP/2"))?;
        Ok(Rc::new(Self {
            sender: RefCell::new(sender),
            scheme,
            line,
            since: Cell::new(Instant::now()),
            retired: Cell::new(false),
            freed: Box::new(freed),
            address,
        }))
    }

    /// Whether it can carry one more exchange.
    pub(in crate::proxy) fn has_room(&self) -> bool {
        !self.retired.get() && self.line.streams.get() < self.line.allowed.get() && self.is_open()
    }

    /// Whether new exchanges may begin on it, as far as the other side is concerned.
    fn is_open(&self) -> bool {
        // Nobody has to be woken: what is sent on it is sent by copies.
        let mut nobody = Context::from_waker(Waker::noop());
        matches!(self.sender.borrow_mut().poll_ready(&mut nobody), Poll::Ready(Ok(())))
    }

    /// Takes no more exchanges.
    pub(in crate::proxy) fn retire(&self) {
        self.retired.set(true);
    }

    /// Whether it may be kept: it stands, and was used after `then`.
    pub(in crate::proxy) fn is_kept(&self, then: Instant) -> bool {
        let in_use = !self.retired.get() && self.since.get() > then;
        (self.is_busy() || in_use) && self.is_open()
    }

    /// Whether it carries an exchange.
    pub(in crate::proxy) fn is_busy(&self) -> bool {
        self.line.streams.get() > 0
    }

    /// One exchange on it.
    pub(in crate::proxy) fn exchange(self: &Rc<Self>) -> Exchange {
        self.line.streams.set(self.line.streams.get() + 1);
        self.since.set(Instant::now());
        Exchange::new(Rc::clone(self), Stream(Rc::clone(self)))
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        self.line.leave();
    }
}

/// One of a connection's streams, counted until both sides have ended it.
pub(super) struct Stream(Rc<Multiplexed>);

impl Drop for Stream {
    fn drop(&mut self) {
        let line = &self.0.line;
        line.streams.set(line.streams.get().saturating_sub(1));
        (self.0.freed)();
    }
}

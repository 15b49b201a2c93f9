//! A client's socket, which tells its [`Watch`] what moves on it.
//!
//! Invariant: after the last answer a client may go on sending for a while, and what it sends is thrown away.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Buf as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{Order, Phase, Watch};

/// A TLS connection whose bytes are watched.
pub struct Watched {
    /// On the heap, since everything that it is handed to would have room for it, some of them twice.
    inner: Box<TlsStream<TcpStream>>,
    watch: Rc<Watch>,
}

impl Watched {
    /// Watches a connection.
    #[must_use]
    pub fn new(stream: TlsStream<TcpStream>, watch: Rc<Watch>) -> Self {
        Self { inner: Box::new(stream), watch }
    }

    /// Whether there is something to read, or to learn: an end is read too.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.get_ref().0.poll_read_ready(cx).map(drop)
    }

    /// Reads until the client has nothing more to say.
    fn discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *self.inner).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Says what is to be said. `fresh`: whether hyper has written all that it wanted to.
    fn poll_words(&mut self, cx: &mut Context<'_>, fresh: bool) -> Poll<io::Result<()>> {
        if self.watch.words.borrow().is_none() {
            return Poll::Ready(Ok(()));
        }
        let watch = Rc::clone(&self.watch);
        let mut slot = watch.words.borrow_mut();
        let Some(words) = slot.as_mut() else { return Poll::Ready(Ok(())) };
        let (certain, between) = watch
            .flood
            .borrow()
            .as_ref()
            .map_or((true, true), |flood| (flood.is_certain(), flood.is_between()));
        while let Some(bytes) = words.next((certain, fresh && between)) {
            let written = Pin::new(&mut *self.inner).poll_write(cx, bytes);
            match ready!(self.wrote(written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => bytes.advance(count),
            }
        }
        if words.is_empty() {
            *slot = None;
        }
        Poll::Ready(Ok(()))
    }

    /// What of HTTP/2 was sent is weighed too.
    fn sent<'b>(&self, written: &Poll<io::Result<usize>>, bufs: impl Iterator<Item = &'b [u8]>) {
        let mut flood = self.watch.flood.borrow_mut();
        let (Poll::Ready(Ok(count)), Some(flood)) = (written, flood.as_mut()) else { return };
        let mut left = *count;
        for buf in bufs {
            let sent = buf.get(..left).unwrap_or(buf);
            flood.sent(sent);
            left -= sent.len();
        }
    }

    /// What was written is counted, and what stalls is noted.
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.watch.wrote(*count);
        }
        self.noted(written)
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        match &written {
            Poll::Ready(_) => self.watch.stalled.set(None),
            Poll::Pending if self.watch.stalled.get().is_none() => {
                self.watch.stalled.set(Some(Instant::now()));
            }
            Poll::Pending => {}
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.watch.ends_with_a_word() {
            if self.poll_words(cx, true).is_ready() {
                let _ = Pin::new(&mut *self.inner).poll_flush(cx);
            }
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.watch.flood.borrow_mut().as_mut().is_some_and(|flood| flood.pauses()) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut *self.inner).poll_read(cx, buf);
        if let Some(arrived) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.watch.arrived(arrived);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_words(cx, false))?;
        let written = Pin::new(&mut *self.inner).poll_write(cx, buf);
        self.sent(&written, std::iter::once(buf));
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_words(cx, true))?;
        let flushed = Pin::new(&mut *self.inner).poll_flush(cx);
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.phase.get() != Phase::Lingering {
            let closed = Pin::new(&mut *self.inner).poll_shutdown(cx);
            let closed = self.noted(closed);
            // Only after an answer to HTTP/1.1, and not when the connection is told to end.
            let lingers =
                self.watch.keep_head.get() && self.watch.spoke.get() && self.watch.order.get() == Order::None;
            if !lingers || !matches!(closed, Poll::Ready(Ok(()))) {
                return closed;
            }
            self.watch.phase.set(Phase::Lingering);
            self.watch.since.set(Instant::now());
        }
        self.discard(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_words(cx, false))?;
        let written = Pin::new(&mut *self.inner).poll_write_vectored(cx, bufs);
        self.sent(&written, bufs.iter().map(|buf| &**buf));
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

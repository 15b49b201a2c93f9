//! A socket on which something was read too early: that comes first.
//!
//! Invariant: bytes come in the order in which they arrived, each once.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket behind bytes that were read from it before.
pub(super) struct Early<T> {
    bytes: Bytes,
    io: T,
}

impl<T> Early<T> {
    /// `bytes`, then what `io` brings.
    pub(super) const fn new(bytes: Bytes, io: T) -> Self {
        Self { bytes, io }
    }

    /// What is unread behind `read`, which was taken from it, and the socket.
    pub(super) fn after(self, read: Bytes) -> (Bytes, T) {
        let unread = match (read.is_empty(), self.bytes.is_empty()) {
            // Even of nothing the bytes would keep the buffer that they were read into.
            (true, true) => Bytes::new(),
            (false, true) => read,
            (true, false) => self.bytes,
            (false, false) => [read, self.bytes].concat().into(),
        };
        (unread, self.io)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Early<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = self.bytes.len().min(buf.remaining());
        buf.put_slice(self.bytes.get(..count).unwrap_or_default());
        self.bytes.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Early<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_came_early_comes_first() {
        let (near, mut far) = duplex(64);
        far.write_all(b" and late").await.unwrap();
        far.shutdown().await.unwrap();
        let mut early = Early::new(Bytes::from_static(b"early"), near);
        let mut short = [0; 2];
        early.read_exact(&mut short).await.unwrap();
        let mut rest = String::new();
        early.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&short, rest.as_str()), (b"ea", "rly and late"));
    }

    #[tokio::test]
    async fn what_was_read_and_not_used_comes_before_the_rest() {
        for (early, taken, left) in [("abc", 0, "abc"), ("abc", 3, "abc"), ("abc", 2, "abc"), ("", 0, "")] {
            let (near, _far) = duplex(64);
            let mut io = Early::new(Bytes::from(early), near);
            let mut read = vec![0; taken];
            io.read_exact(&mut read).await.unwrap();
            let (unread, _) = io.after(read.into());
            assert_eq!(unread, left, "{taken} of {early}");
        }
    }
}

//! Bytes from one socket to another, as they come.
//!
//! Invariants: nothing is read while what was read before is not gone, so that the slower side sets the pace; where nothing
//! waits, nothing is held; an end is passed on as an end, behind everything that came before it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// Reads in a row before others get their turn.
const TURNS: usize = 16;

/// Which socket broke.
#[derive(Debug)]
pub(super) enum Broken {
    /// The one that was read.
    Source(io::Error),
    /// The one that was written to.
    Sink(io::Error),
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pump {
    /// What was read and not written yet.
    waiting: Bytes,
    /// Something was written and not flushed.
    unflushed: bool,
    /// The source has ended.
    ended: bool,
    /// The sink was told.
    done: bool,
    /// The frames that were written.
    pub(super) frames: Frames,
    /// Bytes that were written.
    pub(super) written: u64,
}

impl Pump {
    /// With what has come already.
    pub(super) fn new(waiting: Bytes) -> Self {
        Self { waiting, ..Self::default() }
    }

    /// Whether the source has ended and the sink knows.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Moves what can be moved; ready when the end was passed on. `space` is what is read into.
    pub(super) fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        (source, sink): (&mut R, &mut W),
        space: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        for _ in 0..TURNS {
            ready!(self.poll_empty(sink, cx)).map_err(Broken::Sink)?;
            if self.done {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(Pin::new(&mut *sink).poll_shutdown(cx)).map_err(Broken::Sink)?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(space);
            ready!(Pin::new(&mut *source).poll_read(cx, &mut buffer)).map_err(Broken::Source)?;
            let read = buffer.filled();
            if read.is_empty() {
                self.ended = true;
                continue;
            }
            let count = match Pin::new(&mut *sink).poll_write(cx, read) {
                Poll::Ready(written) => written.map_err(Broken::Sink)?,
                Poll::Pending => 0,
            };
            self.note(read.get(..count).unwrap_or_default());
            // Only what the sink does not take is kept.
            self.waiting = Bytes::copy_from_slice(read.get(count..).unwrap_or_default());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what was read, to the last byte, and flushes.
    fn poll_empty(
        &mut self,
        sink: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let count = ready!(Pin::new(&mut *sink).poll_write(cx, &self.waiting))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let written = self.waiting.slice(..count.min(self.waiting.len()));
            self.note(&written);
            self.waiting.advance(written.len());
        }
        self.waiting = Bytes::new();
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn note(&mut self, written: &[u8]) {
        if !written.is_empty() {
            self.frames.pass(written);
            self.written += written.len() as u64;
            self.unflushed = true;
        }
    }

    /// What is still to be written before a frame of ours may stand; `None` where none may.
    pub(super) fn to_boundary(&self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let count = self.frames.to_boundary(&self.waiting)?;
        Some(self.waiting.slice(..count))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn everything_goes_by_and_the_end_behind_it() {
        for room in [1, 7, 64 * 1024] {
            let (mut near, mut source) = duplex(1024);
            let (mut sink, mut far) = duplex(room);
            let mut pump = Pump::new(Bytes::from_static(b"early"));
            let sent: Vec<u8> = (0..=255).cycle().take(10_000).collect();
            let mut space = vec![0; 4096];
            let (moved, (), got) = tokio::join!(
                poll_fn(|cx| pump.poll((&mut source, &mut sink), &mut space, cx)),
                async {
                    near.write_all(&sent).await.unwrap();
                    near.shutdown().await.unwrap();
                },
                async {
                    let mut got = Vec::new();
                    far.read_to_end(&mut got).await.unwrap();
                    got
                }
            );
            moved.unwrap();
            assert_eq!(got, [b"early", &sent[..]].concat());
            assert!(pump.is_done() && pump.written == 10_005);
        }
    }

    #[test]
    fn a_sink_that_is_full_stops_the_source() {
        let (mut near, mut source) = duplex(1024 * 1024);
        let (mut sink, _far) = duplex(100);
        let mut pump = Pump::new(Bytes::new());
        let mut space = vec![0; 1000];
        let cx = &mut Context::from_waker(Waker::noop());
        let sent = vec![0x81; 100_000];
        assert!(Pin::new(&mut near).poll_write(cx, &sent).is_ready());
        for _ in 0..10 {
            assert!(pump.poll((&mut source, &mut sink), &mut space, cx).is_pending());
        }
        assert_eq!((pump.written, pump.waiting.len()), (100, 900));
    }

    #[tokio::test]
    async fn what_breaks_is_named() {
        let (mut near, mut source) = duplex(100);
        let (mut sink, far) = duplex(100);
        drop(far);
        near.write_all(b"x").await.unwrap();
        let mut pump = Pump::new(Bytes::new());
        let mut space = [0; 10];
        let broken = poll_fn(|cx| pump.poll((&mut source, &mut sink), &mut space, cx)).await;
        assert!(matches!(broken, Err(Broken::Sink(_))), "{broken:?}");
    }
}

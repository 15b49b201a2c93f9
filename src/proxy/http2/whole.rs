//! An upstream's half of an HTTP/2 connection, in which an answer that breaks off is seen to break off.
//!
//! hyper takes a stream that is reset with `NO_ERROR` for one that has come to its end. An upstream may reset so what it has
//! answered whole, to be spared the rest of the request (RFC 9113 section 8.1); what it has not is broken off, whatever it
//! calls that. Then the code is made another one on its way in.
//!
//! Invariant: an answer ends with END_STREAM, or with an error.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::frames::{DATA, END_STREAM, Frames, HEADERS, RST_STREAM, Seen};

/// Answers that have begun and are not at their end, as far as they are remembered: those that we gave up are among them.
const MOST: usize = 1024;

/// RFC 9113 section 7. Its first three bytes are zero, as those of NO_ERROR are.
const INTERNAL_ERROR: u8 = 2;

/// See the module.
pub(super) struct Whole<T> {
    io: T,
    seen: Watching,
}

struct Watching {
    frames: Frames,
    open: VecDeque<u32>,
    /// Of the frame that resets an open stream: how many bytes of its code have come, all zero.
    reset: Option<usize>,
}

impl<T> Whole<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, seen: Watching { frames: Frames::new(0), open: VecDeque::new(), reset: None } }
    }
}

impl Watching {
    fn mend(&mut self, bytes: &mut [u8]) {
        let Self { frames, open, reset } = self;
        // Two such frames in one piece are rare, and found again.
        let mut spoil: Vec<usize> = Vec::new();
        frames.read(bytes, |seen| match seen {
            Seen::Begin { kind: HEADERS | DATA, flags, stream, .. } => {
                let at = open.iter().rposition(|known| *known == stream);
                match (at, flags & END_STREAM != 0) {
                    (Some(at), true) => drop(open.remove(at)),
                    (None, false) => {
                        if open.len() >= MOST {
                            open.pop_front();
                        }
                        open.push_back(stream);
                    }
                    _ => {}
                }
            }
            Seen::Begin { kind: RST_STREAM, stream, .. } => {
                let at = open.iter().rposition(|known| *known == stream);
                *reset = at.and_then(|at| open.remove(at)).map(|_| 0);
            }
            Seen::Content { kind: RST_STREAM, bytes, at } => {
                *reset = reset.filter(|_| bytes.iter().all(|byte| *byte == 0)).map(|got| got + bytes.len());
                if *reset == Some(4) {
                    spoil.push(at + bytes.len() - 1);
                }
            }
            Seen::Begin { .. } | Seen::Content { .. } => {}
        });
        for at in spoil {
            if let Some(code) = bytes.get_mut(at) {
                *code = INTERNAL_ERROR;
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Whole<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Some(arrived) = buf.filled_mut().get_mut(before..) {
            self.seen.mend(arrived);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Whole<T> {
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
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
        [&[0, 0, u8::try_from(content.len()).unwrap(), kind, flags, 0, 0, 0, stream], content].concat()
    }

    /// The codes of the resets after this has gone by in pieces of `step` bytes.
    fn codes(frames: &[Vec<u8>], step: usize) -> Vec<u8> {
        let mut bytes = frames.concat();
        let mut whole = Whole::new(());
        for piece in bytes.chunks_mut(step) {
            whole.seen.mend(piece);
        }
        let (mut read, mut codes) = (Frames::new(0), Vec::new());
        read.read(&bytes, |seen| {
            if let Seen::Content { kind: RST_STREAM, bytes, .. } = seen {
                codes.push(bytes[3]);
            }
        });
        codes
    }

    #[test]
    fn a_reset_without_an_error_is_one_before_the_end() {
        let head = |stream, flags| frame(HEADERS, 4 | flags, stream, b"head");
        let data = |stream, flags| frame(DATA, flags, stream, b"body");
        let reset = |stream, code| frame(RST_STREAM, 0, stream, &[0, 0, 0, code]);
        for step in [1, 3, 9, 1000] {
            let check = |frames: &[Vec<u8>], expected: &[u8]| {
                assert_eq!(codes(frames, step), expected, "{frames:?} by {step}");
            };
            check(&[head(1, 0), data(1, 0), reset(1, 0)], &[2]);
            check(&[head(1, 0), data(1, 0), reset(1, 8)], &[8]);
            check(&[head(1, 0), data(1, END_STREAM), reset(1, 0)], &[0]);
            check(&[head(1, END_STREAM), reset(1, 0)], &[0]);
            check(&[head(1, 0), data(1, 0), head(1, END_STREAM), reset(1, 0)], &[0]);
            check(&[head(1, 0), head(3, 0), data(3, END_STREAM), reset(3, 0), reset(1, 0)], &[0, 2]);
            check(&[head(1, 0), head(3, 0), reset(3, 0), reset(1, 0)], &[2, 2]);
        }
    }
}

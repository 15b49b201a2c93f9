//! A request on its way to an upstream: its head, then its body as it comes in.
//!
//! Invariants: the body has the length that its head names, or the exchange fails; a body that breaks off is never ended
//! as if it were whole; not more of it is held than one piece.
//!
//! RFC 9112 sections 6, 7.1.

use std::{
    io::{self, IoSlice, Write as _},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use http::{HeaderValue, header::TE, request::Parts, uri::Scheme};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::{Fault, RequestHead};

/// A piece that is copied behind what is written before it, instead of being handed to the system by itself.
const COPIED: usize = 1024;

/// As many bytes are written before more is taken in.
const GATHERED: usize = 16 * 1024;

/// A body that comes in from somebody who may be slow.
pub trait Paced: Body<Data = Bytes> + Unpin {
    /// What has come in of it is not taken by the other side: it is not its sender who is waited for now.
    fn pause(&mut self) {}
}

impl Paced for http_body_util::Empty<Bytes> {}

/// A request.
pub struct Outgoing<B> {
    /// Head, sizes of chunks and short pieces.
    bytes: Vec<u8>,
    /// How many of them were written.
    written: usize,
    /// A long piece, after them.
    data: Bytes,
    /// The line end after a chunk is still to come.
    owes_line_end: bool,
    /// What has not come in yet.
    body: Option<B>,
    framing: Framing,
    flushed: bool,
    moved: u64,
    to_head: bool,
    /// All of it is kept until the answer comes, because it may be sent a second time.
    repeatable: bool,
    trailers: bool,
    switches: bool,
}

#[derive(Clone, Copy)]
enum Framing {
    /// So many bytes are left.
    Counted(u64),
    Chunked,
}

impl<B: Paced> Outgoing<B> {
    /// A request with the length that its client has declared; without one, the body is sent in chunks.
    #[must_use]
    pub fn new(mut head: RequestHead, declared: Option<u64>, body: B) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        let framing = match (declared, &body) {
            (Some(length), _) => {
                head.length(length);
                Framing::Counted(length)
            }
            (None, Some(_)) => {
                head.chunked();
                Framing::Chunked
            }
            (None, None) => Framing::Counted(0),
        };
        let repeatable = head.is_safe() && body.is_none();
        let trailers = head.is_for_trailers();
        let switches = head.switches();
        let (bytes, to_head) = head.end();
        Self {
            bytes,
            written: 0,
            data: Bytes::new(),
            owes_line_end: false,
            body,
            framing,
            flushed: false,
            moved: 0,
            to_head,
            repeatable,
            trailers,
            switches,
        }
    }

    /// Whether it does no harm to send it again, whatever became of it the first time: the method is safe and there is no
    /// body (RFC 9110 section 9.2.2).
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// Begins anew, on another connection. Only for what is repeatable.
    pub fn rewind(&mut self) {
        debug_assert!(self.repeatable, "what was sent of it is gone");
        (self.written, self.moved, self.flushed) = (0, 0, false);
    }

    /// Hands all of it over, to a connection that sends it otherwise. Only while it is untouched.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when that connection could not send it.
    pub fn take(&mut self, scheme: &Scheme) -> Result<(Parts, Option<B>), Fault> {
        debug_assert!(self.is_untouched(), "a part of it was sent");
        let mut parts = super::request::parts(&self.bytes, scheme)?;
        if self.trailers {
            parts.headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        (self.moved, self.flushed) = (1, true);
        Ok((parts, self.body.take()))
    }

    /// Takes back what was handed over, when not a byte of it was sent.
    pub fn put_back(&mut self, body: Option<B>) {
        self.body = body;
        (self.moved, self.flushed) = (0, false);
    }

    /// Whether it asks for another protocol on its connection.
    #[must_use]
    pub const fn switches(&self) -> bool {
        self.switches
    }

    /// Whether the answer has no body because of the method.
    #[must_use]
    pub const fn to_head(&self) -> bool {
        self.to_head
    }

    /// Whether not a byte was handed to a connection.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.moved == 0
    }

    /// How many bytes were handed to the connection.
    #[must_use]
    pub const fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether all of it was sent, or nothing more will be.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.flushed && self.body.is_none()
    }

    /// Sends nothing more: the other side does not read.
    pub fn give_up(&mut self) {
        self.body = None;
        self.flushed = true;
    }

    /// Sends as much as can be sent now; ready when all was.
    ///
    /// # Errors
    /// [`Fault::Io`], or [`Fault::RequestBody`]
    pub fn poll(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            // More is taken only when the piece before is gone, so that a slow upstream slows the client.
            let gone = self.data.is_empty() && (self.bytes.is_empty() || self.is_untouched());
            let waits = if gone { self.take_in(cx)? } else { false };
            while self.written < self.bytes.len() || !self.data.is_empty() {
                let Poll::Ready(count) = self.write(io, cx)? else { return self.blocked() };
                self.note(count);
            }
            if !self.flushed {
                let Poll::Ready(()) = Pin::new(&mut *io).poll_flush(cx)? else { return self.blocked() };
                self.flushed = true;
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// The other side does not read.
    fn blocked<T>(&mut self) -> Poll<T> {
        if let Some(body) = &mut self.body {
            body.pause();
        }
        Poll::Pending
    }

    /// Takes in what is there of the body, up to a long piece or many short ones. Whether more has to be waited for.
    fn take_in(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        if std::mem::take(&mut self.owes_line_end) {
            self.put(b"\r\n");
        }
        while self.data.is_empty()
            && self.bytes.len() < GATHERED
            && let Some(body) = &mut self.body
        {
            match Pin::new(body).poll_frame(cx) {
                // Some bodies tell their end late. What is complete does not wait for it.
                Poll::Pending if matches!(self.framing, Framing::Counted(0)) => self.end()?,
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Err(_))) => return Err(Fault::RequestBody),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.piece(data)?;
                    }
                }
                Poll::Ready(None) => self.end()?,
            }
        }
        Ok(false)
    }

    /// The body has come in to its end.
    fn end(&mut self) -> Result<(), Fault> {
        self.body = None;
        match self.framing {
            Framing::Counted(0) => Ok(()),
            Framing::Counted(_) => Err(Fault::RequestBody),
            Framing::Chunked => {
                self.put(b"0\r\n\r\n");
                Ok(())
            }
        }
    }

    fn piece(&mut self, data: Bytes) -> Result<(), Fault> {
        match &mut self.framing {
            Framing::Counted(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Fault::RequestBody)?;
            }
            Framing::Chunked => {
                self.flushed = false;
                write!(self.bytes, "{:x}\r\n", data.len())?;
                self.owes_line_end = true;
            }
        }
        if data.len() > COPIED {
            self.flushed = false;
            self.data = data;
            return Ok(());
        }
        self.put(&data);
        if std::mem::take(&mut self.owes_line_end) {
            self.put(b"\r\n");
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.flushed = false;
        self.bytes.extend_from_slice(bytes);
    }

    fn write(&self, io: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = self.bytes.get(self.written..).unwrap_or_default();
        let io = Pin::new(io);
        let written = match (bytes.is_empty(), self.data.is_empty()) {
            (_, true) => io.poll_write(cx, bytes),
            (true, false) => io.poll_write(cx, &self.data),
            (false, false) => io.poll_write_vectored(cx, &[IoSlice::new(bytes), IoSlice::new(&self.data)]),
        };
        match ready!(written) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }

    fn note(&mut self, count: usize) {
        self.moved += count as u64;
        let first = count.min(self.bytes.len() - self.written);
        self.written += first;
        if self.written == self.bytes.len() && !self.repeatable {
            self.bytes.clear();
            self.written = 0;
        }
        self.data.advance((count - first).min(self.data.len()));
    }
}

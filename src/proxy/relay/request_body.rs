//! A request's body on its way to the upstream.
//!
//! Invariant: it has at most the bytes that it may have, comes no slower than it may, and one that is malformed or breaks off is never
//! ended.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::BodyError;
use crate::{
    base::{
        body::Spoiled,
        pace::{Ahead, Pace},
    },
    proxy::{
        http1::Paced,
        waits::{BodyFault, Progress},
    },
};

/// The client is waited for.
struct Waiting {
    since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Waiting {
    fn new(patience: Duration) -> Self {
        let since = Instant::now();
        Self { since, sleep: Box::pin(tokio::time::sleep_until(since + patience)) }
    }
}

/// A request's body on its way to the upstream.
pub struct RequestBody {
    /// What comes first: it was taken before, and came back.
    again: VecDeque<Bytes>,
    inner: Option<Incoming>,
    left: u64,
    pace: Pace,
    ahead: Ahead,
    waiting: Option<Waiting>,
    progress: Rc<Progress>,
    /// Where it comes in chunks.
    spoiled: Option<Spoiled>,
}

impl RequestBody {
    /// At most `limit` bytes, and no slower than `pace`.
    #[must_use]
    pub fn new(
        inner: Incoming,
        (limit, pace): (u64, Pace),
        progress: Rc<Progress>,
        spoiled: Option<Spoiled>,
    ) -> Self {
        // The length is at hand; the end of an HTTP/2 stream is behind a lock.
        let empty = inner.size_hint().exact() == Some(0) || inner.is_end_stream();
        let inner = Some(inner).filter(|_| !empty);
        Self {
            again: VecDeque::new(),
            inner,
            left: limit,
            pace,
            ahead: Ahead::new(&pace),
            waiting: None,
            progress,
            spoiled,
        }
    }

    /// These pieces, which were taken before, come once more.
    pub(in crate::proxy) fn begin_again(&mut self, taken: Vec<Bytes>) {
        // Of what came back before there may be some left.
        let rest = std::mem::replace(&mut self.again, taken.into());
        self.again.extend(rest);
    }

    /// It is not the client that is waited for any more.
    fn rest(&mut self, now: Instant) {
        if let Some(waiting) = self.waiting.take() {
            self.ahead.spend(now.saturating_duration_since(waiting.since), &self.pace);
        }
    }

    /// The next piece is waited for. What is wrong when that has taken too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Option<BodyFault> {
        let patience = || self.ahead.patience(&self.pace);
        let waiting = self.waiting.get_or_insert_with(|| Waiting::new(patience()));
        if waiting.sleep.as_mut().poll(cx).is_pending() {
            return None;
        }
        let silent = waiting.since.elapsed() >= self.pace.silence;
        Some(if silent { BodyFault::Silent } else { BodyFault::Slow })
    }

    fn fail(&self, fault: BodyFault, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.progress.fail(fault);
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.inner = None;
        self.progress.uploading(false);
        Poll::Ready(None)
    }
}

impl Paced for RequestBody {
    fn pause(&mut self) {
        if self.waiting.is_some() {
            self.rest(Instant::now());
            self.progress.uploading(false);
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // Nobody waits for the client any more.
        self.progress.uploading(false);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(piece) = this.again.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Pending => match this.wait(cx) {
                Some(BodyFault::Slow) => this.fail(BodyFault::Slow, BodyError::Slow),
                Some(fault) => this.fail(fault, BodyError::Silent),
                None => {
                    this.progress.uploading(true);
                    Poll::Pending
                }
            },
            // Other readers than ours could take such chunks for other ones.
            Poll::Ready(_) if this.spoiled.as_ref().is_some_and(Spoiled::is_marked) => {
                this.fail(BodyFault::Broken, BodyError::Malformed)
            }
            Poll::Ready(None) => this.end(),
            Poll::Ready(Some(Err(error))) => this.fail(BodyFault::Broken, error.into()),
            // A trailer could name an identity header, and upstreams that join trailers to headers would believe it.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => this.end(),
            Poll::Ready(Some(Ok(frame))) => {
                let now = this.progress.note();
                this.rest(now.into());
                let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.ahead.earn(size, &this.pace);
                match this.left.checked_sub(size) {
                    Some(left) => {
                        this.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => this.fail(BodyFault::TooLarge, BodyError::TooLarge),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.again.is_empty() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.inner.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        let again: usize = self.again.iter().map(Bytes::len).sum();
        // Only what is known exactly is of use to anybody.
        left.exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + again as u64))
    }
}

//! Bodies on their way: a request's to the upstream, an answer's to the client. Streamed, bounded in size and in
//! silence, never gathered.
//!
//! Invariants: a body that breaks off is an error on the other side, never a shorter body; the access line is written
//! when the answer ends, however it ends.

use std::{
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

use super::{
    exchange::Source,
    http1::{Fault, Paced},
    live,
    record::Record,
    waits::{BodyFault, Place, Progress},
    websocket::Tunnel,
};
use crate::base::{
    body::Spoiled,
    pace::{Ahead, Pace},
};

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client's connection.
    #[error(transparent)]
    Client(#[from] hyper::Error),
    /// The upstream's.
    #[error(transparent)]
    Upstream(#[from] Fault),
    /// Chunks that are none.
    #[error("the body's chunks are malformed")]
    Malformed,
    /// Larger than allowed.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// No byte for too long.
    #[error("the body has stalled")]
    Silent,
    /// Too few bytes for too long.
    #[error("the body is too slow")]
    Slow,
    /// The token that asked for it is not good any more.
    #[error("what was permitted is not any more")]
    Refused,
}

/// Ends a wait that takes too long. Costs nothing while there is no wait.
pub(super) struct Patience {
    limit: Duration,
    deadline: Option<std::time::Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) const fn new(limit: Duration) -> Self {
        Self::until(limit, None)
    }

    /// … and not beyond the deadline, even when there is progress.
    pub(super) const fn until(limit: Duration, deadline: Option<std::time::Instant>) -> Self {
        Self { limit, deadline, sleep: None }
    }

    /// Whether the deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| std::time::Instant::now() >= deadline)
    }

    /// There was progress.
    pub(super) fn rest(&mut self) {
        self.sleep = None;
    }

    /// There is none; whether the limit is reached.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let (limit, deadline) = (self.limit, self.deadline);
        let end = || {
            let end = Instant::now() + limit;
            deadline.map_or(end, |deadline| end.min(deadline.into()))
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end())));
        sleep.as_mut().poll(cx).is_ready()
    }
}

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
        Self { inner, left: limit, pace, ahead: Ahead::new(&pace), waiting: None, progress, spoiled }
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
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer to a client.
pub enum AnswerBody {
    /// Ours.
    Own {
        /// What is left of it.
        bytes: Option<Bytes>,
        /// Written when it ends.
        record: Record,
    },
    /// An upstream's.
    Relayed(Relayed),
    /// None: another protocol follows the head.
    Switched(Option<Box<Tunnel>>),
}

/// An upstream's answer on its way to the client.
pub struct Relayed {
    source: Source,
    patience: Patience,
    record: Record,
    /// Where it is listed, unless all of it was there when it began.
    place: Option<(Place, Rc<Progress>)>,
}

impl AnswerBody {
    /// A body of ours.
    #[must_use]
    pub fn own(bytes: Bytes, mut record: Record) -> Self {
        if bytes.is_empty() {
            record.complete();
        }
        Self::Own { bytes: Some(bytes).filter(|b| !b.is_empty()), record }
    }

    /// What follows the head in place of a body, once.
    #[must_use]
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        if let Self::Switched(tunnel) = self { tunnel.take() } else { None }
    }

    /// An upstream's.
    #[must_use]
    pub(super) fn relayed(
        source: Source,
        (silence, deadline): (Duration, Option<std::time::Instant>),
        (mut record, place): (Record, Option<(Place, Rc<Progress>)>),
    ) -> Self {
        if source.has_ended() {
            record.complete();
        }
        Self::Relayed(Relayed { source, patience: Patience::until(silence, deadline), record, place })
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own { bytes, record } => {
                let frame = bytes.take().map(|bytes| {
                    record.count(bytes.len());
                    Ok(Frame::data(bytes))
                });
                record.complete();
                Poll::Ready(frame)
            }
            Self::Relayed(relayed) => relayed.poll(cx),
            Self::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own { bytes, .. } => bytes.is_none(),
            Self::Relayed(relayed) => relayed.source.has_ended(),
            Self::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own { bytes, .. } => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Relayed(relayed) => {
                relayed.source.left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Self::Switched(_) => SizeHint::with_exact(0),
        }
    }
}

impl Relayed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.patience.is_late() {
            return Poll::Ready(Some(Err(BodyError::Silent)));
        }
        if let Some((_, progress)) = &self.place
            && let Some(refusal) = progress.refusal()
        {
            live::ended(&self.record, &refusal);
            self.place = None;
            return Poll::Ready(Some(Err(BodyError::Refused)));
        }
        let Poll::Ready(frame) = self.source.poll_frame(cx) else {
            if let Some((place, _)) = &self.place {
                place.wake_by(cx.waker());
            }
            return if self.patience.is_over(cx) {
                Poll::Ready(Some(Err(BodyError::Silent)))
            } else {
                Poll::Pending
            };
        };
        if let (Some(Err(Fault::RequestBody)), Some((_, progress))) = (&frame, &self.place)
            && let Some(refusal) = progress.late()
        {
            live::ended(&self.record, &refusal);
            self.record.worker().journal().refused(refusal.cause.name());
        }
        if let Some(Ok(frame)) = &frame {
            self.patience.rest();
            self.record.count(frame.data_ref().map_or(0, Bytes::len));
        }
        if self.source.has_ended() {
            self.record.complete();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }
}

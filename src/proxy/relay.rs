//! Bodies on their way: a request's to the upstream, an answer's to the client. Streamed, bounded in size and in
//! silence, never gathered.
//!
//! Invariants: a body that breaks off is an error on the other side, never a shorter body; the access line is written
//! when the answer ends, however it ends.

mod request_body;
mod upload_bounds;

use std::{
    future::Future as _,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

pub use self::request_body::RequestBody;
pub(super) use self::upload_bounds::UploadBounds;
use super::{
    exchange::Source,
    http1::Fault,
    live,
    record::Record,
    upstream::state::Cause,
    waits::{BodyFault, Place, Progress},
    websocket::Tunnel,
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

    /// It takes no longer than so.
    fn shorten(&mut self, limit: Duration) {
        self.limit = self.limit.min(limit);
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
    /// Whether the upstream has done what it should, if the answer comes to its end.
    well: bool,
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
        (source, well): (Source, bool),
        (silence, deadline): (Duration, Option<std::time::Instant>),
        (mut record, place): (Record, Option<(Place, Rc<Progress>)>),
    ) -> Self {
        if source.has_ended() {
            record.complete();
            if well {
                record.succeeded();
            }
        }
        Self::Relayed(Relayed { source, well, patience: Patience::until(silence, deadline), record, place })
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
            if !self.patience.is_over(cx) {
                return Poll::Pending;
            }
            // What has no length may have nothing to say.
            if self.source.left().is_some() {
                self.record.broken_off(Cause::Timeout, &BodyError::Silent);
            }
            return Poll::Ready(Some(Err(BodyError::Silent)));
        };
        match (&frame, &self.place) {
            (Some(Err(Fault::RequestBody)), Some((_, progress))) => {
                if let Some(refusal) = progress.late() {
                    live::ended(&self.record, &refusal);
                    self.record.worker().journal().refused(refusal.cause.name());
                }
            }
            (Some(Err(Fault::RequestBody)), None) | (Some(Ok(_)) | None, _) => {}
            // The request broke off, and over HTTP/2 its answer with it: that is the client's doing.
            (Some(Err(_)), Some((_, progress))) if progress.fault() != BodyFault::None => {}
            (Some(Err(fault)), _) => self.record.broken_off(Cause::Answer, fault),
        }
        if let Some(Ok(frame)) = &frame {
            self.patience.rest();
            self.record.count(frame.data_ref().map_or(0, Bytes::len));
        }
        if self.source.has_ended() {
            self.record.complete();
            if std::mem::take(&mut self.well) {
                self.record.succeeded();
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }
}

//! An answer on its way back, beside what is left of its request.
//!
//! Invariant: a connection goes back to its pool only when both halves of the exchange have ended, and is closed when
//! one of them breaks off (RFC 9112 section 9.3).
//!
//! Nearly always all of the request was sent when the answer begins; then the answer has the connection for itself. An
//! answer that comes earlier shares it with a task that goes on sending, at its own pace: a client may read nothing
//! before it has sent everything.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http_body::Frame;

use super::{
    http1::{Fault, Outgoing},
    relay::{RequestBody, UploadBounds},
    upstream::Lease,
};

/// Where the body of an answer comes from.
pub(super) enum Source {
    /// A connection of its own.
    Alone(Lease),
    /// A connection on which the request is still being sent.
    Shared(Half),
    /// Nowhere any more: it has ended.
    Ended,
}

/// The answer's half of an exchange.
pub(super) struct Half(Rc<RefCell<Shared>>);

/// What both halves use.
struct Shared {
    /// `None` once it is given back or closed.
    lease: Option<Lease>,
    sent: bool,
    answered: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Source {
    /// For an answer whose head was read. `bounds`: those of what is left of its request.
    pub(super) fn new(
        mut lease: Lease,
        request: Outgoing<RequestBody>,
        bounds: impl FnOnce() -> UploadBounds,
    ) -> Self {
        let mut source = if request.has_ended() {
            lease.bound(bounds);
            Self::Alone(lease)
        } else {
            let shared =
                Shared { lease: Some(lease), sent: false, answered: false, reader: None, writer: None };
            let shared = Rc::new(RefCell::new(shared));
            tokio::task::spawn_local(send(Rc::clone(&shared), request, bounds()));
            Self::Shared(Half(shared))
        };
        if source.left() == Some(0) {
            source.end();
        }
        source
    }

    /// The next piece.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = match self {
            Self::Alone(lease) => ready!(lease.poll_body(cx)),
            Self::Shared(half) => ready!(half.0.borrow_mut().poll_frame(cx)),
            Self::Ended => None,
        };
        if self.left() == Some(0) || frame.is_none() {
            self.end();
        }
        Poll::Ready(frame)
    }

    /// Whether there is nothing more.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// Whether all of it has arrived, as far as is known.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Alone(lease) => lease.has_arrived(),
            Self::Shared(_) => false,
            Self::Ended => true,
        }
    }

    /// How many bytes are left, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Alone(lease) => lease.left(),
            Self::Shared(half) => half.0.borrow().lease.as_ref().and_then(Lease::left),
            Self::Ended => Some(0),
        }
    }

    /// The answer was read to its end.
    fn end(&mut self) {
        match std::mem::replace(self, Self::Ended) {
            Self::Alone(lease) => lease.give_back(),
            Self::Shared(half) => {
                let mut shared = half.0.borrow_mut();
                shared.answered = true;
                shared.settle();
            }
            Self::Ended => {}
        }
    }
}

impl Shared {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(Some(Err(Fault::RequestBody))) };
        let frame = lease.poll_body(cx);
        if frame.is_pending() {
            self.reader = Some(cx.waker().clone());
        }
        frame
    }

    /// Gives the connection back when both halves have ended, and has the other half look.
    fn settle(&mut self) {
        if self.sent
            && self.answered
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let mut shared = self.0.borrow_mut();
        if !shared.answered {
            // The client does not want the rest, so nothing more is sent for it.
            shared.lease = None;
            shared.settle();
        }
    }
}

/// Sends what is left of a request whose answer has begun.
async fn send(shared: Rc<RefCell<Shared>>, mut request: Outgoing<RequestBody>, mut bounds: UploadBounds) {
    let mut moved = request.moved();
    let sent = poll_fn(|cx| {
        let shared = &mut *shared.borrow_mut();
        let Some(lease) = &mut shared.lease else { return Poll::Ready(Err(Fault::Ended)) };
        if let Poll::Ready(sent) = lease.poll_request(&mut request, cx) {
            return Poll::Ready(sent);
        }
        shared.writer = Some(cx.waker().clone());
        let before = std::mem::replace(&mut moved, request.moved());
        if bounds.are_reached((shared.answered, moved != before), cx) {
            return Poll::Ready(Err(Fault::Ended));
        }
        Poll::Pending
    })
    .await;
    let mut shared = shared.borrow_mut();
    match sent {
        Ok(()) => {}
        // The upstream does not want the rest; its answer may go on.
        Err(Fault::Io(_)) => {
            if let Some(lease) = &mut shared.lease {
                lease.spoil();
            }
        }
        Err(_) => shared.lease = None,
    }
    shared.sent = true;
    shared.settle();
}

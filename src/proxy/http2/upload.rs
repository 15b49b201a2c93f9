//! A request's body on its way into an HTTP/2 connection.
//!
//! Invariant: until the answer begins, what was taken of it is kept, up to a bound, so that all of it can be taken back.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::proxy::relay::{BodyError, RequestBody};

/// Bytes of a body that are kept: nearly all requests that change something are smaller.
const MOST: usize = 64 * 1024;

/// See the module. hyper has one end of it, and the exchange the other.
#[derive(Clone, Default)]
pub(super) struct Upload(Rc<RefCell<Sent>>);

#[derive(Default)]
struct Sent {
    body: Option<RequestBody>,
    /// What was taken of it; `None` when that is too much, or the answer has begun.
    kept: Option<Vec<Bytes>>,
    size: usize,
}

impl Upload {
    pub(super) fn new(body: Option<RequestBody>) -> Self {
        Self(Rc::new(RefCell::new(Sent { body, kept: Some(Vec::new()), size: 0 })))
    }

    /// The answer has begun: it is not taken back any more.
    pub(super) fn is_answered(&self) {
        self.0.borrow_mut().kept = None;
    }

    /// The whole body, as if nothing had been taken of it. `None` when a part of it is gone.
    pub(super) fn take_back(&self) -> Option<Option<RequestBody>> {
        let mut sent = self.0.borrow_mut();
        let kept = sent.kept.take()?;
        let mut body = sent.body.take();
        if let Some(body) = &mut body {
            body.begin_again(kept);
        }
        Some(body)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut sent = self.0.borrow_mut();
        let Sent { body: Some(body), kept, size } = &mut *sent else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.data_ref().cloned().unwrap_or_default();
                *size = size.saturating_add(data.len());
                if *size > MOST {
                    *kept = None;
                } else if let Some(kept) = kept {
                    kept.push(data);
                }
            }
            // What has broken off is not sent again.
            Poll::Ready(Some(Err(_))) => *kept = None,
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.borrow().body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

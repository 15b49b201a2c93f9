//! A request's body on its way into an HTTP/2 connection.
//!
//! Invariants: until the answer begins, what was taken of it is kept, up to a bound, so that all of it can be taken back. What an
//! upstream that has answered does not want any more is read to its end, within bounds, so that the client's connection goes on
//! (RFC 9112 section 9.6).

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::proxy::{
    http1::Outgoing,
    relay::{BodyError, RequestBody},
};

/// Bytes of a body that are kept: nearly all requests that change something are smaller.
const MOST: usize = 64 * 1024;

/// Bytes that are read for nothing …
const MOST_UNWANTED: usize = 256 * 1024;
/// … and for how long. Beyond either it is cheaper to begin with a new connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// The end that the exchange has.
#[derive(Default)]
pub(super) struct Sent(Rc<RefCell<State>>);

/// The end that hyper has.
pub(super) struct Upload(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    body: Option<RequestBody>,
    /// What was taken of it; `None` when that is too much, or the answer has begun.
    kept: Option<Vec<Bytes>>,
    size: usize,
    /// hyper wants no more of it.
    unwanted: bool,
    drain: Option<Waker>,
}

impl Sent {
    pub(super) fn new(body: Option<RequestBody>) -> Self {
        let kept = Some(Vec::new());
        Self(Rc::new(RefCell::new(State { body, kept, ..State::default() })))
    }

    /// For hyper.
    pub(super) fn upload(&self) -> Upload {
        Upload(Rc::clone(&self.0))
    }

    /// The answer has begun: it is not taken back any more.
    pub(super) fn is_answered(&self) {
        self.0.borrow_mut().kept = None;
    }

    /// Puts the whole body back into its request, as if nothing had been taken of it. `false` when a part of it is gone.
    pub(super) fn put_back(&self, request: &mut Outgoing<RequestBody>) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(kept) = state.kept.take() else { return false };
        let mut body = state.body.take();
        if let Some(body) = &mut body {
            body.begin_again(kept);
        }
        request.put_back(body);
        true
    }

    /// The answer has ended. What hyper does not send any more of the body is read and thrown away.
    pub(super) fn is_over(&self) {
        let ended = self.0.borrow().body.as_ref().is_none_or(Body::is_end_stream);
        if !ended {
            tokio::task::spawn_local(drain(Rc::clone(&self.0)));
        }
    }
}

/// Reads what is left, once nobody else does.
async fn drain(state: Rc<RefCell<State>>) {
    poll_fn(|cx| {
        let mut state = state.borrow_mut();
        if state.unwanted {
            return Poll::Ready(());
        }
        state.drain = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
    let Some(mut body) = state.borrow_mut().body.take() else { return };
    let mut left = MOST_UNWANTED;
    let reading = poll_fn(|cx| {
        while let Some(Ok(frame)) = ready!(Pin::new(&mut body).poll_frame(cx)) {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(less) => left = less,
                None => break,
            }
        }
        Poll::Ready(())
    });
    // What is not read by then is left to the connection, which ends.
    let _ = tokio::time::timeout(PATIENCE, reading).await;
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.unwanted = true;
        if let Some(drain) = state.drain.take() {
            drain.wake();
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.0.borrow_mut();
        let State { body: Some(body), kept, size, .. } = &mut *state else { return Poll::Ready(None) };
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

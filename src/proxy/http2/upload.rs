//! A request's body on its way into an HTTP/2 connection.
//!
//! Invariants: no more is taken of it than the upstream has room for, and one that breaks off is never ended. Until the answer
//! begins, what was taken of it is kept, up to a bound, so that all of it can be taken back. What an upstream that has answered does not want
//! any more is read to its end, within bounds, so that the client's connection goes on (RFC 9112 section 9.6).
//!
//! RFC 9113 sections 5.2, 8.1.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;

use super::Stream;
use crate::proxy::{
    http1::{Outgoing, Paced as _},
    relay::{RequestBody, UploadBounds},
};

/// Bytes of a body that are kept: nearly all requests that change something are smaller.
const MOST: usize = 64 * 1024;

/// Bytes that are read for nothing …
const MOST_UNWANTED: usize = 256 * 1024;
/// … and for how long. Beyond either it is cheaper to begin with a new connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an upstream that has answered may leave the rest of a body unread: what it has not read takes room from all others on
/// the connection.
const UNREAD: Duration = Duration::from_secs(5);

/// A body that is being sent beside its exchange; without one, there is nothing to send.
#[derive(Default)]
pub(super) struct Sent(Option<Rc<RefCell<State>>>);

struct State {
    /// What has not come in yet.
    body: Option<RequestBody>,
    /// What was taken of it; `None` when that is too much, or the answer has begun.
    kept: Option<Vec<Bytes>>,
    size: usize,
    /// Nobody waits for the answer any more.
    given_up: bool,
    /// The answer has ended.
    answered: bool,
    /// Once the answer has begun.
    bounds: Option<UploadBounds>,
    /// Once the exchange has ended.
    stream: Option<Stream>,
    sender: Option<Waker>,
    /// It is not sent any more, to its end or not.
    over: bool,
    drain: Option<Waker>,
}

impl Sent {
    /// Begins to send it.
    pub(super) fn begin(body: RequestBody, stream: SendStream<Bytes>) -> Self {
        let state = State {
            body: Some(body),
            kept: Some(Vec::new()),
            size: 0,
            given_up: false,
            answered: false,
            bounds: None,
            stream: None,
            sender: None,
            over: false,
            drain: None,
        };
        let state = Rc::new(RefCell::new(state));
        tokio::task::spawn_local(send(Rc::clone(&state), stream));
        Self(Some(state))
    }

    /// The answer has begun: it is not taken back any more.
    pub(super) fn is_answered(&self) {
        if let Some(state) = &self.0 {
            state.borrow_mut().kept = None;
        }
    }

    /// Puts the whole body back into its request, as if nothing had been taken of it. `false` when a part of it is gone.
    pub(super) fn put_back(&self, request: &mut Outgoing<RequestBody>) -> bool {
        let Some(state) = &self.0 else {
            request.put_back(None);
            return true;
        };
        let mut state = state.borrow_mut();
        let Some(kept) = state.kept.take() else { return false };
        let mut body = state.body.take();
        if let Some(body) = &mut body {
            body.begin_again(kept);
        }
        request.put_back(body);
        state.stop();
        true
    }

    /// Nobody waits for the answer any more: nothing more is sent for it.
    pub(super) fn give_up(&self) {
        if let Some(state) = &self.0 {
            state.borrow_mut().stop();
        }
    }

    /// Sends what is left within these bounds, if anything is.
    pub(super) fn bound(&self, bounds: impl FnOnce() -> UploadBounds) {
        let Some(state) = &self.0 else { return };
        let mut state = state.borrow_mut();
        if !state.over {
            state.bounds = Some(bounds().at_most(UNREAD));
            state.wake();
        }
    }

    /// The exchange has ended, and its stream as soon as nothing is sent on it any more.
    pub(super) fn leave(&self, stream: Option<Stream>) {
        let Some(state) = &self.0 else { return };
        let mut state = state.borrow_mut();
        if !state.over {
            state.stream = stream;
        }
    }

    /// The answer has ended. What the upstream does not take any more of the body is read and thrown away.
    pub(super) fn is_over(&self) {
        let Some(state) = &self.0 else { return };
        {
            let mut state = state.borrow_mut();
            state.answered = true;
            state.wake();
        }
        let left = state.borrow().body.as_ref().is_some_and(|body| !body.is_end_stream());
        if left {
            tokio::task::spawn_local(drain(Rc::clone(state)));
        }
    }
}

impl State {
    fn stop(&mut self) {
        self.given_up = true;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }

    /// The next piece to send, and whether it is the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, bool), Reason>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Err(Reason::CANCEL)) };
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let last = body.is_end_stream();
                self.size = self.size.saturating_add(data.len());
                if self.size > MOST {
                    self.kept = None;
                } else if let Some(kept) = &mut self.kept {
                    kept.push(data.clone());
                }
                Poll::Ready(Ok((data, last)))
            }
            // What has broken off is not sent again.
            Some(Err(_)) => {
                self.kept = None;
                Poll::Ready(Err(Reason::CANCEL))
            }
            None => Poll::Ready(Ok((Bytes::new(), true))),
        }
    }
}

/// A body's next piece on its way.
struct Sending {
    stream: SendStream<Bytes>,
    piece: Bytes,
    last: bool,
    /// Something was taken since it was looked at last.
    moved: bool,
}

impl Sending {
    /// Sends as much as the upstream has room for. Ready at the end, with the reason if that is no end of the body's.
    fn poll(&mut self, state: &mut State, cx: &mut Context<'_>) -> Poll<Option<Reason>> {
        loop {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            if self.piece.is_empty() {
                match ready!(state.poll_piece(cx)) {
                    Ok(next) => (self.piece, self.last) = next,
                    Err(reason) => return Poll::Ready(Some(reason)),
                }
                if self.piece.is_empty() && !self.last {
                    continue;
                }
                self.stream.reserve_capacity(self.piece.len());
            }
            let room = self.stream.capacity().min(self.piece.len());
            if room == 0 && !self.piece.is_empty() {
                match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                    Poll::Pending => {}
                }
                // It is the upstream that is waited for.
                state.body.iter_mut().for_each(RequestBody::pause);
                return Poll::Pending;
            }
            let part = self.piece.split_to(room);
            let ends = self.last && self.piece.is_empty();
            self.moved = true;
            // An error is the stream's end, which the exchange hears of too.
            if self.stream.send_data(part, ends).is_err() || ends {
                return Poll::Ready(None);
            }
        }
    }
}

/// Sends a body to its end, or until nobody wants it.
async fn send(state: Rc<RefCell<State>>, stream: SendStream<Bytes>) {
    let mut sending = Sending { stream, piece: Bytes::new(), last: false, moved: false };
    let broken = poll_fn(|cx| {
        let state = &mut *state.borrow_mut();
        if state.given_up {
            return Poll::Ready(Some(Reason::CANCEL));
        }
        state.sender = Some(cx.waker().clone());
        if let Poll::Ready(sent) = sending.poll(state, cx) {
            return Poll::Ready(sent);
        }
        let moved = std::mem::take(&mut sending.moved);
        let Some(bounds) = &mut state.bounds else { return Poll::Pending };
        if !bounds.are_reached((state.answered, moved), cx) {
            return Poll::Pending;
        }
        if bounds.is_called_off() {
            // Nor is it read.
            state.body = None;
        }
        Poll::Ready(Some(Reason::CANCEL))
    })
    .await;
    if let Some(reason) = broken {
        sending.stream.send_reset(reason);
    }
    drop(sending);
    let (bounds, stream) = {
        let mut state = state.borrow_mut();
        state.over = true;
        if let Some(drain) = state.drain.take() {
            drain.wake();
        }
        (state.bounds.take(), state.stream.take())
    };
    // Whoever waits for a stream is told, and may begin at once.
    drop((bounds, stream));
}

/// Reads what is left, once nobody else does.
async fn drain(state: Rc<RefCell<State>>) {
    poll_fn(|cx| {
        let mut state = state.borrow_mut();
        if state.over {
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

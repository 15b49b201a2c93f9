//! Polls a connection and carries out what the worker's tick wants of it.
//!
//! Invariant: a request that arrived before a connection was told to end, or within a second after, is answered
//! (RFC 9112 section 9.5).

use std::{
    future::Future,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use super::io::{Order, Watch};

/// How [`drive`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The protocol came to its end.
    Over,
    /// The connection was told to close, or broke.
    Closed,
    /// Nothing is asked, and nothing has been for a while.
    Resting,
}

impl From<hyper::Result<()>> for End {
    fn from(ended: hyper::Result<()>) -> Self {
        if ended.is_ok() { Self::Over } else { Self::Closed }
    }
}

/// Polls a connection and obeys the orders of the tick.
pub(super) async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    watch: &Watch,
    drain: impl Fn(Pin<&mut C>),
) -> End {
    let mut draining = false;
    let mut told: Option<Instant> = None;
    std::future::poll_fn(|cx| {
        match watch.order(cx) {
            Order::None => {}
            Order::Close => {
                // It is polled for what it is told last, and reads nothing any more.
                if watch.ends_with_a_word() {
                    let _ = connection.as_mut().poll(cx);
                }
                return Poll::Ready(End::Closed);
            }
            Order::Rest => {
                // What has arrived meanwhile comes first.
                let polled = connection.as_mut().poll(cx).map(End::from);
                return if polled.is_pending() && watch.may_rest() {
                    Poll::Ready(End::Resting)
                } else {
                    polled
                };
            }
            Order::Drain if draining => {}
            Order::Drain => {
                // What has arrived is a request that its sender saw go through: it is read first.
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(ended.into());
                }
                let patient = told.get_or_insert_with(Instant::now).elapsed() < LAST_REQUEST;
                if watch.expects_a_request(patient) {
                    return Poll::Pending;
                }
                draining = true;
                drain(connection.as_mut());
            }
        }
        connection.as_mut().poll(cx).map(End::from)
    })
    .await
}

/// For so long a connection that is told to end waits for a request: whoever asks just now would find it closed, and could not
/// know whether the request was carried out (RFC 9112 section 9.5). The answer says that it was the last.
const LAST_REQUEST: Duration = Duration::from_secs(1);

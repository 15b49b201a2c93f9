//! Connections of HTTP/1.1 that wait for their next request without buffers.
//!
//! Invariant: a connection rests only while it holds nothing, neither of a request nor of an answer.

use std::{task::Poll, time::Duration};

use super::{Order, Phase, Watch, Watched};

/// After so long without a request an HTTP/1.1 connection gives its buffers back until something arrives: there are many such
/// connections, and the buffers are most of what each of them takes.
const REST: Duration = Duration::from_millis(500);

impl Watch {
    /// Whether it is time for that, after so long without a request.
    pub(super) fn is_to_rest(&self, waited: Duration) -> bool {
        waited >= REST && !self.rests.get() && self.holds_nothing()
    }

    /// Whether a connection that was told to rest, and has been polled since, holds nothing: no request, no byte of one, and
    /// no byte of an answer. The order is carried out, one way or the other.
    #[must_use]
    pub fn may_rest(&self) -> bool {
        self.order.set(Order::None);
        self.holds_nothing()
    }

    /// Of HTTP/2 a connection holds more than this knows.
    fn holds_nothing(&self) -> bool {
        self.phase.get() == Phase::Idle
            && self.stalled.get().is_none()
            && self.framing.borrow().is_at_rest()
            && self.keep_head.get()
    }

    /// Waits until something arrives on a connection, or it has to do something else.
    pub async fn rest(&self, io: &Watched) {
        self.framing.borrow_mut().forget();
        self.rests.set(true);
        std::future::poll_fn(|cx| match self.order(cx) {
            Order::None | Order::Rest => io.poll_readable(cx),
            Order::Drain | Order::Close => Poll::Ready(()),
        })
        .await;
        self.rests.set(false);
    }
}

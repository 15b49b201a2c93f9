//! What an exchange with an upstream is carried by.
//!
//! Invariant: whoever has a lease sends one request and reads one answer; dropped before it is given back, it ends what carries it.

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    TargetPool,
    state::{Cause, TargetState},
};
use crate::proxy::{
    http1::{Connection, Fault, Outgoing, answer::Head},
    http2::Exchange,
    relay::{RequestBody, UploadBounds},
    transport::Transport,
};

/// A connection, counted as long as it is open.
pub(super) struct Open {
    pub(super) connection: Connection<Transport>,
    pub(super) address: Option<SocketAddr>,
    pub(super) _held: Held,
}

/// What an open connection holds of its target: it is counted, and keeps its slot where the number is limited.
pub(in crate::proxy) struct Held {
    state: Arc<TargetState>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub(super) fn new(state: &Arc<TargetState>, slot: Option<OwnedSemaphorePermit>) -> Self {
        state.open().fetch_add(1, Relaxed);
        Self { state: Arc::clone(state), _slot: slot }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.open().fetch_sub(1, Relaxed);
    }
}

/// A socket with what has arrived on it, and what it holds of its target.
pub(in crate::proxy) type Socket = (Transport, Bytes, Held);

/// A request that a target has, counted where that decides who gets the next.
pub(super) struct Busy(Arc<TargetState>);

impl Busy {
    pub(super) fn new(state: &Arc<TargetState>) -> Self {
        state.busy().fetch_add(1, Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy().fetch_sub(1, Relaxed);
    }
}

/// A connection in use by one exchange, or one exchange of a connection that carries many. Dropped, it is closed.
///
/// Whoever has a lease sends one request and reads one answer.
pub struct Lease {
    pub(super) pool: Rc<TargetPool>,
    pub(super) link: Link,
    /// Whether it has carried an exchange before.
    pub reused: bool,
    pub(super) _busy: Option<Busy>,
}

/// What an exchange is carried by.
pub(super) enum Link {
    One(Box<Open>),
    Two(Box<Exchange>),
}

impl Lease {
    /// Sends a request and reads the head of its answer, which can come before all of the request was sent.
    pub(in crate::proxy) fn poll_answer(
        &mut self,
        request: &mut Outgoing<RequestBody>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Fault>> {
        match &mut self.link {
            Link::One(open) => open.connection.poll_answer(request, cx),
            Link::Two(exchange) => exchange.poll_answer(request, cx),
        }
    }

    /// Sends what is left of a request whose answer has begun.
    pub(in crate::proxy) fn poll_request(
        &mut self,
        request: &mut Outgoing<RequestBody>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        match &mut self.link {
            Link::One(open) => request.poll(open.connection.io(), cx),
            // It was handed over.
            Link::Two(_) => Poll::Ready(Ok(())),
        }
    }

    /// What is left of a request that was handed over is sent within these bounds, if anything is.
    pub(in crate::proxy) fn bound(&mut self, bounds: impl FnOnce() -> UploadBounds) {
        if let Link::Two(exchange) = &mut self.link {
            exchange.bound(bounds);
        }
    }

    /// The next piece of the answer's body.
    pub(in crate::proxy) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.link {
            Link::One(open) => open.connection.poll_body(cx),
            Link::Two(exchange) => exchange.poll_body(cx),
        }
    }

    /// How many bytes of the answer's body are left, where that is known.
    pub(in crate::proxy) fn left(&self) -> Option<u64> {
        match &self.link {
            Link::One(open) => open.connection.left(),
            Link::Two(exchange) => exchange.left(),
        }
    }

    /// Whether all of the answer is known to have arrived.
    pub(in crate::proxy) fn has_arrived(&self) -> bool {
        match &self.link {
            Link::One(open) => open.connection.has_arrived(),
            Link::Two(exchange) => exchange.left() == Some(0),
        }
    }

    /// The bare socket with what has arrived on it, and what it holds of its target; it never goes back to the pool. None
    /// where many share it.
    pub(in crate::proxy) fn into_socket(self) -> Option<Socket> {
        let Link::One(open) = self.link else { return None };
        let Open { connection, _held: held, .. } = *open;
        let (socket, arrived) = connection.into_socket();
        Some((socket, arrived, held))
    }

    /// Whether nothing of an answer has come, not even an interim one.
    pub(in crate::proxy) fn is_unanswered(&self) -> bool {
        match &self.link {
            Link::One(open) => open.connection.is_unanswered(),
            Link::Two(exchange) => exchange.is_unanswered(),
        }
    }

    /// The connection carries no other exchange after this one.
    pub(in crate::proxy) const fn spoil(&mut self) {
        if let Link::One(open) = &mut self.link {
            open.connection.spoil();
        }
    }

    /// The head of the answer has come, with this status. Whether all is well, if it comes to its end.
    #[must_use]
    pub fn answered(&self, status: StatusCode) -> bool {
        // Where there is no other target, what it says is what there is.
        let unwell = matches!(status.as_u16(), 500 | 502..=504) && self.pool.cluster.nodes.len() > 1;
        if unwell {
            self.pool.failed(Cause::Status, &status);
        }
        !unwell
    }

    /// Gives the connection back after the request was sent and its answer read to the end; it is closed if it cannot be
    /// used again.
    pub fn give_back(self) {
        let Self { pool, link: Link::One(mut connection), .. } = self else { return };
        if connection.connection.is_free() {
            connection.connection.rest();
            pool.take_back(connection);
        }
    }
}
